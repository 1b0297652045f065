"""A run as a trace that Perfetto and ``chrome://tracing`` show: a row for each worker, arrows for what needs what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cotality.parallel._data.row import Row
from cotality.parallel._data.slices import Slice, slices_of

_PROCESS = 1


def trace_of(name: str, rows: Iterable[Row]) -> dict[str, Any]:
    """The trace of a run in Chrome's format: a slice for each attempt.

    Parameters:
        name: What the run is called.
        rows: Its tasks.
    """
    slices = slices_of(rows)
    tracks: dict[tuple[str, int], int] = {}
    for each in slices:
        tracks.setdefault((each.worker, each.place), len(tracks) + 1)
    events = [_meta("process_name", 0, name)]
    events += [_meta("thread_name", number, _track(*track)) for track, number in tracks.items()]
    events += [_slice(each, tracks[each.worker, each.place]) for each in slices]
    events += _flows(slices, tracks)
    return {"traceEvents": events, "displayTimeUnit": "ms"}


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
    return {
        "ph": "X",
        "name": row.task,
        "cat": each.state,
        "pid": _PROCESS,
        "tid": track,
        "ts": _microseconds(each.start),
        "dur": _microseconds(each.end - each.start),
        "args": {key: value for key, value in facts.items() if value not in (None, "")},
    }


def _flows(slices: Iterable[Slice], tracks: dict[tuple[str, int], int]) -> Iterator[dict[str, Any]]:
    """An arrow from the end of a task to the start of the first attempt of each that takes its result."""
    last = {each.row.index: each for each in slices}
    number = 0
    for each in slices:
        for source in each.row.inputs if each.attempt == 1 else ():
            if source not in last:
                continue
            number += 1
            before = last[source]
            common = {"name": "result", "cat": "dependency", "id": number, "pid": _PROCESS}
            # Within the slice that it leaves, or it is not shown.
            left = {"tid": tracks[before.worker, before.place], "ts": _microseconds(before.end) - 1}
            yield {**common, "ph": "s", **left}
            reached = {"tid": tracks[each.worker, each.place], "ts": _microseconds(each.start)}
            yield {**common, "ph": "f", "bp": "e", **reached}


def _meta(kind: str, track: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": _PROCESS, "tid": track, "args": {"name": name}}


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
