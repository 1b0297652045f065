"""How Ray, Parsl and Prefect run a graph: each starts a call when it is made."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks import work
from tests.benchmarks.graph_peers import GraphPeer, Node, wire
from tests.benchmarks.graphs import Graph


class Ray(GraphPeer):
    label = "Ray"
    library = "ray"
    statement = "import ray"

    def __init__(self, workers: int, function: Node = work.node) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        super().__init__(workers, function)
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        self._remote = ray.remote(function).remote

    def run(self, plan: Graph) -> list[int]:
        import ray

        values: list[int] = ray.get(wire(plan, self._remote))
        return values

    def close(self) -> None:
        import ray

        ray.shutdown()


class _Parsl(GraphPeer):
    library = "parsl"
    statement = "import parsl"

    def __init__(self, workers: int, function: Node = work.node) -> None:
        import parsl

        super().__init__(workers, function)
        self._folder = tempfile.TemporaryDirectory()
        self._kernel = parsl.DataFlowKernel(
            parsl.Config(
                executors=[self.executor()],
                run_dir=self._folder.name,
                usage_tracking=0,
                initialize_logging=False,
                # How soon it looks whether workers are to be started: five seconds would only prolong the warming up.
                strategy_period=1,
            )
        )
        self._app = parsl.python_app(function, data_flow_kernel=self._kernel)

    def executor(self) -> Any:
        raise NotImplementedError

    def run(self, plan: Graph) -> list[int]:
        return [future.result() for future in wire(plan, self._app)]

    def close(self) -> None:
        self._kernel.cleanup()
        self._folder.cleanup()


class ParslThreads(_Parsl):
    label = "parsl, threads"

    def executor(self) -> Any:
        from parsl.executors import ThreadPoolExecutor

        return ThreadPoolExecutor(max_threads=self.workers)


class ParslProcesses(_Parsl):
    label = "parsl"

    def executor(self) -> Any:
        from parsl.executors import HighThroughputExecutor
        from parsl.providers import LocalProvider

        # Its programs are found by name, and its workers run elsewhere: an activated environment is not needed.
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        os.environ["PYTHONPATH"] = os.getcwd()
        return HighThroughputExecutor(
            max_workers_per_node=self.workers,
            address="127.0.0.1",
            provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
        )


def settle_prefect(folder: str) -> None:
    """Have Prefect, which is not imported yet, keep its things in a folder, and itself quiet."""
    os.environ |= {
        "PREFECT_HOME": folder,
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "60",
        "DO_NOT_TRACK": "1",
    }


class Prefect(GraphPeer):
    label = "Prefect, threads"
    library = "prefect"
    statement = "from prefect import flow, task"

    def __init__(self, workers: int, function: Node = work.node) -> None:
        super().__init__(workers, function)
        self._folder = tempfile.TemporaryDirectory()
        settle_prefect(self._folder.name)

    def run(self, plan: Graph) -> list[int]:
        from prefect import flow, task
        from prefect.task_runners import ThreadPoolTaskRunner

        submit = task(self.function).submit

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=self.workers))
        def benchmark() -> list[int]:
            return [future.result() for future in wire(plan, submit)]

        values: list[int] = benchmark()
        return values

    def close(self) -> None:
        self._folder.cleanup()
