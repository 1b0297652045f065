"""When which worker was busy with what: an attempt is a slice of its worker's time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cotality.parallel._data.row import Row


class Slice(NamedTuple):
    """An attempt of a task.

    Parameters:
        row: The task.
        attempt: Which attempt, from 1.
        worker: Where it ran.
        place: Which of the places of that worker it took: what overlaps there, as coroutines do, has several.
        start: When it began.
        end: When it ended.
        state: How it ended.
        error: Why it did not succeed.
    """

    row: Row
    attempt: int
    worker: str
    place: int
    start: float
    end: float
    state: str
    error: str


def slices_of(rows: Iterable[Row]) -> list[Slice]:
    """All attempts that were made, by the time at which they began."""
    slices = sorted((each for row in rows for each in _attempts(row)), key=_start)
    busy: dict[str, list[tuple[float, int]]] = {}
    free: dict[str, list[int]] = {}
    for position, each in enumerate(slices):
        running, places = busy.setdefault(each.worker, []), free.setdefault(each.worker, [])
        while running and running[0][0] <= each.start:
            heapq.heappush(places, heapq.heappop(running)[1])
        place = heapq.heappop(places) if places else len(running)
        heapq.heappush(running, (each.end, place))
        slices[position] = each._replace(place=place)
    return slices


def _attempts(row: Row) -> Iterator[Slice]:
    for attempt, each in enumerate(row.earlier, start=1):
        yield Slice(row, attempt, each.worker or "?", 0, each.start, each.end, each.state, each.error)
    if row.start is not None and row.end is not None:
        last = len(row.earlier) + 1
        yield Slice(row, last, row.worker or "?", 0, row.start, row.end, row.state, row.error)


def _start(each: Slice) -> tuple[float, int]:
    return each.start, each.row.index
