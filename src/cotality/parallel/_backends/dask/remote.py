"""What runs on a worker of Dask."""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from distributed import get_worker
from distributed.utils import sync

from cotality.parallel._backends.futures.overhear import Hearing
from cotality.parallel._backends.futures.remote import Lent, Report, run_batch

SAY_SECONDS: Final = 0.02
"""How long what tasks say is gathered before it is sent: each message is work for the scheduler."""


def run_here(version: Sequence[Any], message: bytes, topic: str, name: str, timed: bool, *inputs: Any) -> Report:
    """Run a batch.

    Parameters:
        version, message, inputs: See ``run_batch``.
        topic: Where what happens here is told.
        name: The batch's name there.
        timed: Whether it is to be told that it has begun.
    """
    worker = get_worker()
    if timed:
        # It is waited for that the scheduler knows: a worker that hangs the next moment tells nobody any more.
        sync(worker.loop, worker.scheduler.log_event, topic=topic, msg={"batch": name, "worker": worker.address})
    return run_batch(version, message, *inputs, worker=worker.address, early=_Way(worker, topic, name))


class _Way:
    """Sends what the tasks of a batch say while they run.

    Parameters:
        worker: The worker.
        topic, name: See ``run_here``.
    """

    def __init__(self, worker: Any, topic: str, name: str) -> None:
        self._worker = worker
        self._topic = topic
        self._name = name
        self._is_due = False

    def __call__(self, hearing: Hearing) -> None:
        """Something was said."""
        if not self._is_due:
            self._is_due = True
            self._worker.loop.add_callback(self._worker.loop.call_later, SAY_SECONDS, self._send, hearing)

    def _send(self, hearing: Hearing) -> None:
        self._is_due = False
        said = hearing.take()
        # If the batch has ended meanwhile, it went along with its report.
        if said:
            self._worker.log_event(self._topic, {"batch": self._name, "said": said})


def small_part(report: Report) -> Report:
    """A report without the results that are large, which stay where they are."""
    return report[0], []


def large_part(report: Report, index: int) -> Lent:
    """One of those."""
    return report[1][index]
