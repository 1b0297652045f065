"""The graph of a run as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from cotality.workflow._layout import WIDTH, Edge, lay_out
from cotality.workflow._report.facts import Facts
from cotality.workflow._report.paths import in_order, needs_of

Key: TypeAlias = Hashable

MOST_NODES = 40
"""More tasks than these are drawn as one node for each name."""
MOST_NAMES = 80
"""More names than these are not drawn."""


@dataclass(slots=True)
class Node:
    """A task, or all of a name.

    Parameters:
        name: The name.
        states: How many of them ended in which state.
        x, y: Where its upper left corner is.
        loops: Whether tasks of this name need others of it.
    """

    name: str
    states: Counter[str] = field(default_factory=Counter)
    x: float = 0.0
    y: float = 0.0
    loops: bool = False

    @property
    def tasks(self) -> int:
        """How many it stands for."""
        return self.states.total()

    def parts(self) -> list[tuple[str, float, float]]:
        """How its states share its width: each with where its part begins and how wide it is."""
        found: list[tuple[str, float, float]] = []
        x = 0.0
        for state, number in self.states.items():
            width = WIDTH * number / self.tasks
            found.append((state, round(x, 1), round(width, 1)))
            x += width
        return found


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn.

    Parameters:
        nodes: The nodes.
        edges: Which need which, by their places: the first one is needed.
        lines: How each edge goes, as the path of an SVG.
        folded: Whether a node stands for all tasks of its name.
        width, height: How large it is.
    """

    nodes: Sequence[Node]
    edges: Sequence[Edge]
    lines: Sequence[str]
    folded: bool
    width: float
    height: float


def picture_of(record: Facts) -> Picture | None:
    """The graph of a run; None if it has too many names to be drawn, or no tasks."""
    folded = len(record.rows) > MOST_NODES
    names = len({row.task for row in record.rows})
    if not record.rows or names > MOST_NAMES:
        return None
    keys: dict[int, Key] = {row.index: row.task if folded else row.index for row in record.rows}
    needs = needs_of(record)
    order = in_order(needs)
    # Nodes in the order in which they come first, so that most edges lead forwards.
    places = {key: place for place, key in enumerate(dict.fromkeys(keys[each] for each in order if each in keys))}
    nodes = [Node("") for _ in places]
    for row in record.rows:
        if keys[row.index] in places:
            node = nodes[places[keys[row.index]]]
            node.name, node.states[row.state] = row.task, node.states[row.state] + 1
    edges = _edges({each: places[key] for each, key in keys.items() if key in places}, needs, order)
    for source, target in edges:
        nodes[source].loops = nodes[source].loops or source == target
    edges = [(source, target) for source, target in edges if source != target]
    layout = lay_out(len(nodes), edges)
    for node, spot in zip(nodes, layout.spots, strict=True):
        node.x, node.y = spot
    return Picture(nodes, edges, layout.lines, folded, layout.width, layout.height)


def _edges(place_of: Mapping[int, int], needs: Mapping[int, tuple[int, ...]], order: Iterable[int]) -> list[Edge]:
    """Which node needs which, through what only joins others."""
    behind: dict[int, frozenset[int]] = {}
    edges: dict[Edge, None] = {}
    for each in order:
        needed: frozenset[int] = frozenset().union(*{behind[need] for need in needs[each]})
        place = place_of.get(each)
        if place is None:
            behind[each] = needed
            continue
        behind[each] = frozenset((place,))
        edges.update(dict.fromkeys((source, place) for source in sorted(needed)))
    return list(edges)
