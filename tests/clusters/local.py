"""Clusters on this machine, for the tests; where their packages are missing the tests are skipped and say so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cotality.parallel import RayPool

MISSING = "is not installed: pip install -e '.[cluster-tests]'"


@contextmanager
def dask_client(workers: int = 2, **options: Any) -> Iterator[Any]:
    """A client of a scheduler with worker processes of one thread each."""
    distributed = pytest.importorskip("distributed", reason=f"distributed {MISSING}")
    chosen = {"threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50, **options}
    with distributed.LocalCluster(n_workers=workers, **chosen) as cluster:
        client = distributed.Client(cluster, set_as_default=False)
        try:
            yield client
        finally:
            client.close()


@contextmanager
def ray_cluster(cpus: int = 2) -> Iterator[Any]:
    """A pool on a cluster with so many processors."""
    ray = pytest.importorskip("ray", reason=f"ray {MISSING}")
    ray.init(num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")
    try:
        yield RayPool()
    finally:
        ray.shutdown()
