"""Every test here runs on every backend."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

from cotality.parallel import ProcessExecutor


@pytest.fixture(scope="session")
def pools() -> Iterator[dict[str, Any]]:
    """Owned pools for the start methods that are not the default, and executors that are not ours."""
    executors: dict[str, Any] = {method: ProcessExecutor(2, start_method=method) for method in ("spawn", "fork")}
    executors["their threads"] = ThreadPoolExecutor(4)
    executors["their processes"] = ProcessPoolExecutor(2, multiprocessing.get_context("forkserver"))
    import distributed

    executors["dask"] = distributed.Client(
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    )
    yield executors
    for executor in executors.values():
        executor.shutdown()


@pytest.fixture(params=["serial", "threads", "processes", "spawn", "fork", "their threads", "their processes", "dask"])
def backend(request: pytest.FixtureRequest, pools: dict[str, Any]) -> Any:
    """What to give as ``backend=``."""
    return pools.get(request.param, request.param)


@pytest.fixture(params=["threads", "processes", "spawn", "their threads", "their processes", "dask"])
def parallel_backend(request: pytest.FixtureRequest, pools: dict[str, Any]) -> Any:
    """The same, where several tasks must run at once."""
    return pools.get(request.param, request.param)
