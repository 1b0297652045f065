"""How long tasks took, by their name, and which of them took strangely long."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cotality.parallel.recounting import Row

BINS = 32
STRANGE = 3.0
"""A straggler took so many times the median of its name."""
FEWEST = 5
"""With fewer tasks of a name nothing is strange."""
SHORTEST = 0.001
"""Nobody looks for what is shorter than that."""


class Times(NamedTuple):
    """How long the tasks of a name took.

    Parameters:
        name: The name.
        tasks: How many there are.
        states: How many of them ended in which state.
        attempts: How often they were tried.
        total: Seconds of all of them; of each its last attempt.
        median: Half of them took no longer.
        p95: Nineteen of twenty took no longer.
        longest: The longest of them.
        waited: Seconds that they were due and waited for a worker, on average.
        bins: How many of them fall into each of the bins that :func:`edges_of` gives.
    """

    name: str
    tasks: int
    states: dict[str, int]
    attempts: int
    total: float
    median: float
    p95: float
    longest: float
    waited: float
    bins: list[int]

    @property
    def lost(self) -> dict[str, int]:
        """How many of them did not succeed, by state."""
        return {state: number for state, number in self.states.items() if state != "succeeded"}


class Straggler(NamedTuple):
    """A task that took strangely long.

    Parameters:
        row: The task.
        seconds: How long it took.
        median: How long half of its name took at most.
    """

    row: Row
    seconds: float
    median: float

    @property
    def factor(self) -> float:
        """How many times the median it took."""
        return self.seconds / max(self.median, 1e-6)


def seconds_of(row: Row) -> float | None:
    """How long the last attempt of a task took; None if it never started."""
    return None if row.start is None or row.end is None else max(0.0, row.end - row.start)


def waited_of(row: Row) -> float:
    """How long a task was due before its first attempt; 0 if it never started."""
    first = row.earlier[0].start if row.earlier else row.start
    return 0.0 if first is None or row.ready is None else max(0.0, first - row.ready)


def by_name(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The tasks of each name."""
    names: dict[str, list[Row]] = {}
    for row in rows:
        names.setdefault(row.task, []).append(row)
    return names


def edges_of(rows: Iterable[Row]) -> list[float]:
    """The upper edges of bins that hold all durations, each a constant factor wider than the one before it."""
    took = [seconds for row in rows if (seconds := seconds_of(row)) is not None]
    longest = max(took, default=0.0)
    low = math.log(max(min(took, default=0.0), longest / 1e6, 1e-6))
    high = math.log(max(longest, 2e-6))
    if high - low < 0.1:
        # All alike: in the middle.
        low, high = low - 1, high + 1
    return [math.exp(low + (high - low) * (place + 1) / BINS) for place in range(BINS)]


def times_of(names: Mapping[str, list[Row]], edges: list[float]) -> list[Times]:
    """How long the tasks of each name took, those first that took most."""
    return sorted((_times(name, rows, edges) for name, rows in names.items()), key=lambda each: -each.total)


def _times(name: str, rows: list[Row], edges: list[float]) -> Times:
    took = sorted(seconds for row in rows if (seconds := seconds_of(row)) is not None)
    bins = [0] * len(edges)
    for seconds in took:
        bins[min(bisect_left(edges, seconds), len(bins) - 1)] += 1
    waits = [waited_of(row) for row in rows if row.start is not None]
    return Times(
        name,
        len(rows),
        dict(Counter(row.state for row in rows)),
        sum(row.attempts for row in rows),
        sum(took),
        _share(took, 0.5),
        _share(took, 0.95),
        took[-1] if took else 0.0,
        sum(waits) / len(waits) if waits else 0.0,
        bins,
    )


def _share(ordered: list[float], share: float) -> float:
    """What so large a share of them does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def stragglers_of(names: Mapping[str, list[Row]], times: Iterable[Times]) -> list[Straggler]:
    """Tasks that took several times as long as others of their name, those first that cost most."""
    found: list[Straggler] = []
    for each in times:
        if each.tasks < FEWEST or each.longest < STRANGE * each.median:
            continue
        for row in names[each.name]:
            seconds = seconds_of(row) or 0.0
            if seconds > max(SHORTEST, STRANGE * each.median):
                found.append(Straggler(row, seconds, each.median))
    return sorted(found, key=lambda each: each.median - each.seconds)
