"""Where the nodes of a graph stand in a picture: in layers from left to right, each behind all that it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

Edge: TypeAlias = tuple[int, int]

MOST_BENDS = 1500
"""Edges are drawn straight where they would bend around more than so many others."""
SWEEPS = 6
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 176, 46, 56, 14, 8


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand.

    Parameters:
        spots: The upper left corner of each node.
        lines: How each edge goes, as the path of an SVG.
        width, height: How large the whole is.
    """

    spots: Sequence[tuple[float, float]]
    lines: Sequence[str]
    width: float
    height: float


def lay_out(count: int, edges: Sequence[Edge]) -> Layout:
    """Give each node its place, and each edge its way.

    Parameters:
        count: How many nodes there are; most of them stand behind those that they need.
        edges: Which need which, by their places: the first one is needed. None leads to where it came from.
    """
    layers, ways = _layers(count, edges)
    rows = _rows(layers, ways)
    tallest = max((len(layer) for layer in rows), default=0)
    height = 2 * MARGIN + tallest * (HEIGHT + GAP_Y) - GAP_Y
    spots: dict[int, tuple[float, float]] = {}
    for number, layer in enumerate(rows):
        top = (height - len(layer) * (HEIGHT + GAP_Y) + GAP_Y) / 2
        for position, place in enumerate(layer):
            spots[place] = MARGIN + number * (WIDTH + GAP_X), top + position * (HEIGHT + GAP_Y)
    lines = [_line([spots[place] for place in way]) for way in ways]
    width = 2 * MARGIN + len(rows) * (WIDTH + GAP_X) - GAP_X
    return Layout([spots[place] for place in range(count)], lines, width, height)


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
    rows: list[list[int]] = [[] for _ in range(max(layers, default=-1) + 1)]
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
