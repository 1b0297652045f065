"""Which of the due tasks comes first: the one with the longest way to the end, in seconds, behind it.

How long tasks take is learnt by their name while they run, and kept by the workflow for its next run. Counting steps
instead of seconds would gain nothing over taking tasks as they become due, so that is done until something is known.
In a first run a name that is new changes the order as soon as one of it has ended: there may be only a few of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cotality.parallel._data.messages import Ending
from cotality.parallel._data.task import Task, task_of
from cotality.parallel._scheduling.graph import Graph
from cotality.parallel._scheduling.records import PENDING

MOST_NODES = 100_000
"""Beyond this an order costs more than it brings: with so many tasks there is always something to do."""
SHORTEST_SECONDS = 0.0001
FIRST_LOOK = 16
SAMPLES = 4
SECONDS_A_NODE = 0.0000007
"""About what it takes to rank one, and to put those that are due in order."""
PAUSE = 30
"""An order stays for so many times as long as it takes to find one, so that this is never more than 3 % of a run."""


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

    def expected(self, task: Task[Any], otherwise: float = 0.0) -> float:
        """How many seconds one may take; this many, if none of its name has been seen."""
        return self._means.get(_kind_of(task), otherwise)

    @property
    def longest(self) -> float:
        """How many seconds those of the slowest name take."""
        return max(self._means.values(), default=0.0)

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
        self._stays_until = now + PAUSE * SECONDS_A_NODE * len(self._ranks)
        return True

    def _rank(self) -> None:
        graph, expected = self._graph, self._durations.expected
        state, dependents_of = graph.records.state, graph.dependents_of
        # What is not known is learnt soonest if it is not put off.
        otherwise = self._durations.longest
        known: dict[tuple[int, int], float] = {}
        ranks = self._ranks = [0.0] * len(graph.nodes)
        # Tickets are in an order in which tasks could run, so what depends on a node stands behind it.
        for ticket in range(len(ranks) - 1, -1, -1):
            if state[ticket] != PENDING:
                continue
            node = graph.nodes[ticket]
            own = 0.0
            if type(node) is Task:
                kind = id(node.options), id(node.callback_function)
                if kind not in known:
                    known[kind] = expected(node, otherwise)
                own = known[kind]
            below = dependents_of(ticket)
            ranks[ticket] = own + max([ranks[other] for other in below]) if below else own


def are_worthwhile(graph: Graph) -> bool:
    """Whether an order can gain anything: not where nothing waits for anything, nor where there is too much."""
    return len(graph.nodes) <= MOST_NODES and len(graph.ready) < len(graph.nodes)
