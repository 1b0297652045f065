"""Progress as a line now and then, where there is no terminal: in a log file, under cron."""

from __future__ import annotations

from typing import IO

from cotality.parallel._data.progress import Progress
from cotality.parallel._observers.progress.words import clock, counts, rate, remaining, troubles

FIRST_SECONDS = 5.0
MOST_SECONDS = 300.0


class Lines:
    """Writes a line after 5 seconds, after 10, 20 and so on, at least every 5 minutes, and one at the end.

    Parameters:
        file: Where to.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._wait = FIRST_SECONDS
        self._next = FIRST_SECONDS

    def __call__(self, progress: Progress) -> None:
        if progress.elapsed < self._next and not progress.finished:
            return
        self._next = progress.elapsed + self._wait
        self._wait = min(2 * self._wait, MOST_SECONDS)
        self._file.write(line(progress) + "\n")
        self._file.flush()


def line(progress: Progress) -> str:
    """Progress in one line."""
    facts = [f"{counts(progress)} tasks", troubles(progress), rate(progress), clock(progress.elapsed)]
    text = ", ".join(fact for fact in [*facts, remaining(progress)] if fact)
    return f"{progress.name}: {text}" if progress.name else text
