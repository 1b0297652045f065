"""Two runs side by side: what has changed from the first to the second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from cotality.parallel.recounting import slices_of
from cotality.workflow._report import words
from cotality.workflow._report.facts import Cause, Facts
from cotality.workflow._report.paths import critical_path
from cotality.workflow._report.times import Times

NOTICED = 0.05
"""A smaller part than this is no change."""


class Change(NamedTuple):
    """What has become of a figure.

    Parameters:
        name: What it is.
        first: What it was, in the first run.
        second: The same in the second.
        change: The second against the first.
        verdict: ``"better"``, ``"worse"``, or nothing.
    """

    name: str
    first: str
    second: str
    change: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Pair:
    """How long the tasks of a name took in both runs.

    Parameters:
        name: The name.
        first, second: How long they took; None in a run that has no such task.
        total: What has become of the time of all of them.
        median: What has become of that of one.
    """

    name: str
    first: Times | None
    second: Times | None
    total: Change
    median: Change

    @property
    def moved(self) -> float:
        """How much the time of all of them has changed."""
        return abs((self.second.total if self.second else 0.0) - (self.first.total if self.first else 0.0))


class Told(NamedTuple):
    """How many tasks failed for a cause in each run."""

    cause: Cause
    first: int
    second: int


def changed(name: str, first: float, second: float, worded: Callable[[float], str], *, judged: bool = True) -> Change:
    """What has become of a figure, of which less is better where it is ``judged``."""
    change = f"{100 * (second / first - 1):+,.0f} %".replace("-", "−") if first else "new" if second else ""
    noticed = judged and abs(second - first) > NOTICED * max(first, second)
    verdict = "" if not noticed else "worse" if second > first else "better"
    return Change(name, worded(first), worded(second), change, verdict)


def figures_of(first: Facts, second: Facts) -> list[Change]:
    """The headline figures of both."""

    states = dict.fromkeys((*first.counts, *second.counts))
    return [
        changed("Took", first.duration, second.duration, words.seconds),
        changed("Critical path", critical_path(first).seconds, critical_path(second).seconds, words.seconds),
        changed("Work", _work(first), _work(second), words.seconds),
        *(
            changed(
                f"Tasks that {_past(state)}",
                first.counts.get(state, 0),
                second.counts.get(state, 0),
                words.count,
                judged=state != "succeeded",
            )
            for state in states
        ),
        changed("Attempts", _attempts(first), _attempts(second), words.count, judged=False),
        changed("Most memory of one process", _peak(first), _peak(second), words.size),
    ]


def _past(state: str) -> str:
    return f"were {state}" if state in ("cancelled", "skipped") else f"are {state}" if state == "pending" else state


def _work(record: Facts) -> float:
    return sum(each.end - each.start for each in slices_of(record.rows))


def _attempts(record: Facts) -> int:
    return sum(row.attempts for row in record.rows)


def _peak(record: Facts) -> int:
    return max(record.memory.values(), default=0)


def pairs_of(first: list[Times], second: list[Times]) -> list[Pair]:
    """How long the tasks of each name took in both, those first that have changed most."""
    ours, theirs = ({each.name: each for each in times} for times in (first, second))
    pairs = [_pair(name, ours.get(name), theirs.get(name)) for name in dict.fromkeys((*ours, *theirs))]
    return sorted(pairs, key=lambda pair: -pair.moved)


def _pair(name: str, first: Times | None, second: Times | None) -> Pair:
    totals = (first.total if first else 0.0, second.total if second else 0.0)
    medians = (first.median if first else 0.0, second.median if second else 0.0)
    both = first is not None and second is not None
    return Pair(
        name,
        first,
        second,
        changed("total", *totals, words.seconds, judged=both),
        changed("median", *medians, words.seconds, judged=both),
    )


def causes_of(first: Facts, second: Facts) -> list[Told]:
    """The causes of failures in both, those first that have become more."""
    ours, theirs = ({_key(cause): cause for cause in record.causes} for record in (first, second))
    told = [
        Told(theirs.get(key) or ours[key], *(each[key].count if key in each else 0 for each in (ours, theirs)))
        for key in {**ours, **theirs}
    ]
    return sorted(told, key=lambda each: each.first - each.second)


def _key(cause: Cause) -> tuple[str, str, str]:
    # Lines move while code is worked on.
    file, _colon, rest = cause.where.partition(":")
    return cause.state, cause.kind, file + rest.partition(" in ")[2] if cause.where else cause.message
