"""What holds for all tests; and clusters that they share, started when one first asks for them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clusters.local import dask_client, ray_cluster


def pytest_configure() -> None:
    # A shell that starts the tests in the background has them ignore interrupts, and every program that they start
    # would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def dask() -> Iterator[Any]:
    """A client of a real scheduler with two worker processes."""
    with dask_client() as client:
        yield client


@pytest.fixture(scope="session")
def ray() -> Iterator[Any]:
    """A pool on a real cluster with room for two."""
    with ray_cluster() as pool:
        yield pool
