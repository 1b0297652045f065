"""What a map will make, as far as that can be known before the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cotality.parallel import Mapped, Task
from cotality.parallel.building import Wire
from cotality.workflow._factory import TaskFactory


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What is known of a map.

    Parameters:
        number: How many tasks it will make; None if only the run can tell.
        tasks: The first of them.
        more: How many it makes besides.
        problems: What is wrong with its items, a line each.
    """

    number: int | None = None
    tasks: Sequence[Task[Any]] = ()
    more: int = 0
    problems: Sequence[str] = ()


def is_harmless(mapped: Mapped[Any]) -> bool:
    """Whether a map can be looked into: it makes tasks of one function, and nothing that it goes through is used up."""
    given = [source for source in mapped.sources if not isinstance(source, Wire)]
    return isinstance(mapped.function, TaskFactory) and all(isinstance(source, Sequence) for source in given)


def foresee(mapped: Mapped[Any], most: int) -> Foreseen:
    """What a map will make.

    Only a map of a task over lists that are there is looked at: anything else would be the user's code, or used up.

    Parameters:
        mapped: The map.
        most: How many of its tasks to make.
    """
    lists: tuple[Any, ...] = mapped.sources
    factory: Any = mapped.function
    if mapped.lent or not is_harmless(mapped) or not all(isinstance(given, Sequence) for given in lists):
        return Foreseen()
    lengths = {len(given) for given in lists}
    if len(lengths) > 1:
        return Foreseen(problems=[f"its lists are of different lengths ({', '.join(map(str, sorted(lengths)))})"])
    tasks: list[Task[Any]] = []
    problems: list[str] = []
    for place, items in enumerate(islice(zip(*lists, strict=True), most)):
        try:
            tasks.append(factory(*items))
        except (TypeError, ValueError) as error:
            problems.append(f"item {place}: {error}")
    number = lengths.pop()
    return Foreseen(number, tasks, number - len(tasks) - len(problems), problems)
