"""Which task of which run something belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from cotality.parallel._data.events import Identity
from cotality.parallel._data.messages import Planned


@dataclass(frozen=True, slots=True)
class CurrentTask:
    """The attempt that a piece of code is part of.

    Parameters:
        run: The run's id.
        workflow: The workflow's name; None in a run of a list or a stream.
        task: The task's name.
        index: The task's place in the run.
        attempt: Which attempt of the task it is, from 1.

    Example:
        >>> from cotality.parallel import Task, current_task, run
        >>> [now] = run([Task(current_task, {})])
        >>> now.task, now.index, now.attempt
        ('current_task', 0, 1)
    """

    run: str
    workflow: str | None
    task: str
    index: int
    attempt: int


FIELDS: Final = CurrentTask.__slots__


def facts_of(task: CurrentTask | None) -> dict[str, Any]:
    """What is known of a task, by the names under which it is logged."""
    return {} if task is None else {field: getattr(task, field) for field in FIELDS}


class Belonging(NamedTuple):
    """For which run a backend works.

    Parameters:
        run: Which run it is.
        attempt_of: Which attempt of a task, by its ticket, is the present one; may be asked from any thread.
        hear: Is given what a task said where the caller does not hear it by itself, and which task that was, if any.
            To be called in the thread of the run loop. Raises no ``Exception``.
        timed: Whether it has to be known when attempts begin, because of a timeout or a limit.
    """

    run: Identity
    attempt_of: Callable[[int], int]
    hear: Callable[[CurrentTask | None, Any], object]
    timed: Callable[[], bool]

    def task(self, planned: Planned) -> CurrentTask:
        """What is known of the present attempt of a task."""
        ticket, call = planned
        return CurrentTask(*self.run, call.name, ticket, self.attempt_of(ticket))


CurrentTask.__module__ = "cotality.parallel"
