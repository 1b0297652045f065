"""The critical path of a run: the chain of tasks, each waiting for the one before it, that took longest."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from cotality.parallel.recounting import Row
from cotality.workflow._report.facts import Facts


class Path(NamedTuple):
    """The critical path.

    Parameters:
        rows: Its tasks, the first one first.
        seconds: How long they took, one after the other.
    """

    rows: list[Row]
    seconds: float


def span_of(row: Row) -> float:
    """The seconds from the start of a task's first attempt to its end."""
    if row.start is None or row.end is None:
        return 0.0
    start = row.earlier[0].start if row.earlier else row.start
    return max(0.0, row.end - start)


def needs_of(record: Facts) -> dict[int, tuple[int, ...]]:
    """What each task and each joint of a run has waited for, as far as that is in the record."""
    needs = {row.index: row.needs for row in record.rows}
    needs.update((ticket, tuple(needed)) for ticket, needed in record.joints.items())
    return {place: tuple(need for need in needed if need in needs) for place, needed in needs.items()}


def in_order(needs: dict[int, tuple[int, ...]]) -> list[int]:
    """All of them, each behind what it needs."""
    waits = {place: len(needed) for place, needed in needs.items()}
    dependents: dict[int, list[int]] = {}
    for place, needed in needs.items():
        for need in needed:
            dependents.setdefault(need, []).append(place)
    ready = deque(place for place, count in waits.items() if not count)
    order: list[int] = []
    while ready:
        place = ready.popleft()
        order.append(place)
        for dependent in dependents.get(place, ()):
            waits[dependent] -= 1
            if not waits[dependent]:
                ready.append(dependent)
    return order


def critical_path(record: Facts) -> Path:
    """The critical path of a run: with as many workers as you like it would not have been faster than that."""
    rows = {row.index: row for row in record.rows}
    needs = needs_of(record)
    seconds: dict[int, float] = {}
    before: dict[int, int | None] = {}
    for place in in_order(needs):
        longest = max(needs[place], key=lambda need: seconds.get(need, 0.0), default=None)
        before[place] = longest
        own = span_of(rows[place]) if place in rows else 0.0
        seconds[place] = own + (0.0 if longest is None else seconds.get(longest, 0.0))
    if not seconds:
        return Path([], 0.0)
    total, end = max((took, place) for place, took in seconds.items())
    last: int | None = end
    chain: list[Row] = []
    while last is not None:
        if last in rows and rows[last].start is not None:
            chain.append(rows[last])
        last = before[last]
    return Path(chain[::-1], total)
