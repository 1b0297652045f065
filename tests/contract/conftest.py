"""Every test here runs on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cotality.parallel import ProcessExecutor


@pytest.fixture(scope="session")
def pools() -> Iterator[dict[str, Any]]:
    """Owned pools for the start methods that are not the default."""
    executors = {method: ProcessExecutor(2, start_method=method) for method in ("spawn", "fork")}
    yield executors
    for executor in executors.values():
        executor.shutdown()


@pytest.fixture(params=["serial", "threads", "processes", "spawn", "fork"])
def backend(request: pytest.FixtureRequest, pools: dict[str, Any]) -> Any:
    """What to give as ``backend=``."""
    return pools.get(request.param, request.param)


@pytest.fixture(params=["threads", "processes", "spawn"])
def parallel_backend(request: pytest.FixtureRequest, pools: dict[str, Any]) -> Any:
    """The same, where several tasks must run at once."""
    return pools.get(request.param, request.param)
