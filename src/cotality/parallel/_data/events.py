"""What observers are told, and what the parts of a run tell each other so that they can be.

A plan writes down a *note* where it decides something: that a task is tried again, failed for good, was skipped. An
observer inside of the engine, a *watcher*, sees after each turn of the run loop the endings and the notes of that turn,
as they are, which costs nothing. Who is told *events* instead gets one for each of them, with names that do not change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from cotality.parallel._data.messages import AnyCall, Ending, Planned

EventName: TypeAlias = Literal[
    "run.started",
    "run.finished",
    "task.submitted",
    "task.finished",
    "task.failed",
    "task.timed_out",
    "task.retried",
    "task.skipped",
    "task.cancelled",
    "worker.died",
]


@dataclass(frozen=True, eq=False)
class Event:
    """Something that happened in a run.

    Parameters:
        name: What it was.
        at: When, in seconds since the epoch.
        run: The run's id.
        workflow: The workflow's name; None in a run of a list or a stream.
        task: The task's name; None for what concerns the whole run, as do all that follow but the last three.
        index: The task's place in the run.
        item: Whether it is one of many: an item of a map, of a list or of a stream.
        place: For an item of a map, its place among the items, from 0.
        attempt: Which attempt of the task, from 1; 0 if it never started.
        backend: Where it runs: ``"threads"``, ``"processes"``, …
        worker: The thread or the process that ran it; None if it never started.
        waited: Seconds that it was due and waited for a worker, before its first attempt; None where that is not known,
            and for later ones.
        duration: Seconds that the attempt took.
        error: Why it did not succeed.
        retry_in: Seconds until the next attempt, for ``task.retried``.
        first_cause: The name of the task whose failure is the reason, for ``task.skipped``.
        tasks: How many tasks the run has, for ``run.started``; None where that is not known.
        state: How the run ended, for ``run.finished``.
        counts: How many of its tasks ended in which state, for ``run.finished``.

    Example:
        >>> from cotality.parallel import Task, run
        >>> class Finished:
        ...     def notice(self, events: list[Event]) -> None:
        ...         for event in events:
        ...             if event.name == "task.finished":
        ...                 print(event.task, event.index, event.backend)
        >>> _ = run([Task(len, {}, positional=("abc",))], backend="serial", observers=[Finished()])
        len 0 serial
    """

    name: EventName
    at: float
    run: str
    workflow: str | None = None
    task: str | None = None
    index: int | None = None
    item: bool = False
    place: int | None = None
    attempt: int = 0
    backend: str | None = None
    worker: str | None = None
    waited: float | None = None
    duration: float | None = None
    error: BaseException | None = None
    retry_in: float | None = None
    first_cause: str | None = None
    tasks: int | None = None
    state: str | None = None
    counts: Mapping[str, int] | None = None


def event_of(facts: dict[str, Any]) -> Event:
    """An event with these facts, by name; the others are as the class has them.

    There may be one for each of a million tasks, and to set each attribute of what is frozen takes three times as long.
    """
    event = object.__new__(Event)
    object.__setattr__(event, "__dict__", facts)
    return event


class Observer(Protocol):
    """Is told what happens in a run; given as ``observers=[…]``. It can neither change nor break the run: one that
    raises is told no more, and one error is logged.

    Example:
        >>> from cotality.parallel import Event, Task, run
        >>> class Names:
        ...     def notice(self, events: list[Event]) -> None:
        ...         print(*(event.name for event in events))
        >>> _ = run([Task(len, {}, positional=("abc",))], backend="serial", observers=[Names()])
        run.started
        task.finished
        run.finished
    """

    def notice(self, events: Sequence[Event], /) -> None:
        """Some things have happened. Called in the thread that runs the run loop, which waits.

        Parameters:
            events: What has happened, in this order.
        """
        ...


class Companion(Observer, Protocol):
    """An observer that sends something along with each attempt, such as the context of a trace."""

    def accompany(self, event: Event, /) -> AbstractContextManager[Any]:
        """An attempt is given to a backend, and may be given something to take along.

        Parameters:
            event: What is known of it; its name is ``task.submitted``.

        Returns:
            A context manager that is entered where the task runs, around its call; on processes it is pickled. For a
            coroutine it is entered again around its awaiting.
        """
        ...


class Identity(NamedTuple):
    """Which run it is.

    Parameters:
        id: Twelve characters that no other run has.
        workflow: The name of its workflow; None for a list or a stream.
    """

    id: str
    workflow: str | None = None


class Note(NamedTuple):
    """What a plan has decided about a task.

    Parameters:
        kind: What.
        ticket: The task.
        name: Its name.
        attempt: How often it was tried.
        error: Why.
        retry_in: Seconds until the next attempt, if there is one.
        first_cause: The name of the task whose failure is the reason, if it is another one.
    """

    kind: Literal["retried", "failed", "skipped", "cancelled"]
    ticket: int
    name: str
    attempt: int = 0
    error: BaseException | None = None
    retry_in: float | None = None
    first_cause: str | None = None


class Subject(Protocol):
    """What a watcher may ask of the run that it watches."""

    @property
    def total(self) -> int | None:
        """How many tasks it has; None as long as that is not known."""
        ...

    def to_come(self) -> Mapping[str, int] | None:
        """How many tasks its maps will still make, by name, the empty one where names differ; None if that is not
        known."""
        ...

    def names(self, start: int) -> tuple[Sequence[str], int]:
        """The names of its tasks from a ticket on, as far as they are known, and the ticket to go on from."""
        ...

    def is_item(self, ticket: int) -> bool:
        """Whether a task is one of many."""
        ...

    def place_of(self, ticket: int) -> int | None:
        """The place of an item in its map; None for what is no item of one."""
        ...

    def ready_at(self, ticket: int) -> float | None:
        """When it was due, on the monotonic clock; None where that is not written down."""
        ...

    def backend_of(self, call: AnyCall) -> str:
        """The name of the backend that it runs on."""
        ...

    def counts(self) -> Mapping[str, int]:
        """How many tasks ended in which state."""
        ...


class Watcher(Protocol):
    """An observer inside of the engine; all of it is called in the thread of the run loop, with monotonic times."""

    accompanies: bool
    """Whether it is to be asked before attempts are given to a backend."""
    wants_each: bool
    """Whether it is told of each task, also of those with which nothing happened."""

    def begin(self, run: Identity, subject: Subject, now: float) -> None:
        """The run begins."""
        ...

    def accompany(self, batch: Sequence[Planned], now: float) -> Sequence[Planned]:
        """These attempts are given to a backend, or others in their place that are the same and do more."""
        ...

    def turn(self, endings: Sequence[Ending], notes: Sequence[Note], now: float) -> None:
        """So many attempts have ended since the last time, and this was decided."""
        ...

    def end(self, state: str, now: float) -> None:
        """The run is over."""
        ...


Event.__module__ = Observer.__module__ = Companion.__module__ = "cotality.parallel"
