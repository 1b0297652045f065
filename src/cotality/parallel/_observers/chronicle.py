"""Makes events of what a run does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from time import monotonic, time
from typing import Any

from cotality.parallel._data.around import put_around
from cotality.parallel._data.events import Event, EventName, Identity, Note, Observer, Subject, event_of
from cotality.parallel._data.messages import NOT_STARTED, AnyCall, Ending, Planned
from cotality.parallel._data.outcome import state_of_error
from cotality.parallel._data.task import task_of


class Chronicle:
    """A watcher that tells an observer events.

    Parameters:
        observer: Who is told.
        wants_tasks: Whether it is told of each task of a workflow that has finished or was cancelled.
        wants_items: Whether it is told of each item of a map, a list or a stream that has; there may be a million.
    """

    def __init__(self, observer: Observer, *, wants_tasks: bool = True, wants_items: bool = True) -> None:
        self.observer = observer
        self.wants_each = wants_tasks or wants_items
        self._wants_items = wants_items
        self.accompanies: bool = callable(getattr(observer, "accompany", None))
        self._attempts: dict[int, int] = {}
        """Which attempt of a task is the next, for those that have failed before."""

    def begin(self, run: Identity, subject: Subject, now: float) -> None:
        self._run, self._subject = run, subject
        self._began = now
        # The clock of the wall may be set while the run goes on: it is asked once.
        self._offset = time() - monotonic()
        self.observer.notice([Event("run.started", now + self._offset, *run, tasks=subject.total)])

    def accompany(self, batch: Sequence[Planned], now: float) -> Sequence[Planned]:
        return [(ticket, put_around(call, self._companion_of(ticket, call, now))) for ticket, call in batch]

    def _companion_of(self, ticket: int, call: AnyCall, now: float) -> AbstractContextManager[Any]:
        event = Event(
            "task.submitted",
            now + self._offset,
            *self._run,
            task=call.name,
            index=ticket,
            item=self._subject.is_item(ticket),
            place=self._subject.place_of(ticket),
            attempt=self._attempts.get(ticket, 1),
            backend=self._subject.backend_of(call),
        )
        companion: Any = self.observer
        manager: AbstractContextManager[Any] = companion.accompany(event)
        return manager

    def turn(self, endings: Sequence[Ending], notes: Sequence[Note], now: float) -> None:
        events: list[Event] = []
        ends: dict[int, Ending] = {}
        if notes:
            ends = {ending[0][0]: ending for ending in endings}
            for note in notes:
                events += self._decided(note, ends.get(note.ticket), now)
        if self.wants_each:
            told = {note.ticket for note in notes}
            events += self._finished(endings, told)
        if events:
            events.sort(key=_when)
            self.observer.notice(events)

    def end(self, state: str, now: float) -> None:
        counts = self._subject.counts()
        event = Event(
            "run.finished", now + self._offset, *self._run, duration=now - self._began, state=state, counts=counts
        )
        self.observer.notice([event])

    def _finished(self, endings: Sequence[Ending], told: set[int]) -> Iterator[Event]:
        (run, workflow), subject, offset, attempts = self._run, self._subject, self._offset, self._attempts
        wants_items = self._wants_items
        known: dict[tuple[int, int], tuple[str, str]] = {}
        """The name and the backend of tasks of one function and one set of options, of which there are few."""
        for (ticket, call), failure, _value, started, ended, worker in endings:
            if failure is not None or ticket in told:
                continue
            is_item = subject.is_item(ticket)
            if wants_items or not is_item:
                task = task_of(call)
                kind = id(task.callback_function), id(task.options)
                name, backend = known.get(kind) or known.setdefault(kind, (call.name, subject.backend_of(call)))
                attempt = attempts.pop(ticket, 1) if attempts else 1
                ready = subject.ready_at(ticket) if attempt == 1 else None
                yield event_of(
                    {
                        "name": "task.finished",
                        "at": ended + offset,
                        "run": run,
                        "workflow": workflow,
                        "task": name,
                        "index": ticket,
                        "item": is_item,
                        "place": subject.place_of(ticket),
                        "attempt": attempt,
                        "backend": backend,
                        "worker": worker,
                        "waited": None if ready is None else max(0.0, started - ready),
                        "duration": ended - started,
                    }
                )

    def _decided(self, note: Note, ending: Ending | None, now: float) -> Iterator[Event]:
        """The events that a decision comes to: a worker's death is one of its own."""
        at, worker, backend, waited, duration = now, None, None, None, None
        if ending is not None and ending[1] is not NOT_STARTED:
            (_ticket, call), _failure, _value, started, at, worker = ending
            # When it was due again is not written down.
            ready = self._subject.ready_at(note.ticket) if note.attempt == 1 else None
            backend, duration = self._subject.backend_of(call), at - started
            waited = None if ready is None else max(0.0, started - ready)
        event = Event(
            _NAMES[note.kind],
            at + self._offset,
            *self._run,
            task=note.name,
            index=note.ticket,
            item=self._subject.is_item(note.ticket),
            place=self._subject.place_of(note.ticket),
            attempt=note.attempt,
            backend=backend,
            worker=worker,
            waited=waited,
            duration=duration,
            error=note.error,
            retry_in=note.retry_in,
            first_cause=note.first_cause,
        )
        if note.kind == "retried":
            self._attempts[note.ticket] = note.attempt + 1
        else:
            self._attempts.pop(note.ticket, None)
        state = "" if note.error is None or ending is None else state_of_error(note.error)
        if state == "worker died":
            yield replace(event, name="worker.died", retry_in=None)
        timed_out = state == "timed out" and note.kind == "failed"
        yield replace(event, name="task.timed_out") if timed_out else event


_NAMES: dict[str, EventName] = {
    "retried": "task.retried",
    "failed": "task.failed",
    "skipped": "task.skipped",
    "cancelled": "task.cancelled",
}


def _when(event: Event) -> float:
    return event.at
