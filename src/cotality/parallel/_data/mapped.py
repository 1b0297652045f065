"""A map: a task for each item of something that may only be known when the run has come to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from cotality.parallel._data.outcome import Outcome
from cotality.parallel._data.reference import OUTCOME, Reference, Wire, weave
from cotality.parallel._data.task import Absent, Task, check_nodes, name_of
from cotality.parallel._data.task_errors import ReferenceMisuse

R = TypeVar("R", covariant=True)


class Mapped(Generic[R]):
    """What ``Workflow.map`` returns: as many tasks as there are items.

    Parameters:
        function: Called with the items, one of each iterable; gives a task or, for a map in a map, another map.
        iterables: What to go through together: lists, iterators, or references to them.

    Raises:
        TypeError: something that can not be gone through, or a text.

    Example:
        >>> from cotality.workflow import Workflow, task
        >>> @task
        ... def double(number: int) -> int:
        ...     return 2 * number
        >>> @task
        ... def total(numbers: list[int]) -> int:
        ...     return sum(numbers)
        >>> flow = Workflow()
        >>> doubles = flow.map(double, [1, 2, 3])
        >>> answer = flow.add(total(doubles.outputs))
        >>> flow.run()[answer]
        12
    """

    __slots__ = ("__weakref__", "function", "lent", "name", "predecessors", "sources", "used_up")
    __node__: ClassVar[bool] = True

    def __init__(self, function: Callable[..., Any], iterables: tuple[Any, ...]) -> None:
        if not callable(function):
            raise TypeError(f"map needs a function that makes a task, not {type(function).__name__}")
        if not iterables:
            raise TypeError("map needs at least one iterable")
        self.function: Callable[..., Any] = function
        self.name: str = f"map of {name_of(function)}"
        self.predecessors: tuple[Any, ...] = ()
        self.used_up: bool = False
        """Whether a run has gone through an iterator that can be gone through once."""
        opened = [_source(given) for given in iterables]
        self.sources: tuple[Wire | Iterable[Any], ...] = tuple(source for source, _wires in opened)
        self.lent: tuple[Wire, ...] = tuple(wire for _source, wires in opened for wire in wires)
        """What stands for references among the items: an item is a reference again when its task is made."""

    @property
    def outputs(self) -> list[R]:
        """A reference to the results of all items, in their order, to be given to a task or to another map."""
        return Reference(self)  # type: ignore[return-value]

    @property
    def outcomes(self) -> list[Outcome[R]]:
        """A reference to what each item came to. Who takes it waits for all to end and is never skipped."""
        return Reference(Wire(self, OUTCOME))  # type: ignore[return-value]

    def after(self, *others: Task[Any] | Mapped[Any]) -> Mapped[R]:
        """Begin only when these have succeeded; changes the map and gives it back.

        Parameters:
            others: Tasks and maps.

        Raises:
            TypeError: something that is neither a task nor a map.
        """
        check_nodes(self.name, others)
        self.predecessors += others
        return self

    def __iter__(self) -> Iterator[R]:
        raise ReferenceMisuse(
            f"the {self.name} can not be iterated: its items are known only when the run has come to it. "
            "Pass its .outputs to a task, or read run[mapped] after the run"
        )

    def __repr__(self) -> str:
        return f"<{self.name}>"

    if not TYPE_CHECKING:
        output = outcome = Absent("a map has .outputs and .outcomes, lists of what its items gave")


def _source(given: Any) -> tuple[Wire | Iterable[Any], list[Wire]]:
    """What to go through, and the wires among its items."""
    if isinstance(given, (str, bytes)):
        raise TypeError(f"map was given {type(given).__name__}, whose items are letters: put it into a list")
    if isinstance(given, (Task, Mapped)):
        raise ReferenceMisuse(f"a task was given to map where its output belongs: pass its .output ({given.name})")
    woven: Any
    woven, wires = weave(given) if isinstance(given, (Reference, list, tuple)) else (given, [])
    if isinstance(woven, Wire):
        return woven, []
    try:
        iter(woven)
    except TypeError:
        raise TypeError(f"map needs iterables, not {type(given).__name__}") from None
    return woven, wires


Mapped.__module__ = "cotality.parallel"
