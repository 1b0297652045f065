"""One cluster for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clusters.local import dask_client


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    """A client of a scheduler with two worker processes, one of which has something that the other has not."""
    with dask_client() as client:
        yield client
