"""What is measured, and with which peers."""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial

from tests.benchmarks import gauges, graph_engines, graph_peers, peers, work
from tests.benchmarks.case import PER_TASK, PER_TASK_COUNT, SEED, WORKERS, Case, Figure, Figures, Scale, per_task
from tests.benchmarks.cluster_cases import CLUSTER_CASES
from tests.benchmarks.graph_cases import GRAPH_CASES
from tests.benchmarks.journal_cases import JOURNAL_CASES
from tests.benchmarks.peers import Peer, PoolPeer
from tests.benchmarks.watched_peers import WATCHED


def _warm(peer: PoolPeer) -> PoolPeer:
    """Let the pool start its workers, and the workers import what they call."""
    peer.collect(work.noop, list(peer.units(work.noop, range(2 * peer.workers))))
    return peer


def overhead(peer_type: type[PoolPeer], scale: Scale, *, workers: int = WORKERS) -> Figures:
    """Many calls that do nothing; all units are made beforehand."""
    with closing(_warm(peer_type(workers))) as peer:

        def run(count: int) -> float:
            units = list(peer.units(work.noop, range(count)))
            return gauges.seconds(lambda: peer.collect(work.noop, units))

        return per_task(run, 100_000, scale.seconds)


def mixed(peer_type: type[PoolPeer], scale: Scale) -> Figures:
    """Calls of very different lengths; how much of two processors does work.

    Work is the processor time that each call measures for itself: a virtual machine changes its speed within a second,
    so that work measured at another moment may come out as more than there were processors. The speed-up is against
    just that, the same loops one after the other in this process, a part of them before and a part after.
    """
    chance = random.Random(SEED)
    per_loop = gauges.seconds_per_loop()
    lengths = [5e-6 * math.exp(chance.random() * math.log(200)) for _ in range(3_000 if scale.quick else 20_000)]
    loops = [round(length / per_loop) for length in lengths]
    chance.shuffle(loops)
    sample = loops[::8]
    with closing(_warm(peer_type(WORKERS))) as peer:
        units = list(peer.units(work.metered_spin, loops))
        serial = sum(map(work.metered_spin, sample))
        before = time.perf_counter()
        busy = sum(peer.collect(work.metered_spin, units))
        spent = time.perf_counter() - before
        serial += sum(map(work.metered_spin, sample))
    serial *= sum(loops) / sum(sample) / 2
    return {"efficiency": 100 * busy / (WORKERS * spent), "speedup": serial / spent}


