"""The shared cluster, with all its workers."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def client(dask: Any) -> Any:
    """A client of two workers, also after a test that has killed one."""
    dask.wait_for_workers(2, timeout=20)
    return dask
