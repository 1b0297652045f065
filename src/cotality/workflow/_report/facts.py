"""What is known of a run that is over, and what a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cotality.parallel.recounting import Row


@dataclass(frozen=True, slots=True, eq=False)
class Cause:
    """What made tasks fail, and which.

    Parameters:
        state: How they ended.
        kind: The class of the error.
        message: What the first of the errors says.
        where: The place in the code that raised it; empty where that is not known.
        tasks: How many tasks of each name.
        indices: The places of the first of them in the run.
        skipped: How many tasks were skipped for it.
        traceback: The traceback of the first of the errors, a line each.
    """

    state: str
    kind: str
    message: str
    where: str
    tasks: Mapping[str, int]
    indices: Sequence[int]
    skipped: int
    traceback: Sequence[str]

    @property
    def count(self) -> int:
        """How many tasks failed for it."""
        return sum(self.tasks.values())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Facts:
    """What is known of a run that is over. ``RunRecord``, which can be saved and read, says what each of them is."""

    run: str
    workflow: str
    state: str
    error: str
    began_at: float
    duration: float
    counts: Mapping[str, int]
    rows: Sequence[Row]
    joints: Mapping[int, Sequence[int]]
    causes: Sequence[Cause]
    memory: Mapping[str, int]
    environment: Mapping[str, str]
