"""A run as a trace that Perfetto and ``chrome://tracing`` show: a row for each worker, arrows for what needs what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cotality.parallel._data.row import Row
from cotality.parallel._data.slices import Slice, slices_of

_PROCESS = 1
_FIRST_THREAD = 2
"""The one with the number of the process would be shown as its main thread."""


def trace_of(name: str, rows: Iterable[Row], joints: Mapping[int, Sequence[int]]) -> dict[str, Any]:
    """The trace of a run in Chrome's format: a slice for each attempt.

    Parameters:
        name: What the run is called.
        rows: Its tasks.
        joints: What is no task and only joins some, with what it needed.
    """
    slices = slices_of(rows)
    # Workers as they came, and what overlaps on one of them side by side.
    workers = {worker: number for number, worker in enumerate(dict.fromkeys(each.worker for each in slices))}
    places = sorted({(each.worker, each.place) for each in slices}, key=lambda track: (workers[track[0]], track[1]))
    tracks = {track: number for number, track in enumerate(places, start=_FIRST_THREAD)}
    events = [_meta("process_name", 0, name)]
    events += [_meta("thread_name", number, _track(*track)) for track, number in tracks.items()]
    events += [_slice(each, tracks[each.worker, each.place]) for each in slices]
    events += _flows(slices, tracks, joints)
    # To Chrome's viewer that is also how exact times are: with "ms" a task of less than a microsecond is a part of the
    # one before it, and its arrows are dropped.
    return {"traceEvents": events, "displayTimeUnit": "ns"}


def _track(worker: str, place: int) -> str:
    return worker if not place else f"{worker} ({place + 1})"


def _slice(each: Slice, track: int) -> dict[str, Any]:
    row = each.row
    facts = {
        "index": row.index,
        "state": each.state,
        "attempt": each.attempt,
        "attempts": row.attempts,
        # When a task was due again is not written down.
        "waited": None if row.ready is None or each.attempt > 1 else round(max(0.0, each.start - row.ready), 6),
        "error": each.error,
    }
    start, end = _nanoseconds(each.start), _nanoseconds(each.end)
    return {
        "ph": "X",
        "name": row.task,
        "cat": each.state,
        "pid": _PROCESS,
        "tid": track,
        "ts": start / 1000,
        "dur": (end - start) / 1000,
        "args": {key: value for key, value in facts.items() if value not in (None, "")},
    }


def _flows(
    slices: Iterable[Slice], tracks: dict[tuple[str, int], int], joints: Mapping[int, Sequence[int]]
) -> Iterator[dict[str, Any]]:
    """An arrow from the end of a task to the start of the first attempt of each that has waited for it."""
    ends = _ends(slices, joints)
    number = 0
    for each in slices:
        for need in each.row.needs if each.attempt == 1 else ():
            before = ends.get(need)
            if before is None:
                continue
            number += 1
            common = {"name": "dependency", "cat": "dependency", "id": number, "pid": _PROCESS}
            # Within the slice that it leaves, or it is not shown.
            leaves = max(_nanoseconds(before.start), _nanoseconds(before.end) - 1)
            yield {**common, "ph": "s", "tid": tracks[before.worker, before.place], "ts": leaves / 1000}
            reaches = _nanoseconds(each.start)
            yield {**common, "ph": "f", "bp": "e", "tid": tracks[each.worker, each.place], "ts": reaches / 1000}


def _ends(slices: Iterable[Slice], joints: Mapping[int, Sequence[int]]) -> dict[int, Slice | None]:
    """The last attempt of each task, and for each joint that of the task which it waited for the longest: arrows from
    all items of a map to all that take its results would be too many to see anything."""
    ends: dict[int, Slice | None] = {each.row.index: each for each in slices}
    for joint in joints:
        # Joints are needed by others in turn, and chains of them may be long.
        waiting = [joint]
        while waiting:
            needed = joints[waiting[-1]]
            first = [need for need in needed if need in joints and need not in ends]
            if first:
                waiting += first
            else:
                known = (before for need in needed if (before := ends.get(need)) is not None)
                ends[waiting.pop()] = max(known, key=_end, default=None)
    return ends


def _end(each: Slice) -> float:
    return each.end


def _meta(kind: str, track: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": _PROCESS, "tid": track, "args": {"name": name}}


def _nanoseconds(seconds: float) -> int:
    """Of microseconds, in which traces count, many a task takes less than one: rounded to those it would overlap."""
    return round(seconds * 1e9)