def straggler(peer_type: type[PoolPeer], scale: Scale) -> Figures:
    """One long call among many short ones: does anything wait behind it?

    The ideal: two workers share the calls before the long one, then one of them runs it and the other all the rest; or
    all work divided by two, if that is more. What the long call took is taken from its own clock, so that the ratio
    does not depend on how well the processor was calibrated.
    """
    per_loop = gauges.seconds_per_loop()
    long, short, count = (1.0 if scale.quick else 2.0), 20e-6, 5_000
    position = random.Random(SEED + scale.round).randrange(count // 2)
    loops = [round(short / per_loop)] * count
    loops[position] = round(long / per_loop)
    with closing(_warm(peer_type(WORKERS))) as peer:
        units = list(peer.units(work.timed_spin, loops))
        before = time.perf_counter()
        took: float = peer.collect(work.timed_spin, units)[position]
        spent = time.perf_counter() - before
    ideal = max(position * short / WORKERS + took, (took + (count - 1) * short) / WORKERS)
    return {"ratio": spent / ideal, "lost": (spent - ideal) * 1e3}


def stream(peer_type: type[PoolPeer], scale: Scale) -> Figures:
    """Results of an unknown number of calls, consumed one by one."""
    most, patience = (100_000, 3.0) if scale.quick else (1_000_000, 20.0)
    with closing(_warm(peer_type(8))) as peer:

        def run(count: int) -> float:
            def consume() -> None:
                for _result in peer.stream(work.noop, peer.units(work.noop, iter(range(count)))):
                    pass

            return gauges.seconds(consume)

        count = most if run(2_000) / 2_000 * most < patience else most // 10
        before = gauges.resident()
        spent = run(count)
        growth = gauges.peak_resident() - before
    return {"task": spent / count * 1e6, "growth": growth, "tasks": count}


def pull(peer_type: type[PoolPeer], scale: Scale) -> Figures:
    """How far a source is drained while its consumer is busy with the first result."""
    pulled = 0

    def source() -> Iterator[int]:
        nonlocal pulled
        while pulled < 20_000:
            pulled += 1
            yield pulled

    with closing(_warm(peer_type(WORKERS))) as peer:
        results = peer.stream(work.nap, peer.units(work.nap, source()))
        next(results)
        end = time.monotonic() + 1.0
        while pulled < 20_000 and time.monotonic() < end:
            time.sleep(0.01)
        seen = pulled
        if hasattr(results, "close"):
            results.close()
    return {"pulled": seen}


def array(peer_type: type[PoolPeer], scale: Scale) -> Figures:
    """One large array for many calls. Memory is taken in a second, untimed call."""
    import numpy as np

    with closing(peer_type(WORKERS)) as peer:
        # The workers import NumPy now, not on the clock.
        small = partial(work.strided_sum, data=np.ones(work.STRIDE))
        peer.collect(small, list(peer.units(small, range(WORKERS * 2))))
        data = np.ones((50 if scale.quick else 400) * gauges.MEGABYTE // 8)
        call = partial(work.strided_sum, data=data)
        before = gauges.resident_tree()
        shared = gauges.seconds(lambda: peer.share(data))

        def run(tasks: int) -> None:
            peer.collect(call, list(peer.units(call, range(tasks))))

        spent = gauges.seconds(lambda: run(work.STRIDE))
        # Whoever copies the array is at the peak with a few tasks, too.
        with gauges.PeakOfTree() as memory:
            run(work.STRIDE if spent < 2 else 2 * WORKERS)
    return {"wall": spent * 1e3, "shared": shared * 1e3, "memory": memory.peak - before}


def objects(peer_type: type[PoolPeer], scale: Scale) -> Figures:
    """One large list for many calls."""
    with closing(_warm(peer_type(WORKERS))) as peer:
        data = list(range(1_000_000 if scale.quick else 3_000_000))
        call = partial(work.length, data=data)
        units = list(peer.units(call, range(10)))
        return {"wall": 1e3 * gauges.seconds(lambda: peer.collect(call, units))}


def results(peer_type: type[PoolPeer], scale: Scale) -> Figures:
    """Large results."""
    count = 32 if scale.quick else 64
    with closing(peer_type(WORKERS)) as peer:
        # The workers import NumPy now, not on the clock.
        peer.collect(work.make_array, list(peer.units(work.make_array, range(WORKERS * 2))))
        units = list(peer.units(work.make_array, range(count)))
        spent = gauges.seconds(lambda: peer.collect(work.make_array, units))
    return {"rate": count * work.RESULT_BYTES / gauges.MEGABYTE / spent}


def start(peer_type: type[PoolPeer], scale: Scale) -> Figures:
    """Two calls in an interpreter that has run none, and then two more."""
    imported = gauges.seconds(peer_type.load)
    before = time.perf_counter()
    peer = peer_type(WORKERS)
    peer.collect(work.noop, list(peer.units(work.noop, range(2))))
    first = time.perf_counter() - before
    with closing(peer):
        second = gauges.seconds(lambda: peer.collect(work.noop, list(peer.units(work.noop, range(2)))))
    return {"first": first * 1e3, "second": second * 1e3, "imported": imported * 1e3}


def import_time(peer_type: type[Peer], scale: Scale) -> Figures:
    """What an import adds to the start of an interpreter."""
    # Here, or the case above would find them imported already.
    import statistics
    import subprocess

    def once(statement: str) -> float:
        return gauges.seconds(lambda: subprocess.run([sys.executable, "-c", statement], check=True))

    once(peer_type.statement)
    pairs = [(once("pass"), once(peer_type.statement)) for _ in range(3 if scale.quick else 9)]
    bare, loaded = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {"import": (loaded - bare) * 1e3}


_ARRAY_PEERS: tuple[type[PoolPeer], ...] = (
    peers.CotalityProcesses,
    peers.CotalityShared,
    peers.JoblibProcesses,
    peers.ProcessMap,
)
_LIBRARIES: tuple[type[PoolPeer], ...] = (
    peers.CotalityProcesses,
    peers.ProcessMap,
    peers.PoolMap,
    peers.JoblibProcesses,
    peers.Loky,
    peers.MpireProcesses,
    peers.PebbleProcesses,
)
_WORKFLOW_LIBRARIES: tuple[type[Peer], ...] = (
    graph_peers.CotalityGraphThreads,
    graph_peers.FuturesByHandThreads,
    graph_peers.DaskThreads,
    graph_peers.DistributedProcesses,
    graph_engines.Ray,
    graph_engines.ParslProcesses,
    graph_engines.Prefect,
)

CASES: tuple[Case, ...] = (
    Case(
        "threads",
        "100,000 tasks that do nothing, 2 threads",
        peers.THREADS,
        (PER_TASK, PER_TASK_COUNT),
        overhead,
    ),
    Case(
        "threads-32",
        "100,000 tasks that do nothing, 32 threads",
        peers.THREADS,
        (PER_TASK, PER_TASK_COUNT),
        partial(overhead, workers=32),
    ),
    Case(
        "processes",
        "100,000 tasks that do nothing, 2 processes",
        (*peers.PROCESSES, *peers.TUNED),
        (PER_TASK, PER_TASK_COUNT),
        overhead,
    ),
    Case(
        "mixed",
        "{20,000|3,000} tasks of 5 µs to 1 ms of computing, 2 processes",
        peers.PROCESSES,
        (
            Figure("efficiency", "% of two processors at work", best="most"),
            Figure("speedup", "times as fast as a loop", best="most"),
        ),
        mixed,
    ),
    Case(
        "straggler",
        "one task of {2|1} s among 5,000 of 20 µs, 2 processes",
        peers.PROCESSES,
        (Figure("ratio", "times the ideal"), Figure("lost", "ms lost")),
        straggler,
    ),
    Case(
        "stream",
        "{1,000,000|100,000} tasks from a generator, one result at a time, 8 threads",
        (peers.CotalityThreads, peers.ThreadMap, peers.ThreadImap, peers.JoblibThreads),
        (PER_TASK, Figure("growth", "MB more memory"), PER_TASK_COUNT),
        stream,
        rounds=(2, 2),
    ),
    Case(
        "pull-threads",
        "tasks of 1 ms taken from a source of 20,000 while the first result is held for 1 s, 2 threads",
        tuple(peer for peer in peers.THREADS if peer is not peers.ThreadSubmit),
        (Figure("pulled", "tasks taken"),),
        pull,
        rounds=(2, 1),
    ),
    Case(
        "pull-processes",
        "tasks of 1 ms taken from a source of 20,000 while the first result is held for 1 s, 2 processes",
        tuple(peer for peer in peers.PROCESSES if peer is not peers.PoolMap),
        (Figure("pulled", "tasks taken"),),
        pull,
        rounds=(2, 1),
    ),
    Case(
        "array",
        "an array of {400|50} MB given to 16 tasks, 2 processes",
        _ARRAY_PEERS,
        (Figure("wall", "ms"), Figure("memory", "MB more memory"), Figure("shared", "ms to share before", best="")),
        array,
        rounds=(2, 2),
    ),
    Case(
        "list",
        "a list of {3,000,000|1,000,000} ints given to 10 tasks, 2 processes",
        peers.PROCESSES,
        (Figure("wall", "ms"),),
        objects,
    ),
    Case(
        "results",
        "{64|32} results of 8 MB, 2 processes",
        peers.PROCESSES,
        (Figure("rate", "MB/s", best="most"),),
        results,
    ),
    Case(
        "start",
        "two tasks in a fresh interpreter, 2 processes, and then two more",
        (*peers.PROCESSES, peers.ProcessMapForkServer),
        (
            Figure("first", "ms, first call"),
            Figure("second", "ms, second call"),
            Figure("imported", "ms to import before", best=""),
        ),
        start,
    ),
    Case(
        "import",
        "what the import adds to the start of Python",
        _LIBRARIES,
        (Figure("import", "ms"),),
        import_time,
        rounds=(3, 1),
        by_library=True,
    ),
    Case(
        "watched",
        "being told of 100,000 tasks that do nothing, 2 threads",
        WATCHED,
        (PER_TASK, PER_TASK_COUNT),
        overhead,
    ),
    *GRAPH_CASES,
    *JOURNAL_CASES,
    *CLUSTER_CASES,
    Case(
        "import-workflow",
        "what the import of a workflow library adds to the start of Python",
        _WORKFLOW_LIBRARIES,
        (Figure("import", "ms"),),
        import_time,
        rounds=(3, 1),
        by_library=True,
    ),
)
