"""What runs on a worker of Dask."""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distributed import get_worker
from distributed.utils import sync

from cotality.parallel._backends.futures.remote import Lent, Report, run_batch


def run_here(version: Sequence[Any], message: bytes, topic: str, name: str, *inputs: Any) -> Report:
    """Run a batch.

    Parameters:
        version, message, inputs: See ``run_batch``.
        topic: Where it is told that it has begun; empty: nowhere.
        name: Its name there.
    """
    worker = get_worker()
    if topic:
        # It is waited for that the scheduler knows: a worker that hangs the next moment tells nobody any more.
        sync(worker.loop, worker.scheduler.log_event, topic=topic, msg={"batch": name, "worker": worker.address})
    return run_batch(version, message, *inputs, worker=worker.address)


def small_part(report: Report) -> Report:
    """A report without the results that are large, which stay where they are."""
    return report[0], []


def large_part(report: Report, index: int) -> Lent:
    """One of those."""
    return report[1][index]
