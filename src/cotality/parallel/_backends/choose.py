"""From what a caller gives as ``backend=`` to a pool."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from cotality.parallel._backends.serial import SerialPool
from cotality.parallel._backends.threads import ThreadPool
from cotality.parallel._data.messages import Pool
from cotality.parallel._data.task_options import check_backend

if TYPE_CHECKING:
    from concurrent.futures import Executor

_serial_runs: Pool | None = None
"""In tests: what runs all tasks in the thread of their caller, whatever they say."""


def run_serially(pool: Pool | None) -> Pool | None:
    """Have all runs that begin from now on be serial, in this pool; None: where they say. Gives what was before."""
    global _serial_runs
    before, _serial_runs = _serial_runs, pool
    return before


def run_where(backend: str | Pool | Executor) -> str | Pool | Executor:
    """Where a run runs its tasks: where its caller says, unless all runs are serial.

    Raises:
        ValueError, TypeError: what can be no backend.
    """
    if _serial_runs is None:
        return backend
    check_backend(backend)
    return "serial"


def require_processes() -> None:
    """Raise where the system has no processes of the kind that the pool needs."""
    if os.name != "posix":
        raise OSError("processes need a POSIX system such as Linux or macOS: use threads here")


def _is_from(package: str, backend: object) -> bool:
    """Whether this is an object of a package, which need not be imported to be asked for."""
    return type(backend).__module__.partition(".")[0] == package


def choose_pool(backend: str | Pool | Executor) -> Pool:
    """The pool that a name or an executor stands for; a pool stands for itself.

    Raises:
        ValueError: an unknown name.
        TypeError: neither a name nor a pool.
    """
    if backend == "threads":
        return ThreadPool()
    if backend == "processes":
        require_processes()
        # Only who uses processes pays for importing them.
        from cotality.parallel._backends.processes.pool import default_pool

        return default_pool()
    if backend == "serial":
        return _serial_runs or SerialPool()
    if backend == "asyncio":
        from cotality.parallel._backends.event_loop import EventLoopPool

        return EventLoopPool()
    if backend == "interpreters":
        from cotality.parallel._backends.futures.executors import interpreters

        return interpreters()
    if backend == "dask" or _is_from("distributed", backend):
        from cotality.parallel._backends.dask.pool import DaskPool

        return DaskPool(None if backend == "dask" else backend)
    if backend == "ray":
        from cotality.parallel._backends.ray.pool import RayPool

        return RayPool()
    check_backend(backend)
    if not hasattr(backend, "open"):
        from cotality.parallel._backends.futures.executors import ExecutorPool

        return ExecutorPool(cast("Executor", backend))
    return cast(Pool, backend)
