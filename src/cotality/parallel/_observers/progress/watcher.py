"""Counts what ends in a run, and has that shown a few times a second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cotality.parallel._data.events import Identity, Note, Subject
from cotality.parallel._data.messages import Ending, Planned
from cotality.parallel._data.progress import Progress

SHOW_SECONDS = 0.1
"""The least time between two looks: people see no more, and each costs as much as a hundred tasks."""


class ProgressWatcher:
    """A watcher that counts.

    Parameters:
        observer: What ``progress=`` was, by which errors name it.
        show: Is given how far the run is.
    """

    accompanies = False
    wants_each = False

    def __init__(self, observer: Any, show: Callable[[Progress], Any]) -> None:
        self.observer = observer
        self._show = show
        self._succeeded: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._retried: Counter[str] = Counter()
        self._tasks: Counter[str] = Counter()
        """How many tasks of each name are known."""
        self._seen = 0
        self._next = 0.0

    def begin(self, run: Identity, subject: Subject, now: float) -> None:
        self._run, self._subject, self._began = run, subject, now
        self._look(now)

    def accompany(self, batch: Sequence[Planned], now: float) -> Sequence[Planned]:
        return batch

    def turn(self, endings: Sequence[Ending], notes: Sequence[Note], now: float) -> None:
        if notes:
            self._count_decided(notes)
            # A result may be refused, as a task is that was given for one: that is a failure, and no success.
            decided = {note.ticket for note in notes}
            endings = [ending for ending in endings if ending[0][0] not in decided]
        if self._run.workflow is None:
            self._succeeded[""] += [ending[1] for ending in endings].count(None)
        else:
            self._succeeded.update([ending[0][1].name for ending in endings if ending[1] is None])
        if now >= self._next:
            self._look(now)

    def end(self, state: str, now: float) -> None:
        self._look(now, finished=True)

    def _count_decided(self, notes: Sequence[Note]) -> None:
        self._learn_names()
        kinds = {"failed": self._failed, "skipped": self._skipped, "retried": self._retried}
        for note in notes:
            name = "" if self._run.workflow is None else note.name
            counted = kinds.get(note.kind)
            # A map may fail as well, and is no task.
            if counted is not None and (not name or name in self._tasks):
                counted[name] += 1

    def _learn_names(self) -> None:
        names, self._seen = self._subject.names(self._seen)
        self._tasks.update(names)

    def _look(self, now: float, *, finished: bool = False) -> None:
        self._next = now + SHOW_SECONDS
        self._learn_names()
        elapsed, total = now - self._began, self._subject.total
        to_come = self._subject.to_come()
        parts = {
            name: self._part(name, _total_of(name, known, to_come), elapsed, finished)
            for name, known in self._tasks.items()
        }
        self._show(
            Progress(
                self._run.workflow or "",
                total,
                self._succeeded.total(),
                self._failed.total(),
                self._skipped.total(),
                self._retried.total(),
                elapsed,
                finished,
                parts,
            )
        )

    def _part(self, name: str, total: int | None, elapsed: float, finished: bool) -> Progress:
        failed, skipped, retried = self._failed[name], self._skipped[name], self._retried[name]
        return Progress(name, total, self._succeeded[name], failed, skipped, retried, elapsed, finished)


def _total_of(name: str, known: int, to_come: Mapping[str, int] | None) -> int | None:
    """How many tasks of a name there are; None as long as any to come may be of that name."""
    return None if to_come is None or "" in to_come else known + to_come.get(name, 0)
