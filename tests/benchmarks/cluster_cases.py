"""What is measured of clusters, and with which peers."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from tests.benchmarks import cluster_peers, gauges, work
from tests.benchmarks.case import PER_TASK_COUNT, WORKERS, Case, Figure, Figures, Scale, per_task
from tests.benchmarks.peers import PoolPeer

TINY_SECONDS, LONG_SECONDS = 10e-6, 10e-3
CHAINS, ARRAY_ITEMS = 8, 1_000_000


def tasks(peer_type: type[PoolPeer], scale: Scale) -> Figures:
    """Calls that compute for 10 µs, and calls that compute for 10 ms, by the clocks of their threads."""
    with closing(peer_type(WORKERS)) as peer:

        def run(count: int, seconds: float) -> float:
            units = list(peer.units(work.busy, [seconds] * count))
            return gauges.seconds(lambda: peer.collect(work.busy, units))

        # The workers start, and import what they call.
        run(200, TINY_SECONDS)
        # Long enough that it does not count how a run begins, which is slow on a cluster.
        tiny = per_task(lambda count: run(count, TINY_SECONDS), 100_000, 5 * scale.seconds)
        count = 100 if scale.quick else 300
        long = min(run(count, LONG_SECONDS) for _ in range(3)) / count
    return {**tiny, "long": 1e3 * long}


def arrays(peer_type: Any, scale: Scale) -> Figures:
    """Arrays of 8 MB that are made, doubled, and summed up: what of them the program receives, scheduler included."""
    with closing(peer_type(WORKERS)) as peer:
        peer.chains(WORKERS, 1_000)
        with gauges.Received() as received:
            assert peer.chains(CHAINS, ARRAY_ITEMS) == [2.0 * ARRAY_ITEMS] * CHAINS
    return {"received": received.megabytes}


_FIGURES = Figure("task", "µs a task of 10 µs"), PER_TASK_COUNT, Figure("long", "ms a task of 10 ms")

CLUSTER_CASES: tuple[Case, ...] = (
    Case(
        "dask",
        "tasks of 10 µs and of 10 ms on a Dask cluster of 2 processes",
        (cluster_peers.CotalityDask, cluster_peers.DaskSubmit, cluster_peers.DaskMap),
        _FIGURES,
        tasks,
    ),
    Case(
        "ray",
        "tasks of 10 µs and of 10 ms on a Ray cluster of 2 processes",
        (cluster_peers.CotalityRay, cluster_peers.RayRemote),
        _FIGURES,
        tasks,
    ),
    Case(
        "dask-arrays",
        "16 arrays of 8 MB that only other tasks need, on a Dask cluster of 2 processes",
        (cluster_peers.CotalityDask, cluster_peers.DaskSubmit),
        (Figure("received", "MB received by the program"),),
        arrays,
        rounds=(2, 1),
    ),
)
