"""What travels between the run loop and a backend, and the protocol they speak.

A task in flight is known by its *ticket*, a number that the plan gives out. Messages are bare tuples: they are
made a million times, and a class would cost 0.2 µs more each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from cotality.parallel._data.task import Call, Task

AnyCall: TypeAlias = Task[Any] | Call
Planned: TypeAlias = tuple[int, AnyCall]
"""A ticket and its task, or the call that a task comes to once it has its inputs. One that is still wired takes the
result of the one before it in its batch."""

Ending: TypeAlias = tuple[Planned, BaseException | None, Any, float, float, str]
"""How an attempt ended: what was planned, failure or None, value, start and end in seconds of the monotonic clock, and
the worker that ran it."""


class NotStarted(Exception):
    """Stands as an ending's failure: the backend gives the task back, it never started."""


NOT_STARTED: Final = NotStarted()


class Source(Protocol):
    """Where the tasks of a run come from."""

    exhausted: bool
    """Whether nothing more will come."""
    error: Exception | None
    """What it raised, if it did."""

    def pull(self, most: int) -> list[Planned]:
        """Up to ``most`` tasks, none when there are none at the moment."""
        ...

    def close(self) -> None:
        """Nothing more is wanted."""
        ...


class Backend(Protocol):
    """One run's use of a place that runs attempts. Belongs to one thread, but for ``wake``.

    Everything planned that is submitted comes back from ``collect`` exactly once, whatever happens to its worker.
    """

    workers: int
    """The most attempts that run at once."""
    reach: int
    """The most tasks worth having in flight, however short they are."""

    def room(self) -> int:
        """How many batches it takes now; 0 when more would only wait."""
        ...

    def submit(self, batch: Sequence[Planned]) -> None:
        """Take a batch. Never waits for a task.

        Parameters:
            batch: Tickets and their tasks.
        """
        ...

    def collect(self, timeout: float | None) -> list[Ending]:
        """The endings since the last call, waiting for the first.

        May return none early. Room that has come free is a reason to return.

        Parameters:
            timeout: Seconds that it may wait; None: for ever.
        """
        ...

    def running(self) -> Iterable[tuple[int, float]]:
        """The ticket and the start of each attempt that runs now."""
        ...

    def interrupt(self, ticket: int, failure: BaseException) -> None:
        """End a running attempt, by force where that can be done; it may have ended otherwise.

        Parameters:
            ticket: The attempt's task.
            failure: What it is to end with.
        """
        ...

    def runaways(self) -> Sequence[str]:
        """The names of calls that go on behind the failure that they were ended with, because nothing can stop them.

        Each is told once. May wait a moment for those that can be asked to end.
        """
        ...

    def wake(self) -> None:
        """Make ``collect`` return soon; from any thread."""
        ...

    def ring(self, bell: Callable[[], None]) -> None:
        """Have it ring whenever there is something to collect and ``collect`` is not waiting for it.

        Told once and before anything is submitted, to a backend of a run that waits in another one.

        Parameters:
            bell: What to call then, from any thread.
        """
        ...

    def close(self) -> None:
        """Drop what has not started, end what runs where that can be done, give the workers back."""
        ...


class Pool(Protocol):
    """What can be given as ``backend=``: it opens a backend for each run."""

    def open(self, max_workers: int | None) -> Backend:
        """A backend for one run.

        Parameters:
            max_workers: The most workers; None: the pool's own number.
        """
        ...


Backend.__module__ = Pool.__module__ = "cotality.parallel"
