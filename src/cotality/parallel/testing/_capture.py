"""The events of runs whose observers a test can not set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cotality.parallel._data.events import Event
from cotality.parallel._observers.attend import guests
from cotality.parallel._observers.chronicle import Chronicle


class _Collector:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def notice(self, events: Sequence[Event], /) -> None:
        self.events += events


@contextmanager
def capture_events() -> Iterator[list[Event]]:
    """Collect the events of all runs that begin inside.

    Returns:
        A list that grows while runs go on.

    Example:
        >>> from cotality.parallel import Task, run
        >>> from cotality.parallel.testing import capture_events
        >>> with capture_events() as events:
        ...     _ = run([Task(len, {}, positional=("abc",))])
        >>> [event.name for event in events]
        ['run.started', 'task.finished', 'run.finished']
    """
    collector = _Collector()

    def watcher() -> Chronicle:
        return Chronicle(collector)

    guests.append(watcher)
    try:
        yield collector.events
    finally:
        guests.remove(watcher)
