"""What runs on a worker of Ray."""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

import ray

from cotality.parallel._backends.futures.remote import Report, run_batch


def run_here(version: Sequence[Any], message: bytes, bell: Any, number: int, *inputs: Any) -> tuple[Report, Report]:
    """Run a batch; gives the report without the results that are large, and these, which stay where they are.

    Parameters:
        version, message, inputs: See ``run_batch``.
        bell: Who is told that it has begun; None: nobody.
        number: Its number there.
    """
    worker = f"ray worker {ray.get_runtime_context().get_worker_id()[:12]}"
    if bell is not None:
        bell.ring.remote(number, worker)
    told, large = run_batch(version, message, *inputs, worker=worker, leashed=True)
    return (told, []), (b"", large)


class Bell:
    """An actor that is told what has begun, until somebody asks."""

    def __init__(self) -> None:
        self._begun: list[tuple[int, str, float]] = []

    def ring(self, number: int, worker: str) -> None:
        """A batch has begun."""
        self._begun.append((number, worker, monotonic()))

    def begun(self) -> list[tuple[int, str, float]]:
        """Which ones have since somebody asked: number, worker, and how many seconds ago."""
        begun, self._begun = self._begun, []
        now = monotonic()
        return [(number, worker, now - at) for number, worker, at in begun]
