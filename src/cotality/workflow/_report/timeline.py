"""The timeline of a run, in columns that a page can draw: who was busy when, and how many tasks waited."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

from cotality.parallel.recounting import Row, Slice, shown, slices_of
from cotality.workflow._report.facts import Facts
from cotality.workflow._report.times import waited_of

MOST_BARS = 50_000
"""More are put together where they are shorter than can be seen."""
MOST_LANES = 400
"""Where there are more workers, those that came after each other share a lane; beyond that they are drawn over each
other."""
MOST_NAMES = 5_000
"""Tasks with other names than the first of these are told by their index alone."""
BINS = 400

STATES = ("succeeded", "retried", "failed", "timed out", "worker died", "cancelled", "skipped")
"""By what is worse, as far as it is drawn; the page knows them by their place."""

Track: TypeAlias = tuple[str, int]
"""A worker, and which of its places."""


class Bar(NamedTuple):
    """What is drawn: a slice, or several that are too short to be seen."""

    lane: int
    start: float
    end: float
    state: int
    name: int
    place: int
    waited: float
    attempt: int
    tasks: int


class Timeline(NamedTuple):
    """Who was busy when.

    Parameters:
        lanes: The names of the rows: workers, or places of one that does several things at once.
        bars: What they did.
        names: The names of tasks, by the numbers that bars hold.
        waiting: How many tasks were due and had no worker, on average, in each of so many equal parts of the run.
        busy: Seconds that all attempts took together.
    """

    lanes: list[str]
    bars: list[Bar]
    names: list[str]
    waiting: list[float]
    busy: float

    def columns(self) -> dict[str, Any]:
        """All of it for the page: numbers in columns, times in microseconds."""
        bars = self.bars
        plain = ("lane", "state", "name", "place", "attempt", "tasks")
        columns: dict[str, Any] = {name: [getattr(bar, name) for bar in bars] for name in plain}
        columns["start"] = [_microseconds(bar.start) for bar in bars]
        columns["length"] = [max(0, _microseconds(bar.end - bar.start)) for bar in bars]
        columns["wait"] = [_microseconds(bar.waited) for bar in bars]
        names = [_short(name) for name in self.names]
        waiting = [round(count, 1) for count in self.waiting]
        return {"lanes": self.lanes, "names": names, "states": STATES, "waiting": waiting, "bars": columns}


def timeline_of(record: Facts) -> Timeline:
    """The timeline of a run."""
    slices = slices_of(record.rows)
    lanes, titles = _lanes(slices)
    names: dict[str, int] = {}
    bars = [_bar(each, lanes, names) for each in slices]
    return Timeline(
        titles,
        merged(bars, record.duration),
        list(names),
        waiting(record.rows, record.duration),
        sum(each.end - each.start for each in slices),
    )


def _lanes(slices: Sequence[Slice]) -> tuple[dict[Track, int], list[str]]:
    """The lane of each track, and what lanes are called."""
    ends: dict[Track, float] = {}
    starts: dict[Track, float] = {}
    for each in slices:
        track = each.worker, each.place
        starts.setdefault(track, each.start)
        ends[track] = max(ends.get(track, 0.0), each.end)
    if len(starts) <= MOST_LANES:
        used = sorted(starts, key=lambda track: (_natural(track[0]), track[1]))
        return {track: lane for lane, track in enumerate(used)}, [_title([track]) for track in used]
    shared: list[list[Track]] = []
    free: list[tuple[float, int]] = []
    lanes: dict[Track, int] = {}
    for track, start in starts.items():
        if (free and free[0][0] <= start) or len(shared) == MOST_LANES:
            lane = heapq.heappop(free)[1]
        else:
            lane = len(shared)
            shared.append([])
        shared[lane].append(track)
        lanes[track] = lane
        heapq.heappush(free, (ends[track], lane))
    return lanes, [_title(tracks) for tracks in shared]


def _title(tracks: Sequence[Track]) -> str:
    worker, place = tracks[0]
    title = _short(worker if not place else f"{worker} ({place + 1})")
    return title if len(tracks) == 1 else f"{title} and {len(tracks) - 1:,} more"


def _natural(worker: str) -> tuple[str, int]:
    """For an order in which 10 comes behind 9."""
    text = worker.rstrip("0123456789")
    return text, int(worker[len(text) :] or 0) if len(worker) - len(text) < 20 else 0


def _bar(each: Slice, lanes: dict[Track, int], names: dict[str, int]) -> Bar:
    row = each.row
    is_last = each.attempt > len(row.earlier)
    state = STATES.index(each.state if each.state in STATES else "failed") if is_last else STATES.index("retried")
    waited = waited_of(row) if each.attempt == 1 else 0.0
    name = names.setdefault(row.task, len(names)) if len(names) < MOST_NAMES else names.get(row.task, -1)
    return Bar(lanes[each.worker, each.place], each.start, each.end, state, name, row.index, waited, each.attempt, 1)


def merged(bars: Sequence[Bar], duration: float, most: int = MOST_BARS) -> list[Bar]:
    """At most so many bars, of which each stands for some that are too short to be seen, where there are more."""
    ordered = sorted(bars, key=lambda bar: (bar.lane, bar.start))
    resolution = max(duration, 1e-6) / most
    while len(ordered) > most and resolution < 4 * duration:
        ordered = _merge(ordered, resolution)
        resolution *= 1.5
    return ordered


def _merge(bars: Iterable[Bar], resolution: float) -> list[Bar]:
    """Put together what is shorter than this and stands closer than that to what is before it."""
    found: list[Bar] = []
    for bar in bars:
        last = found[-1] if found else None
        if (
            last is not None
            and last.lane == bar.lane
            and bar.end - last.start < 4 * resolution
            and bar.start - last.end < resolution
        ):
            name = last.name if last.name == bar.name else -1
            state, tasks = max(last.state, bar.state), last.tasks + bar.tasks
            found[-1] = Bar(last.lane, last.start, max(last.end, bar.end), state, name, -1, 0.0, 0, tasks)
        else:
            found.append(bar)
    return found


def waiting(rows: Iterable[Row], duration: float, bins: int = BINS) -> list[float]:
    """How many tasks were due and had no worker, on average, in each of so many equal parts of the run."""
    width = max(duration, 1e-6) / bins
    # Of each wait, where its line rises and where it falls again, shared between the two parts around.
    changes = [0.0] * (bins + 2)
    for row in rows:
        waited = waited_of(row)
        if row.ready is None or not waited:
            continue
        for at, sign in ((row.ready, 1.0), (row.ready + waited, -1.0)):
            place = min(max(at / width, 0.0), float(bins))
            part = int(place)
            changes[part] += sign * (1 - (place - part))
            changes[part + 1] += sign * (place - part)
    return [max(0.0, count) for count in accumulate(changes)][:bins]


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


def _short(text: str) -> str:
    return f"{shown(text):.120}"
