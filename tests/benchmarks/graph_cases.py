"""What is measured of workflows, and with which peers.

Each run is checked: the values that it gives depend on every node of the graph, so that none can be left out.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial

from tests.benchmarks import gauges, graph_engines, graph_peers, graphs, recorded, work
from tests.benchmarks.case import WORKERS, Case, Figure, Figures, Scale, per_task
from tests.benchmarks.graph_peers import GraphPeer
from tests.benchmarks.graphs import Graph, Pattern

GRAPH_THREADS: tuple[type[GraphPeer], ...] = (
    graph_peers.CotalityGraphThreads,
    graph_peers.FuturesByHandThreads,
    graph_peers.DaskThreads,
    graph_peers.DistributedThreads,
    graph_engines.ParslThreads,
    graph_engines.Prefect,
)
GRAPH_PROCESSES: tuple[type[GraphPeer], ...] = (
    graph_peers.CotalityGraphProcesses,
    graph_peers.FuturesByHandProcesses,
    graph_peers.PoolByHand,
    graph_peers.DaskProcesses,
    graph_peers.DistributedProcesses,
    graph_engines.Ray,
    graph_engines.ParslProcesses,
)

WIDTH, STEPS = 16, 100
WARMING_SECONDS = 0.005
MOST_NODES = WIDTH * 3**8
"""About 100,000, and still a multiple of the width when it has been cut into thirds eight times."""


class WrongValues(Exception):
    """A peer has not run the graph."""


class NotFound(Exception):
    """The search for METG takes too long: something else uses the processors, so that no duration gives the half."""


def _warm(peer: GraphPeer) -> GraphPeer:
    """Let all workers start, which they need not for nodes that do nothing, and import what they call."""
    for _ in range(2):
        _timed(peer, graphs.stencil(2 * peer.workers, 4).lasting(WARMING_SECONDS))
    return peer


def _timed(peer: GraphPeer, graph: Graph) -> tuple[float, float]:
    """The seconds to make a plan of the graph, and those to run it."""
    expected = graph.values
    plan, values = None, None

    def build() -> None:
        nonlocal plan
        plan = peer.plan(graph)

    def run() -> None:
        nonlocal values
        values = peer.run(plan)

    built, ran = gauges.seconds(build), gauges.seconds(run)
    if values != expected:
        raise WrongValues(f"{peer.label}: other values than those of the graph")
    return built, ran


def nodes(peer_type: type[GraphPeer], scale: Scale, *, shapes: dict[str, Callable[[int], Graph]]) -> Figures:
    """Many nodes that do nothing, from the description of the graph to the values of its ends.

    Making the tasks is on the clock, since some libraries start a task when it is made; how much of the time that was
    is shown beside for those that do not.
    """
    figures = {}
    with closing(_warm(peer_type(WORKERS))) as peer:
        for name, shape in shapes.items():
            built = 0.0

            def run(count: int, shape: Callable[[int], Graph] = shape) -> float:
                nonlocal built
                built, ran = _timed(peer, shape(count))
                return built + ran

            measured = per_task(run, MOST_NODES, 0.6 if scale.quick else 4.0, thirds=8)
            figures[name] = measured["task"]
            figures[f"{name} built"] = built / measured["tasks"] * 1e6
            figures[f"{name} nodes"] = measured["tasks"]
    return figures


def metg(peer_type: type[GraphPeer], scale: Scale, *, patterns: dict[str, Pattern]) -> Figures:
    """The shortest node at which half of the machine's time is useful work: METG(50%), in microseconds.

    Only the run is on the clock. Nodes work a time by the clock of their own thread, so that what the workers and this
    process take from each other is not work. A slow library runs fewer steps.
    """
    with closing(_warm(peer_type(WORKERS))) as peer:
        return {name: 1e6 * _metg(peer, scale, pattern) for name, pattern in patterns.items()}


def _metg(peer: GraphPeer, scale: Scale, pattern: Pattern) -> float:
    """Double or halve the node until it has crossed the half; then bisect.

    Raises:
        NotFound: the machine does something else, too.
    """
    budget, tolerance, patience = (0.3, 2.0, 10.0) if scale.quick else (1.0, 1.2, 30.0)
    end = time.monotonic() + patience
    trial = pattern(WIDTH, STEPS // 10)
    overhead = _timed(peer, trial)[1] / len(trial)
    graph = pattern(WIDTH, min(STEPS, max(STEPS // 10, int(budget / (2 * WIDTH * overhead)))))

    def efficiency(seconds: float) -> float:
        timed = graph.lasting(seconds)
        runs = [_timed(peer, timed)[1]]
        while len(runs) < 3 and sum(runs) < budget / 2:
            runs.append(_timed(peer, timed)[1])
        return len(graph) * seconds / (WORKERS * statistics.median(runs))

    # Half of the time is work when a node takes what it costs on both processors.
    seconds, low, high = WORKERS * overhead, None, None
    while low is None or high is None or high[0] / low[0] > tolerance * 1.001:
        reached = efficiency(seconds)
        if reached < 0.5:
            low = (seconds, reached)
        else:
            high = (seconds, reached)
        if time.monotonic() > end:
            raise NotFound(f"{100 * reached:.0f} % of the time is work with nodes of {1e3 * seconds:.1f} ms")
        if low is None or high is None:
            seconds *= 2 if reached < 0.5 else 0.5
        else:
            seconds = (low[0] * high[0]) ** 0.5
    return low[0] * (high[0] / low[0]) ** ((0.5 - low[1]) / (high[1] - low[1]))


def growth(peer_type: type[GraphPeer], scale: Scale) -> Figures:
    """What a node of a large graph costs, over what one of a small graph costs: a stencil of empty nodes."""
    most, patience = (100_000, 6.0) if scale.quick else (1_000_000, 40.0)
    with closing(_warm(peer_type(WORKERS))) as peer:

        def cost(count: int) -> float:
            graph = graphs.stencil(WIDTH, count // WIDTH)
            return sum(_timed(peer, graph)) / len(graph)

        count = 1_000
        first = last = statistics.median(cost(count) for _ in range(5))
        before = gauges.resident()
        while count < most and (count == 1_000 or 10 * count * last < patience):
            count *= 10
            last = cost(count)
        memory = (gauges.peak_resident() - before) * gauges.MEGABYTE / count
    return {"ratio": last / first, "task": last * 1e6, "memory": memory / 1e3, "tasks": count}


SHAPES: dict[str, recorded.Shape] = {
    "Montage": recorded.montage,
    "Epigenomics": recorded.epigenomics,
    "1000Genome": recorded.genome,
    "nf-core": recorded.nf_core,
}


SIZES = (58, 500, 2_000, 15_000)
REPEATS = 3


def replay(
    peer_type: type[GraphPeer], scale: Scale, *, means: tuple[float, ...], workers: int = WORKERS, waiting: bool = False
) -> Figures:
    """Workflows as they were recorded, with shorter tasks: how near the run comes to its bound, in percent.

    The bound is the lower one of any run, or, where tasks wait, what the best order that can be known comes to: there
    are so many workers then that no order comes near the other.

    Montage is the large one. A slow library runs smaller ones, of one of a few sizes: another size is another graph.
    """
    patience, largest = (1.0, 1) if scale.quick else (10.0, 2)
    bound = Graph.best_order if waiting else Graph.lower_bound
    figures = {}
    with closing(_warm(peer_type(workers, work.waiting_node if waiting else work.node))) as peer:
        for name, shape in SHAPES.items():
            for mean in means:
                lost = 0.0
                for size in SIZES[: 1 + largest + (name == "Montage")]:
                    graph = shape(size).scaled(mean)
                    least = graph.lower_bound(workers)
                    if least + size * lost > patience:
                        break
                    # Whatever else the machine does can only make it longer.
                    ran = min(_timed(peer, graph)[1] for _ in range(REPEATS))
                    lost = (ran - least) / size
                    figures[f"{name} {mean}"] = 100 * bound(graph, workers) / ran
                    figures["tasks"] = max(len(graph), figures.get("tasks", 0))
    return figures


def _replayed(means: tuple[float, ...]) -> tuple[Figure, ...]:
    figures = [
        Figure(f"{name} {mean}", f"%, {name}, {1e3 * mean:g} ms", best="most") for name in SHAPES for mean in means
    ]
    return (*figures, Figure("tasks", "tasks at most", best=""))


_PATTERNS: dict[str, Pattern] = {
    "stencil": graphs.stencil,
    "fft": graphs.fft,
    "random nearest": graphs.random_nearest,
}
_SHORT, _WAITS = (0.0002, 0.001), (0.01,)
_SLOW: tuple[type[GraphPeer], ...] = (graph_peers.DistributedProcesses, graph_engines.ParslProcesses)


def _per_node(name: str, suffix: str = "") -> tuple[Figure, ...]:
    return (
        Figure(name, f"µs a node{suffix}"),
        Figure(f"{name} built", "of it to build", best=""),
        Figure(f"{name} nodes", "nodes", best=""),
    )


def _stencil(count: int) -> Graph:
    return graphs.stencil(WIDTH, count // WIDTH)


GRAPH_CASES: tuple[Case, ...] = (
    Case(
        "graph-fan-threads",
        "graphs of up to 100,000 nodes that do nothing, 2 threads",
        GRAPH_THREADS,
        (*_per_node("fan", ", no edges"), *_per_node("stencil", ", stencil")),
        partial(nodes, shapes={"fan": graphs.fan, "stencil": _stencil}),
        rounds=(3, 1),
        full_only=(graph_engines.Prefect,),
    ),
    Case(
        "growth",
        "from 1,000 nodes that do nothing to {1,000,000|100,000}, stencil, 2 threads",
        (
            graph_peers.CotalityGraphThreads,
            graph_peers.FuturesByHandThreads,
            graph_peers.DaskThreads,
            graph_engines.ParslThreads,
        ),
        (
            Figure("ratio", "times the cost of a node"),
            Figure("task", "µs a node", best=""),
            Figure("memory", "kB a node"),
            Figure("tasks", "nodes", best=""),
        ),
        growth,
        rounds=(2, 1),
    ),
    Case(
        "metg",
        "METG(50%), graphs of Task Bench, 16 wide, 100 steps, 2 processes",
        GRAPH_PROCESSES,
        tuple(Figure(name, f"µs, {name}") for name in _PATTERNS),
        partial(metg, patterns=_PATTERNS),
        rounds=(2, 1),
        full_only=_SLOW,
    ),
    Case(
        "fan-processes",
        "a fan of up to 100,000 nodes that do nothing, 2 processes",
        GRAPH_PROCESSES,
        _per_node("fan"),
        partial(nodes, shapes={"fan": graphs.fan}),
        rounds=(3, 1),
    ),
    Case(
        "chain-processes",
        "a chain of up to 100,000 nodes that do nothing, 2 processes",
        GRAPH_PROCESSES,
        _per_node("chain"),
        partial(nodes, shapes={"chain": graphs.chain}),
        rounds=(3, 1),
        full_only=_SLOW,
    ),
    Case(
        "recorded",
        "lower bound over makespan of workflows with recorded shapes, 2 processes",
        GRAPH_PROCESSES,
        _replayed(_SHORT),
        partial(replay, means=_SHORT),
        rounds=(2, 1),
        full_only=_SLOW,
    ),
    Case(
        "recorded-threads",
        "best order over makespan of workflows with recorded shapes whose tasks sleep, 64 threads",
        tuple(peer for peer in GRAPH_THREADS if peer is not graph_engines.Prefect),
        _replayed(_WAITS),
        partial(replay, means=_WAITS, workers=64, waiting=True),
        rounds=(2, 1),
    ),
)
