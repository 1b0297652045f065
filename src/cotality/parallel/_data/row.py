"""What is known of one task of a run that is over, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EarlierAttempt:
    """An attempt that was followed by another one, with times in seconds since the run began.

    Parameters:
        start: When it began.
        end: When it ended.
        worker: Where it ran.
        state: How it ended.
        error: Why, in one line.
    """

    start: float
    end: float
    worker: str | None
    state: str
    error: str


@dataclass(frozen=True, slots=True)
class Row:
    """A task, with times in seconds since its run began.

    Parameters:
        index: Its place in the run.
        task: Its name.
        state: How it ended.
        attempts: How often it was tried; 0 if it never started.
        worker: Where its last attempt ran; None if it never started.
        ready: When it was due; None if it never was.
        start: When its last attempt began; None if it never started.
        end: When it ended.
        error: Why it did not succeed, in one line; empty if it did.
        first_cause: The name of the task whose failure made this one be skipped.
        inputs: The places of those whose results it took.
        needs: The places of all that it waited for: those, what it only came after, and for an item of a map what the
            map goes through. Among them are maps and gatherings, which are no tasks and so have no row of their own.
        place: For an item of a map, its place among the items, from 0; else None.
        earlier: The attempts before the last one.
    """

    index: int
    task: str
    state: str
    attempts: int
    worker: str | None
    ready: float | None
    start: float | None
    end: float | None
    error: str
    first_cause: str | None
    inputs: tuple[int, ...]
    needs: tuple[int, ...] = ()
    place: int | None = None
    earlier: tuple[EarlierAttempt, ...] = ()

    def facts(self) -> dict[str, Any]:
        """All of it, by name."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        return {**facts, "earlier": [asdict(each) for each in self.earlier]}
