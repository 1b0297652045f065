"""How clusters run calls, and workflows of arrays: through us, and as their own documentation shows.

Importing this module imports no peer.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from tests.benchmarks import work
from tests.benchmarks.peers import Call, PoolPeer


class _Through(PoolPeer):
    """Calls as tasks, on a cluster that a subclass has as ``pool``."""

    ours = True
    pool: Any

    def units(self, call: Call, values: Iterable[Any]) -> Iterable[Any]:
        from cotality.parallel import Task

        return (Task(call, {"value": value}) for value in values)

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        from cotality.parallel import run

        return iter(run(units, backend=self.pool))

    def chains(self, count: int, size: int) -> list[float]:
        from cotality.workflow import Workflow, task

        make, double, total = task(work.ones), task(work.doubled), task(work.total)
        flow = Workflow("arrays", backend=self.pool)
        ends = [flow.add(total(double(make(size).output).output)) for _ in range(count)]
        run = flow.run()
        return [run[end] for end in ends]


class _Dask(PoolPeer):
    library = "distributed"
    statement = "from distributed import Client"

    def __init__(self, workers: int) -> None:
        from distributed import Client, LocalCluster

        super().__init__(workers)
        self._open = ExitStack()
        folder = self._open.enter_context(tempfile.TemporaryDirectory())
        cluster = LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, local_directory=folder, silence_logs=50
        )
        self.pool = self._open.enter_context(Client(self._open.enter_context(cluster)))

    def close(self) -> None:
        self._open.close()


class CotalityDask(_Through, _Dask):
    label = "cotality, dask"


class DaskMap(_Dask):
    label = "Client.map"

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        results: list[Any] = self.pool.gather(self.pool.map(call, list(units), pure=False))
        return iter(results)


class DaskSubmit(_Dask):
    label = "Client.submit"

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        results: list[Any] = self.pool.gather([self.pool.submit(call, unit, pure=False) for unit in units])
        return iter(results)

    def chains(self, count: int, size: int) -> list[float]:
        submit = self.pool.submit
        made = [submit(work.ones, size, pure=False) for _ in range(count)]
        ends = [submit(work.total, submit(work.doubled, each, pure=False), pure=False) for each in made]
        totals: list[float] = self.pool.gather(ends)
        return totals


class _Ray(PoolPeer):
    library = "ray"
    statement = "import ray"

    def __init__(self, workers: int) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        super().__init__(workers)
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        self.pool = "ray"

    def close(self) -> None:
        import ray

        ray.shutdown()


class CotalityRay(_Through, _Ray):
    label = "cotality, ray"


class RayRemote(_Ray):
    label = "ray.remote"

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        import ray

        remote = ray.remote(call).remote
        return iter(ray.get([remote(unit) for unit in units]))
