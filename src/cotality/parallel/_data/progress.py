"""How far a run is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias


class Progress(NamedTuple):
    """How far a run is, or the part of it that one function has.

    Parameters:
        name: The workflow, or the task; empty for a list or a stream.
        total: How many tasks there are; None as long as that is not known. A map over a list, or over something else
            with a length, tells it once it has made its first task.
        succeeded: How many of them have given a result.
        failed: How many have failed for good, however they did.
        skipped: How many did not run, because what they need has failed.
        retried: How many attempts were followed by another one.
        elapsed: Seconds since the run began.
        finished: Whether the run is over.
        parts: The same for each task name, in a workflow.

    Example:
        >>> from cotality.parallel import Task, run
        >>> seen: list[Progress] = []
        >>> _ = run([Task(len, {}, positional=("abc",))], backend="serial", progress=seen.append)
        >>> seen[-1].done, seen[-1].total, seen[-1].finished
        (1, 1, True)
    """

    name: str
    total: int | None
    succeeded: int
    failed: int
    skipped: int
    retried: int
    elapsed: float
    finished: bool = False
    parts: Mapping[str, Progress] = {}

    @property
    def done(self) -> int:
        """How many tasks have ended, however they did."""
        return self.succeeded + self.failed + self.skipped

    @property
    def rate(self) -> float:
        """Tasks that have ended, per second."""
        return self.done / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds that the rest will take if it goes on like that; None if there is no telling."""
        if self.total is None or not self.done:
            return None
        return (self.total - self.done) / self.rate


class ProgressDisplay(Protocol):
    """Shows how far runs are; may be given as ``progress=``."""

    def show(self, progress: Progress, /) -> None:
        """Called a few times a second while things happen, and when the run is over.

        Parameters:
            progress: How far it is.
        """
        ...


ProgressOption: TypeAlias = bool | Callable[[Progress], Any] | ProgressDisplay | Any
"""What can be given as ``progress=``; a bar of tqdm is one of them."""

Progress.__module__ = ProgressDisplay.__module__ = "cotality.parallel"
