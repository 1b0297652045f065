"""What runs on a worker of Dask."""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distributed import get_worker

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
        worker.log_event(topic, {"batch": name, "worker": worker.address})
    return run_batch(version, message, *inputs, worker=worker.address)


def small_part(report: Report) -> Report:
    """A report without the results that are large, which stay where they are."""
    return report[0], []


def large_part(report: Report, index: int) -> Lent:
    """One of those."""
    return report[1][index]
