"""The pool of processes that runs are opened on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from cotality.parallel._backends.capture.listening import listening
from cotality.parallel._backends.cpus import enclosing_width, narrowed, process_width
from cotality.parallel._backends.forks import START_METHODS, StartMethod
from cotality.parallel._backends.processes import main_module
from cotality.parallel._backends.processes.backend import ProcessBackend
from cotality.parallel._backends.processes.warm import WarmWorkers
from cotality.parallel._data.capabilities import OF_THREADS


class ProcessPool:
    """Opens backends for runs on workers that stay warm in between.

    Parameters:
        max_workers: The most workers of a run; None: as many as there are processors.
        start_method, initializer, initargs, max_tasks_per_worker, memory_limit: See :class:`~.warm.WarmWorkers`.
    """

    capabilities = replace(OF_THREADS, interrupts=True, shares_objects=False, keeps_results=True)

    def __init__(
        self,
        max_workers: int | None = None,
        start_method: StartMethod = START_METHODS[0],
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        max_tasks_per_worker: int | None = None,
        memory_limit: int | None = None,
    ) -> None:
        self._max_workers = max_workers
        self._workers = WarmWorkers(start_method, initializer, initargs, max_tasks_per_worker, memory_limit)

    def open(self, max_workers: int | None) -> ProcessBackend:
        """A backend for one run.

        Raises:
            RuntimeError: a worker has come here by importing a script without a guard.
        """
        main_module.refuse_while_importing()
        # What comes back from workers names the main module as they call it.
        sys.modules.setdefault("__mp_main__", sys.modules["__main__"])
        outer = enclosing_width.get()
        wanted = narrowed(self._max_workers, max_workers) or process_width()
        if outer() > 1:
            # A nested call: the workers of all calls together are about as many as there are processors.
            wanted = min(wanted, process_width())
        return ProcessBackend(self._workers, wanted, outer)

    def start_all(self, count: int) -> None:
        """Start so many workers now, before they are needed.

        Raises:
            OSError: they can not be started.
        """
        for handle in [self._workers.lease(count, listening()) for _ in range(count)]:
            self._workers.give_back(handle)

    def close(self) -> None:
        """End the idle workers."""
        self._workers.close()


@cache
def default_pool() -> ProcessPool:
    """The pool of all calls that name none."""
    return ProcessPool()
