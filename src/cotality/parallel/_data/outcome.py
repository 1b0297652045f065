"""What a task came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeAlias, TypeGuard, TypeVar

from cotality.parallel._data.task_errors import ResultNotKept, TaskError
from cotality.parallel._data.wording import placed, summary_of

R = TypeVar("R", covariant=True)

MOST_LETTERS = 500
"""How much of a message is told in a line: what to do about it often stands at its end."""

State: TypeAlias = Literal["succeeded", "failed", "timed out", "worker died", "cancelled", "skipped"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Outcome(Generic[R]):
    """What a task came to, with its times.

    Parameters:
        task: The task; None in a worker, where only its name has come along.
        name: Its name.
        index: Its place in the run, counted in the order in which the tasks could run.
        state: How it ended.
        value: What it gave, if it succeeded and its result was kept; else None.
        error: Why it did not succeed; else None.
        attempts: How often it was tried; 0 if it never started.
        waited: Seconds that it was due and waited for a worker, before its first attempt.
        duration: Seconds that its last attempt took.
        worker: Where its last attempt ran: a thread's name, or a process with its id.
        first_cause: The name of the task whose failure made this one be skipped.
        kept: Whether ``value`` is what a task that succeeded gave; False if that was dropped, as nobody needed it.
        place: For an item of a map, its place among the items, from 0; else None.

    Example:
        >>> from cotality.workflow import Workflow, task
        >>> @task
        ... def half(number: int) -> float:
        ...     return number / 2
        >>> flow = Workflow()
        >>> three = flow.add(half(3))
        >>> flow.run().outcome(three).state
        'succeeded'
    """

    task: Any
    name: str
    index: int
    state: State
    value: R | None = None
    error: Exception | None = None
    attempts: int = 1
    waited: float = 0.0
    duration: float = 0.0
    worker: str | None = None
    first_cause: str | None = None
    kept: bool = True
    place: int | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the task gave a result."""
        return self.state == "succeeded"

    def result(self) -> R:
        """What the task gave.

        Raises:
            Exception: the task's error, if it did not succeed.
            ResultNotKept: it succeeded, and its result was dropped.
        """
        if self.error is not None:
            raise self.error
        if not self.kept:
            raise ResultNotKept(f"the result of {self.name} was not kept: add the task to the workflow to keep it")
        return self.value  # type: ignore[return-value]

    @property
    def reason(self) -> str:
        """Why it did not succeed, in one line; empty if it did."""
        return "" if self.error is None else f"{summary_of(self.error):.{MOST_LETTERS}}"

    def __repr__(self) -> str:
        tries = f" after {self.attempts} attempts" if self.attempts > 1 else ""
        why = f": {self.reason}" if self.reason else ""
        return f"<Outcome of {self.name} ({placed(self.index, self.place)}): {self.state}{tries}{why}>"

    def __reduce__(self) -> Any:
        # The task itself holds its whole past, and perhaps what can not travel.
        facts = (self.name, self.index, self.state, self.value, self.error, self.attempts)
        return Outcome, (None, *facts, self.waited, self.duration, self.worker, self.first_cause, self.kept, self.place)


_STATES: Final[dict[str, State]] = {"TaskTimeout": "timed out", "WorkerDied": "worker died"}


def is_ours(error: BaseException) -> TypeGuard[TaskError]:
    """Whether this says what became of a task; a class that somebody has derived from such an error does not."""
    return isinstance(error, TaskError) and type(error).__module__ == "cotality.parallel.errors"


def state_of_error(error: BaseException) -> State:
    """How a task has ended that failed with this."""
    if not is_ours(error) or error.passed_on:
        return "failed"
    return _STATES.get(type(error).__name__, "failed")


Outcome.__module__ = "cotality.parallel"
