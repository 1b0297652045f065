"""Where the tasks of a run come from: any iterable, endless ones included, asked for one handful at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter
from typing import Any, Final

from cotality.parallel._data.messages import Planned
from cotality.parallel._data.task import Task

_wired: Final = attrgetter("wired")
_predecessors: Final = attrgetter("predecessors")


class IterableSource:
    """Numbers the tasks of an iterable and checks that they are tasks which need no other task.

    Parameters:
        tasks: The iterable. A list or tuple is checked as a whole at once, anything else item by item as it comes.

    Raises:
        TypeError: not iterable, or a list or tuple with something in it that is not a task or needs another one.
    """

    def __init__(self, tasks: Iterable[Task[Any]]) -> None:
        try:
            items = iter(tasks)
        except TypeError:
            raise TypeError(f"tasks must be an iterable of Task objects, not {type(tasks).__name__}") from None
        self.exhausted = False
        self.error: Exception | None = None
        self._items = items
        if isinstance(tasks, (list, tuple)):
            # By their types, of which there are few: a tenth of the time of asking each item.
            if not all(issubclass(kind, Task) for kind in set(map(type, tasks))):
                raise next(_not_a_task(index, item) for index, item in enumerate(tasks) if not isinstance(item, Task))
            # Likewise by what they need, which is nothing.
            if any(map(_wired, tasks)) or any(map(_predecessors, tasks)):
                raise next(_needs_others(index, task) for index, task in enumerate(tasks) if _needs(task))
            self._planned: Iterator[Planned] = enumerate(items)
        else:
            self._planned = _checked(items)

    def pull(self, most: int) -> list[Planned]:
        """Up to ``most`` tasks. An error of the iterable ends it and is kept in ``error``."""
        pulled: list[Planned] = []
        try:
            # Extending keeps what came before an error, which a list() would lose.
            pulled.extend(islice(self._planned, most))
        except Exception as error:
            self.error = error
        if len(pulled) < most:
            self.exhausted = True
        return pulled

    def close(self) -> None:
        """Tell the iterator that nothing more is wanted, so that a generator's ``finally`` runs now."""
        self.exhausted = True
        close = getattr(self._items, "close", None)
        if close is not None:
            close()


def _checked(items: Iterator[Task[Any]]) -> Iterator[Planned]:
    for index, task in enumerate(items):
        if not isinstance(task, Task):
            raise _not_a_task(index, task)
        if _needs(task):
            raise _needs_others(index, task)
        yield index, task


def _not_a_task(index: int, found: object) -> TypeError:
    return TypeError(
        f"tasks must be Task objects: item {index} is of type {type(found).__name__}; "
        "make it a Task(function, arguments)"
    )


def _needs(task: Task[Any]) -> bool:
    return bool(task.wired or task.predecessors)


def _needs_others(index: int, task: Task[Any]) -> TypeError:
    return TypeError(f"item {index} of the tasks, {task.name}, needs another task: add it to a Workflow and run that")
