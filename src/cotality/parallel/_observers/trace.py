"""A run as a trace that Perfetto and ``chrome://tracing`` show: a row for each worker, arrows for what needs what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cotality.parallel._data.row import Row

_PROCESS = 1


def trace_of(name: str, rows: Iterable[Row]) -> dict[str, Any]:
    """The trace of a run in Chrome's format.

    Parameters:
        name: What the run is called.
        rows: Its tasks.
    """
    started = sorted((row for row in rows if row.start is not None and row.end is not None), key=_start)
    tracks = _tracks(started)
    numbers = {track: number for number, track in enumerate(dict.fromkeys(tracks.values()), start=1)}
    events = [_meta("process_name", 0, name)]
    events += [_meta("thread_name", number, track) for track, number in numbers.items()]
    for row in started:
        events.append(_slice(row, numbers[tracks[row.index]]))
    events += _flows(started, {index: numbers[track] for index, track in tracks.items()})
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _tracks(started: Iterable[Row]) -> dict[int, str]:
    """The track of each task. What overlaps on one worker, as coroutines do, is put on several."""
    tracks: dict[int, str] = {}
    ends: dict[str, list[float]] = {}
    for row in started:
        worker, start, end = row.worker or "?", row.start or 0.0, row.end or 0.0
        known = ends.setdefault(worker, [])
        place = next((place for place, until in enumerate(known) if until <= start), len(known))
        known[place : place + 1] = [end]
        tracks[row.index] = worker if not place else f"{worker} ({place + 1})"
    return tracks


def _slice(row: Row, track: int) -> dict[str, Any]:
    start, end = row.start or 0.0, row.end or 0.0
    facts = {
        "index": row.index,
        "state": row.state,
        "attempts": row.attempts,
        "waited": None if row.ready is None else round(max(0.0, start - row.ready), 6),
        "error": row.error,
    }
    return {
        "ph": "X",
        "name": row.task,
        "cat": row.state,
        "pid": _PROCESS,
        "tid": track,
        "ts": _microseconds(start),
        "dur": _microseconds(end - start),
        "args": {key: value for key, value in facts.items() if value not in (None, "")},
    }


def _flows(started: Iterable[Row], tracks: dict[int, int]) -> Iterator[dict[str, Any]]:
    """An arrow from the end of a task to the start of each that takes its result."""
    ends = {row.index: row.end or 0.0 for row in started}
    number = 0
    for row in started:
        for source in row.inputs:
            if source not in ends:
                continue
            number += 1
            common = {"name": "result", "cat": "dependency", "id": number, "pid": _PROCESS}
            # Within the slice that it leaves, or it is not shown.
            yield {**common, "ph": "s", "tid": tracks[source], "ts": _microseconds(ends[source]) - 1}
            yield {**common, "ph": "f", "bp": "e", "tid": tracks[row.index], "ts": _microseconds(row.start or 0.0)}


def _meta(kind: str, track: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": _PROCESS, "tid": track, "args": {"name": name}}


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


def _start(row: Row) -> float:
    return row.start or 0.0
