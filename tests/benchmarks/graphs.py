"""Graphs of tasks to be run: the dependence patterns of Task Bench (Slaughter et al., SC 2020)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TypeAlias

from tests.benchmarks import work
from tests.benchmarks.case import SEED


@dataclass(frozen=True)
class Graph:
    """Nodes numbered so that each comes after those it depends on.

    Parameters:
        parents: For each node, the nodes whose values it takes.
        seconds: For each node, how long it works.
        kinds: For each node, the name of what it does.
    """

    parents: Sequence[tuple[int, ...]]
    seconds: Sequence[float]
    kinds: Sequence[str]

    def __len__(self) -> int:
        return len(self.parents)

    @cached_property
    def children(self) -> list[list[int]]:
        """For each node, the nodes that take its value."""
        children: list[list[int]] = [[] for _ in self.parents]
        for key, parents in enumerate(self.parents):
            for parent in parents:
                children[parent].append(key)
        return children

    @cached_property
    def sinks(self) -> list[int]:
        """The nodes whose values nobody takes: what a run gives back."""
        taken = bytearray(len(self))
        for parents in self.parents:
            for parent in parents:
                taken[parent] = True
        return [key for key, is_taken in enumerate(taken) if not is_taken]

    @cached_property
    def values(self) -> list[int]:
        """What the sinks come to; each depends on the value of every node before it."""
        values: list[int] = []
        for key, parents in enumerate(self.parents):
            values.append(work.node(key, 0, *[values[parent] for parent in parents]))
        return [values[key] for key in self.sinks]

    def lower_bound(self, workers: int) -> float:
        """The seconds below which no order of the nodes gets: the longest path, or all work shared out evenly."""
        ends: list[float] = []
        for parents, seconds in zip(self.parents, self.seconds, strict=True):
            ends.append(seconds + max([ends[parent] for parent in parents], default=0.0))
        return max(max(ends), sum(self.seconds) / workers)

    def best_order(self, workers: int) -> float:
        """The seconds that a run takes which costs nothing and in which, of the nodes that are due, the one with the
        longest way to the end comes first, by the mean seconds of each kind: the best order that can be known."""
        known = defaultdict(list)
        for kind, seconds in zip(self.kinds, self.seconds, strict=True):
            known[kind].append(seconds)
        means = {kind: sum(seconds) / len(seconds) for kind, seconds in known.items()}
        ranks = [means[kind] for kind in self.kinds]
        for key in reversed(range(len(self))):
            ranks[key] += max((ranks[child] for child in self.children[key]), default=0.0)
        waits = [len(parents) for parents in self.parents]
        arrivals = count()
        due = [(-ranks[key], next(arrivals), key) for key, parents in enumerate(self.parents) if not parents]
        heapify(due)
        running: list[tuple[float, int]] = []
        now = 0.0
        while due or running:
            while due and len(running) < workers:
                key = heappop(due)[2]
                heappush(running, (now + self.seconds[key], key))
            now, key = heappop(running)
            for child in self.children[key]:
                waits[child] -= 1
                if not waits[child]:
                    heappush(due, (-ranks[child], next(arrivals), child))
        return now

    def scaled(self, factor: float) -> Graph:
        """The same graph, with nodes that work so many times as long."""
        return replace(self, seconds=[factor * seconds for seconds in self.seconds])

    def lasting(self, seconds: float) -> Graph:
        """The same graph, with nodes that all work so long."""
        return replace(self, seconds=[seconds] * len(self))


def empty(parents: Iterable[Iterable[int]]) -> Graph:
    """A graph of nodes that do nothing."""
    tuples = [tuple(each) for each in parents]
    return Graph(tuples, [0.0] * len(tuples), ["node"] * len(tuples))


def fan(count: int) -> Graph:
    """Nodes that depend on nothing."""
    return empty(() for _ in range(count))


def chain(count: int) -> Graph:
    """Nodes of which each depends on the one before."""
    return empty((key - 1,) * (key > 0) for key in range(count))


Pattern: TypeAlias = Callable[[int, int], Graph]
"""Makes a graph of a width and a number of steps."""


def _grid(width: int, steps: int, columns: Callable[[int, int], Iterable[int]]) -> Graph:
    """All columns in each step; ``columns(step, column)``, within the width or not, are those of the step before."""

    def parents(step: int, column: int) -> Iterable[int]:
        before = (step - 1) * width
        return (before + each for each in columns(step, column) if 0 <= each < width) if step else ()

    return empty(parents(step, column) for step in range(steps) for column in range(width))


def trivial(width: int, steps: int) -> Graph:
    """No dependences."""
    return fan(width * steps)


def stencil(width: int, steps: int) -> Graph:
    """A column needs itself and its neighbours."""
    return _grid(width, steps, lambda step, column: range(column - 1, column + 2))


def fft(width: int, steps: int) -> Graph:
    """A column needs itself and those at a distance that doubles from step to step, and begins anew."""
    stages = max(1, (width - 1).bit_length())

    def columns(step: int, column: int) -> Iterable[int]:
        distance = 1 << (step - 1) % stages
        return column - distance, column, column + distance

    return _grid(width, steps, columns)


def tree(width: int, steps: int) -> Graph:
    """One node has two children, each of which has two, up to the width; from there each column needs itself."""
    parents: list[tuple[int, ...]] = [()]
    row = [0]
    for _step in range(1, steps):
        grows = 2 * len(row) <= width
        above = [key for key in row for _ in range(1 + grows)]
        row = list(range(len(parents), len(parents) + len(above)))
        parents.extend((key,) for key in above)
    return empty(parents)


def random_nearest(width: int, steps: int) -> Graph:
    """A column needs itself and each of the two on either side with an even chance."""
    chance = random.Random(SEED)

    def columns(step: int, column: int) -> Iterable[int]:
        return [each for each in range(column - 2, column + 3) if each == column or chance.random() < 0.5]

    return _grid(width, steps, columns)


def all_to_all(width: int, steps: int) -> Graph:
    """A column needs all columns."""
    return _grid(width, steps, lambda step, column: range(width))
