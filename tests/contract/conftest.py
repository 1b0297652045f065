"""Every test here runs on every backend."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

from cotality.parallel import ProcessExecutor
from tests.forks import CAN_FORK, METHODS

OURS = ["threads", "processes", "spawn"]
FORKED = ["fork"] if CAN_FORK else []
GUESTS = ["their threads", "their processes", "dask", "ray"]


@pytest.fixture(scope="session")
def pools() -> Iterator[dict[str, Any]]:
    """Owned pools for the start methods that are not the default, and executors that are not ours."""
    others = [method for method in METHODS if method != "forkserver"]
    executors: dict[str, Any] = {method: ProcessExecutor(2, start_method=method) for method in others}
    executors["their threads"] = ThreadPoolExecutor(2)
    executors["their processes"] = ProcessPoolExecutor(2, multiprocessing.get_context(METHODS[0]))
    yield executors
    for executor in executors.values():
        executor.shutdown()


def _place(request: pytest.FixtureRequest) -> Any:
    if request.param in ("dask", "ray"):
        return request.getfixturevalue(request.param)
    return request.getfixturevalue("pools").get(request.param, request.param)


@pytest.fixture(params=["serial", *OURS, *FORKED, *GUESTS])
def backend(request: pytest.FixtureRequest) -> Any:
    """What to give as ``backend=``."""
    return _place(request)


@pytest.fixture(params=[*OURS, *GUESTS])
def parallel_backend(request: pytest.FixtureRequest) -> Any:
    """The same, where several tasks must run at once."""
    return _place(request)


@pytest.fixture(params=["serial", *OURS, *FORKED, "their threads"])
def relaying_backend(request: pytest.FixtureRequest) -> Any:
    """Those where it is heard too what a task says in threads; what others do is in ``test_capabilities``."""
    return _place(request)
