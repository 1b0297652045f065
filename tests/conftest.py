"""Clusters that the whole session shares, started when a test first asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clusters.local import dask_client, ray_cluster


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
