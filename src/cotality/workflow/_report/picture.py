"""The graph of a run as a picture: nodes in layers from left to right, each behind all that it needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

from cotality.workflow._record import RunRecord
from cotality.workflow._report.paths import in_order, needs_of

Key: TypeAlias = Hashable
Edge: TypeAlias = tuple[int, int]

MOST_NODES = 40
"""More tasks than these are drawn as one node for each name."""
MOST_NAMES = 80
"""More names than these are not drawn."""
MOST_BENDS = 1500
"""Edges are drawn straight where they would bend around more than so many others."""
SWEEPS = 6
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 176, 46, 56, 14, 8


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


def picture_of(record: RunRecord) -> Picture | None:
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
    lines, width, height = _lay_out(nodes, edges)
    return Picture(nodes, edges, lines, folded, width, height)


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


def _lay_out(nodes: Sequence[Node], edges: Sequence[Edge]) -> tuple[list[str], float, float]:
    """Give each node its place, and each edge its way; gives the ways and the size of the whole."""
    layers, ways = _layers(len(nodes), edges)
    rows = _rows(layers, ways)
    tallest = max(len(layer) for layer in rows)
    height = 2 * MARGIN + tallest * (HEIGHT + GAP_Y) - GAP_Y
    spots: dict[int, tuple[float, float]] = {}
    for number, layer in enumerate(rows):
        top = (height - len(layer) * (HEIGHT + GAP_Y) + GAP_Y) / 2
        for position, place in enumerate(layer):
            spots[place] = MARGIN + number * (WIDTH + GAP_X), top + position * (HEIGHT + GAP_Y)
    for place, node in enumerate(nodes):
        node.x, node.y = spots[place]
    lines = [_line([spots[place] for place in way]) for way in ways]
    return lines, 2 * MARGIN + len(rows) * (WIDTH + GAP_X) - GAP_X, height


def _layers(count: int, edges: Sequence[Edge]) -> tuple[list[int], list[list[int]]]:
    """The layer of each node, and the way of each edge: where it passes a layer, something stands for it there."""
    layers = [0] * count
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        if source < target:
            layers[target] = max(layers[target], layers[source] + 1)
    if sum(max(0, layers[target] - layers[source] - 1) for source, target in edges) > MOST_BENDS:
        return layers, [list(edge) for edge in edges]
    ways: list[list[int]] = []
    for source, target in edges:
        way = [source]
        for layer in range(layers[source] + 1, layers[target]):
            way.append(len(layers))
            layers.append(layer)
        ways.append([*way, target])
    return layers, ways


def _rows(layers: Sequence[int], ways: Sequence[Sequence[int]]) -> list[list[int]]:
    """What stands in each layer from top to bottom: each near those that it is tied to, so that few lines cross."""
    rows: list[list[int]] = [[] for _ in range(max(layers) + 1)]
    for place, layer in enumerate(layers):
        rows[layer].append(place)
    left: dict[int, list[int]] = {}
    right: dict[int, list[int]] = {}
    for way in ways:
        for source, target in pairwise(way):
            if layers[source] < layers[target]:
                left.setdefault(target, []).append(source)
                right.setdefault(source, []).append(target)
    heights: dict[int, float] = {}
    for row in rows:
        _number(row, heights)
    for sweep in range(SWEEPS):
        ties, sequence = (left, rows[1:]) if sweep % 2 == 0 else (right, rows[-2::-1])
        for row in sequence:
            means = {place: _mean(ties.get(place, [place]), heights) for place in row}
            row.sort(key=means.__getitem__)
            _number(row, heights)
    return rows


def _number(row: Sequence[int], heights: dict[int, float]) -> None:
    """How far down each of a layer stands."""
    heights.update((place, (position + 0.5) / len(row)) for position, place in enumerate(row))


def _mean(places: Sequence[int], heights: Mapping[int, float]) -> float:
    return sum(heights[place] for place in places) / len(places)


def _line(way: Sequence[tuple[float, float]]) -> str:
    """A smooth line from the right side of the first to the left side of the last."""
    (x, y), *rest = way
    x, y = x + WIDTH, y + HEIGHT / 2
    parts = [f"M{x:g} {y:g}"]
    if rest[-1][0] < x:
        # Backwards: around below.
        (end, bottom) = rest[-1]
        low = max(y, bottom + HEIGHT / 2) + HEIGHT
        parts.append(f"C{x + GAP_X:g} {low:g} {end - GAP_X:g} {low:g} {end:g} {bottom + HEIGHT / 2:g}")
        return "".join(parts)
    for place, (next_x, next_y) in enumerate(rest):
        end = next_y + HEIGHT / 2
        middle = (x + next_x) / 2
        parts.append(f"C{middle:g} {y:g} {middle:g} {end:g} {next_x:g} {end:g}")
        x, y = next_x, end
        if place < len(rest) - 1:
            x = next_x + WIDTH
            parts.append(f"H{x:g}")
    return "".join(parts)
