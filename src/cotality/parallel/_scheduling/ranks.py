"""Which of the due tasks comes first: the one with the longest way to the end, in seconds, behind it.

How long tasks take is learnt by their name while they run, and kept by the workflow for its next run. Counting steps
instead of seconds would gain nothing over taking tasks as they become due, so that is done until something is known.
In a first run a name that is new changes the order as soon as one of it has ended: there may be only a few of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cotality.parallel._data.messages import Ending
from cotality.parallel._data.task import Task, task_of
from cotality.parallel._scheduling.graph import Graph

MOST_NODES = 100_000
"""Beyond this an order costs more than it brings: with so many tasks there is always something to do."""
SHORTEST_SECONDS = 0.0001
FIRST_LOOK = 16
SAMPLES = 4
SECONDS_A_NODE = 0.0000002
"""About what it takes to rank one; and, for each of those that are left, to put what is due in order."""
PAUSE = 15
"""An order stays for so many times as long as it takes to find one, so that this is never more than 7 % of the loop's
time. As a rule it is far less: another one is looked for when a name is new, and when four times as many have ended."""


class Durations:
    """How long tasks of one name take."""

    def __init__(self) -> None:
        self._means: dict[Any, float] = {}

    def learn(self, task: Task[Any], seconds: float) -> bool:
        """Take note of how long one has taken; tells whether it is the first of its name. What was long ago counts
        less."""
        kind = _kind_of(task)
        known = self._means.get(kind)
        self._means[kind] = seconds if known is None else known + (seconds - known) / 8
        return known is None

    def expected(self, task: Task[Any]) -> float:
        """How many seconds one may take; 0, if none of its name has been seen."""
        return self._means.get(_kind_of(task), 0.0)

    def of_kinds(self, kinds: Iterable[Any]) -> list[float]:
        """How many seconds those of each of these kinds may take. What is not known is learnt soonest if it is not put
        off: it passes for the slowest."""
        longest = max(self._means.values(), default=0.0)
        return [0.0 if kind is None else self._means.get(kind, longest) for kind in kinds]

    def know(self, task: Task[Any]) -> bool:
        """Whether one like it has been seen."""
        return _kind_of(task) in self._means

    @property
    def tell(self) -> bool:
        """Whether they differ, and are long enough for an order to gain more than it costs to find."""
        means = self._means.values()
        return len(means) > 1 and sum(means) > SHORTEST_SECONDS * len(means)


def _kind_of(task: Task[Any]) -> Any:
    return task.options.name or id(task.callback_function)


class Ranks:
    """The rank of each node of a graph: the seconds on the longest way from its start to the end.

    Parameters:
        graph: The graph.
        durations: What is known of how long tasks take; learns more.
    """

    def __init__(self, graph: Graph, durations: Durations) -> None:
        self._graph = graph
        self._durations = durations
        self._seen = 0
        self._look_at = FIRST_LOOK
        self._stays_until = 0.0
        self._ranks: list[float] = []
        self._kinds: list[int] = []
        """By ticket, the number of the kind of a node."""
        self._numbers: dict[Any, int] = {None: 0}
        """The number of each kind; that of maps is None, as they take no time themselves."""
        if durations.tell:
            self._rank()

    @property
    def known(self) -> bool:
        """Whether there are any yet."""
        return bool(self._ranks)

    def of(self, ticket: int) -> float:
        """The rank of a node; nodes that maps have added since come last."""
        return self._ranks[ticket] if ticket < len(self._ranks) else 0.0

    def learn(self, endings: Sequence[Ending], now: float) -> bool:
        """Take note of how long some of these took; tells whether all ranks have changed by that."""
        for planned, failure, _value, started, ended, _worker in endings[:: len(endings) // SAMPLES + 1]:
            if failure is None and self._durations.learn(task_of(planned[1]), ended - started):
                self._look_at = 0
        self._seen += len(endings)
        if self._seen < self._look_at or now < self._stays_until:
            return False
        self._look_at = 4 * self._seen
        if not self._durations.tell:
            return False
        self._rank()
        self._stays_until = now + PAUSE * SECONDS_A_NODE * (len(self._ranks) + self._graph.unfinished)
        return True

    def _rank(self) -> None:
        graph, kinds, numbers = self._graph, self._kinds, self._numbers
        for node in graph.nodes[len(kinds) :]:
            kinds.append(numbers.setdefault(_kind_of(node) if type(node) is Task else None, len(numbers)))
        seconds = self._durations.of_kinds(numbers)
        ranks = self._ranks = [seconds[kind] for kind in kinds]
        ends = graph.dependents
        # Tickets are in an order in which tasks could run, so what depends on a node stands behind it.
        for ticket in range(len(ranks) - 1, -1, -1):
            below = ends[ticket]
            if type(below) is int:
                ranks[ticket] += ranks[below]
            elif below:
                ranks[ticket] += max([ranks[other] for other in below])  # type: ignore[union-attr]


def are_worthwhile(graph: Graph) -> bool:
    """Whether an order can gain anything: not where nothing waits for anything, nor where there is too much."""
    return len(graph.nodes) <= MOST_NODES and len(graph.ready) < len(graph.nodes)
