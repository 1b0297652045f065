"""How each library runs a graph.

A node is a call ``function(key, seconds, *values)``, with the values of the nodes it depends on. A peer makes
a *plan* of a graph and runs it. Where a library starts a call the moment it is made, the plan is the graph itself, and
making the calls belongs to the run. Importing this module imports no peer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from itertools import count
from queue import SimpleQueue
from typing import Any, ClassVar, TypeAlias

from tests.benchmarks import work
from tests.benchmarks.graphs import Graph
from tests.benchmarks.peers import Peer

Node: TypeAlias = Callable[..., int]


class GraphPeer(Peer):
    """One way to run graphs, with workers that stay until ``close``."""

    def __init__(self, workers: int, function: Node = work.node) -> None:
        super().__init__(workers)
        self.function = function

    def plan(self, graph: Graph) -> Any:
        """What ``run`` takes."""
        return graph

    def run(self, plan: Any) -> list[int]:
        """The values of the sinks."""
        raise NotImplementedError


def wire(graph: Graph, make: Callable[..., Any]) -> list[Any]:
    """Make every node, with the handles of the nodes it depends on; the handles of the sinks."""
    handles: list[Any] = []
    for key, (parents, seconds) in enumerate(zip(graph.parents, graph.seconds, strict=True)):
        handles.append(make(key, seconds, *[handles[parent] for parent in parents]))
    return [handles[key] for key in graph.sinks]


class _Cotality(GraphPeer):
    label = "cotality"
    library = "cotality"
    statement = "from cotality.workflow import Workflow, task"
    ours = True
    backend: ClassVar[Any]

    @classmethod
    def installed(cls) -> bool:
        return find_spec("cotality.workflow") is not None

    def plan(self, graph: Graph) -> Any:
        from cotality.workflow import Workflow, task

        factories = {kind: task(name=kind)(self.function) for kind in set(graph.kinds)}
        make = [factories[kind] for kind in graph.kinds]
        flow = Workflow("benchmark", backend=self.backend, max_workers=self.workers)
        sinks = wire(graph, lambda key, seconds, *parents: make[key](key, seconds, *[each.output for each in parents]))
        flow.add(*sinks)
        return flow, sinks

    def run(self, plan: Any) -> list[int]:
        flow, sinks = plan
        run = flow.run()
        return [run[sink] for sink in sinks]


class CotalityGraphThreads(_Cotality):
    backend = "threads"


class CotalityGraphProcesses(_Cotality):
    backend = "processes"


class _ByHand(GraphPeer):
    """A loop that submits a node when the last node it waits for has come back."""

    def plan(self, graph: Graph) -> Any:
        return graph, graph.children, graph.sinks, [len(parents) for parents in graph.parents]

    def submit(self, arguments: tuple[Any, ...], done: Callable[[Any], object]) -> None:
        """Let a worker call the function, and then call ``done`` with what ``value_of`` takes."""
        raise NotImplementedError

    def value_of(self, result: Any) -> int:
        raise NotImplementedError

    def run(self, plan: Any) -> list[int]:
        graph, children, sinks, waits = plan
        finished: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        values: list[int] = [0] * len(graph)

        def submit(key: int) -> None:
            inputs = [values[parent] for parent in graph.parents[key]]
            self.submit((key, graph.seconds[key], *inputs), lambda result: finished.put((key, result)))

        for key, parents in enumerate(graph.parents):
            if not parents:
                submit(key)
        for _ in range(len(graph)):
            key, result = finished.get()
            values[key] = self.value_of(result)
            for child in children[key]:
                waits[child] -= 1
                if not waits[child]:
                    submit(child)
        return [values[key] for key in sinks]


class _FuturesByHand(_ByHand):
    library = "concurrent"
    _pool: Any

    def submit(self, arguments: tuple[Any, ...], done: Callable[[Any], object]) -> None:
        self._pool.submit(self.function, *arguments).add_done_callback(done)

    def value_of(self, result: Any) -> int:
        value: int = result.result()
        return value

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class FuturesByHandThreads(_FuturesByHand):
    label = "by hand on ThreadPoolExecutor"
    statement = "from concurrent.futures import ThreadPoolExecutor"

    def __init__(self, workers: int, function: Node = work.node) -> None:
        from concurrent.futures import ThreadPoolExecutor

        super().__init__(workers, function)
        self._pool = ThreadPoolExecutor(workers)


class FuturesByHandProcesses(_FuturesByHand):
    label = "by hand on ProcessPoolExecutor"
    statement = "from concurrent.futures import ProcessPoolExecutor"

    def __init__(self, workers: int, function: Node = work.node) -> None:
        from concurrent.futures import ProcessPoolExecutor

        super().__init__(workers, function)
        self._pool = ProcessPoolExecutor(workers)


class PoolByHand(_ByHand):
    label = "by hand on multiprocessing.Pool"
    library = "multiprocessing"
    statement = "from multiprocessing import Pool"

    def __init__(self, workers: int, function: Node = work.node) -> None:
        from multiprocessing import Pool

        super().__init__(workers, function)
        self._pool = Pool(workers)

    def submit(self, arguments: tuple[Any, ...], done: Callable[[Any], object]) -> None:
        self._pool.apply_async(self.function, arguments, callback=done)

    def value_of(self, result: Any) -> int:
        value: int = result
        return value

    def close(self) -> None:
        self._pool.terminate()
        self._pool.join()


class _Dask(GraphPeer):
    """A graph as Dask keeps it: making one with ``delayed`` takes time that grows with the square of the depth."""

    library = "dask"
    statement = "import dask"
    _numbers = count()

    def plan(self, graph: Graph) -> Any:
        # Its keys are names, since what equals a key among the arguments is taken for that node; and new ones, since
        # distributed may still hold what another graph's node of the same name came to.
        run = next(self._numbers)
        # What stands before the first hyphen tells distributed what is of one kind.
        names = [f"{kind}-{run}-{key}" for key, kind in enumerate(graph.kinds)]
        tasks: dict[str, tuple[Any, ...]] = {}
        for key, (parents, seconds) in enumerate(zip(graph.parents, graph.seconds, strict=True)):
            tasks[names[key]] = (self.function, key, seconds, *[names[parent] for parent in parents])
        return tasks, [names[key] for key in graph.sinks]

    def run(self, plan: Any) -> list[int]:
        tasks, sinks = plan
        return list(self.get(tasks, sinks))

    def get(self, tasks: dict[str, tuple[Any, ...]], sinks: list[str]) -> Sequence[int]:
        raise NotImplementedError


class DaskThreads(_Dask):
    label = "dask, threads"

    def get(self, tasks: dict[str, tuple[Any, ...]], sinks: list[str]) -> Sequence[int]:
        from dask import threaded

        values: Sequence[int] = threaded.get(tasks, sinks, num_workers=self.workers)
        return values


class DaskProcesses(_Dask):
    label = "dask, processes"

    def __init__(self, workers: int, function: Node = work.node) -> None:
        from concurrent.futures import ProcessPoolExecutor

        super().__init__(workers, function)
        # Dask would start a pool for each run.
        self._pool = ProcessPoolExecutor(workers)

    def get(self, tasks: dict[str, tuple[Any, ...]], sinks: list[str]) -> Sequence[int]:
        from dask import multiprocessing

        # Dask would fuse a chain into one task, which is too deep to be pickled.
        values: Sequence[int] = multiprocessing.get(tasks, sinks, pool=self._pool, optimize_graph=False)
        return values

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class _Distributed(_Dask):
    library = "distributed"
    statement = "from distributed import Client"
    cluster: ClassVar[Callable[[int], dict[str, Any]]]

    def __init__(self, workers: int, function: Node = work.node) -> None:
        import dask
        from distributed import Client, LocalCluster

        super().__init__(workers, function)
        self._open = ExitStack()
        self._open.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}))
        folder = self._open.enter_context(tempfile.TemporaryDirectory())
        cluster = LocalCluster(dashboard_address=None, local_directory=folder, **type(self).cluster(workers))
        self._client = self._open.enter_context(Client(self._open.enter_context(cluster)))

    def get(self, tasks: dict[str, tuple[Any, ...]], sinks: list[str]) -> Sequence[int]:
        values: Sequence[int] = self._client.get(tasks, sinks)
        return values

    def close(self) -> None:
        self._open.close()


class DistributedThreads(_Distributed):
    label = "distributed, threads"

    @staticmethod
    def cluster(workers: int) -> dict[str, Any]:
        return {"processes": False, "n_workers": 1, "threads_per_worker": workers}


class DistributedProcesses(_Distributed):
    label = "distributed"

    @staticmethod
    def cluster(workers: int) -> dict[str, Any]:
        return {"processes": True, "n_workers": workers, "threads_per_worker": 1}
