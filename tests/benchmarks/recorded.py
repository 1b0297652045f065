"""Graphs with the shapes of recorded scientific workflows.

The levels, and who needs whom, are those of the traces that WfCommons publishes and of nf-core's pipelines; the traces
themselves are not here. How long a task works is a weight of its kind, such as they show, times a log-normal factor.
Each function takes about how many tasks there shall be, and gives a graph whose tasks work one second on average.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import TypeAlias

from tests.benchmarks.case import SEED
from tests.benchmarks.graphs import Graph

Shape: TypeAlias = Callable[[int], Graph]

SPREAD = 0.5
"""The standard deviation of the logarithm of the durations of one kind of task."""


class _Builder:
    """Adds tasks one by one."""

    def __init__(self) -> None:
        self._chance = random.Random(SEED)
        self._parents: list[tuple[int, ...]] = []
        self._seconds: list[float] = []
        self._kinds: list[str] = []

    def add(self, kind: str, weight: float, parents: Iterable[int] = ()) -> int:
        self._kinds.append(kind)
        self._parents.append(tuple(parents))
        self._seconds.append(weight * self._chance.lognormvariate(0, SPREAD))
        return len(self._parents) - 1

    def graph(self) -> Graph:
        return Graph(self._parents, self._seconds, self._kinds).scaled(len(self._seconds) / sum(self._seconds))


def montage(size: int) -> Graph:
    """A mosaic of the sky in three colours: images are projected, compared in pairs, corrected by a model, and added.

    Wide twice, with three narrow tasks in between and three at the end of each colour. 55 tasks are the least.
    """
    build = _Builder()
    images = max(4, round((size - 19) / 3 / 4))
    pictures = []
    for _colour in range(3):
        projected = [build.add("project", 1.5) for _ in range(images)]
        pairs = [(i, i + distance) for i in range(images) for distance in (1, 2) if i + distance < images]
        differences = [build.add("difference", 0.4, (projected[i], projected[j])) for i, j in pairs]
        fit = build.add("fit", 0.6, differences)
        model = build.add("model", 2.0, [fit])
        corrected = [build.add("correct", 0.5, (image, model)) for image in projected]
        table = build.add("tabulate", 0.5, corrected)
        added = build.add("add", 3.0, [table, *corrected])
        pictures.append(build.add("shrink", 0.8, [added]))
    build.add("colour", 1.0, pictures)
    return build.graph()


def epigenomics(size: int) -> Graph:
    """Reads of a sequencer: each lane is split into parts, which go through four steps; all parts are merged."""
    build = _Builder()
    lanes = max(1, min(7, size // 60))
    parts = max(2, round((size - 3 - 2 * lanes) / lanes / 4))
    merged = []
    for _lane in range(lanes):
        split = build.add("split", 2.0)
        mapped = []
        for _part in range(parts):
            last = split
            for kind, weight in (("filter", 0.3), ("convert", 0.1), ("pack", 0.2), ("map", 4.0)):
                last = build.add(kind, weight, [last])
            mapped.append(last)
        merged.append(build.add("merge", 1.0, mapped))
    last = build.add("merge all", 2.0, merged)
    for kind, weight in (("index", 1.0), ("pile up", 1.5)):
        last = build.add(kind, weight, [last])
    return build.graph()


def genome(size: int) -> Graph:
    """1000Genome: each chromosome's individuals are merged; seven populations, twice, need that and the sifting."""
    build = _Builder()
    chromosomes = max(2, min(22, size // 40))
    individuals = max(4, round(size / chromosomes) - 16)
    for _chromosome in range(chromosomes):
        read = [build.add("individuals", 2.0) for _ in range(individuals)]
        merged = build.add("merge", 1.5, read)
        sifted = build.add("sift", 0.5)
        for _population in range(7):
            build.add("overlap", 1.0, (merged, sifted))
            build.add("frequency", 4.0, (merged, sifted))
    return build.graph()


def nf_core(size: int) -> Graph:
    """Sequenced samples, in nf-core's manner: an index for all, a dozen steps for each, one report at the end."""
    build = _Builder()
    index = build.add("index", 5.0, [build.add("fetch", 0.5)])
    reports = []
    for _sample in range(max(2, round((size - 3) / 12))):
        merged = build.add("merge", 0.3)
        raw_quality = build.add("quality", 0.8, [merged])
        trimmed = build.add("trim", 1.5, [merged])
        trimmed_quality = build.add("quality", 0.8, [trimmed])
        aligned = build.add("align", 5.0, (trimmed, index))
        ordered = build.add("sort", 1.0, [aligned])
        marked = build.add("mark", 1.5, [ordered])
        checks = [build.add(f"check {weight}", weight, [marked]) for weight in (0.2, 0.3, 1.0, 2.0)]
        counted = build.add("count", 1.2, (marked, index))
        reports += [raw_quality, trimmed_quality, *checks, counted]
    build.add("report", 1.5, reports)
    return build.graph()
