"""Workers kept warm between runs."""

from __future__ import annotations

import atexit
import os
import select
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any
from weakref import WeakSet

from cotality.parallel._backends.cpus import cpu_count
from cotality.parallel._backends.forks import START_METHODS, StartMethod, in_forked_children
from cotality.parallel._backends.processes import launch, lifeline, loans, main_module
from cotality.parallel._backends.processes.handle import MOST_FUNCTIONS, Handle

GRACE_SECONDS = 1.0
"""How long a worker that was told to end may take before it is killed."""
IDLE_SECONDS = 60.0
"""How long a worker waits for another run before it ends."""
NATIVE_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)
"""What native libraries read their number of threads from, when they are loaded."""

_pools: WeakSet[WarmWorkers] = WeakSet()


class WarmWorkers:
    """Workers of one kind; a run leases them and gives them back.

    Parameters:
        start_method: How workers are started.
        initializer: Called in each worker before its first task.
        initargs: Its arguments.
        max_tasks_per_worker: After this many tasks a worker is replaced.
        memory_limit: Bytes of memory a worker may allocate; beyond that its task gets a MemoryError.
    """

    def __init__(
        self,
        start_method: StartMethod = START_METHODS[0],
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        max_tasks_per_worker: int | None = None,
        memory_limit: int | None = None,
    ) -> None:
        self._start_method: StartMethod = start_method
        self._initializer = initializer
        self._initargs = initargs
        self.max_tasks_per_worker = max_tasks_per_worker
        self._memory_limit = memory_limit
        self._idle: deque[Handle] = deque()
        _pools.add(self)

    def lease(self, width: int, listening: bytes) -> Handle:
        """An idle worker, or a new one.

        Parameters:
            width: How many workers its run has, for the number of threads that native libraries get.
            listening: What its run wants to hear of what tasks log and warn.

        Raises:
            OSError: none can be started.
        """
        while True:
            try:
                handle = self._idle.pop()
            except IndexError:
                break
            if self._fit(handle):
                handle.listen(listening)
                return handle
            self._dismiss(handle)
        return self._start(width, listening)

    def _fit(self, handle: Handle) -> bool:
        """Whether an idle worker still lives and may be used again."""
        if not handle.receive():
            return False
        handle.forget_loans(handle.loans - loans.shared_numbers())
        return not self.spent(handle)

    def spent(self, handle: Handle) -> bool:
        """Whether a worker is to be replaced: it has had its share of tasks, or holds too many functions."""
        limit = self.max_tasks_per_worker
        return (limit is not None and handle.tasks_sent >= limit) or len(handle.functions) >= MOST_FUNCTIONS

    def _start(self, width: int, listening: bytes) -> Handle:
        threads = str(max(1, cpu_count() // width))
        authkey = None
        if "multiprocessing" in sys.modules:
            authkey = bytes(sys.modules["multiprocessing"].current_process().authkey)
        initializer: bytes | None = None
        fds: list[int] = []
        if self._initializer is not None:
            from cotality.parallel._backends.processes.inherit import dump_inherited

            try:
                initializer, fds = dump_inherited((self._initializer, self._initargs))
            except Exception as error:
                from cotality.parallel._data.broken import WorkerStartError

                raise WorkerStartError("the initializer or its arguments can not be pickled") from error
        setup = {
            "sys_path": [str(path) for path in sys.path],
            "argv": [str(argument) for argument in sys.argv],
            "environ": {**dict.fromkeys(NATIVE_THREADS, threads), **os.environ},
            "cwd": os.getcwd(),
            "main": main_module.find_main(),
            "idle_seconds": IDLE_SECONDS,
            "listening": listening,
            "authkey": authkey,
            "memory_limit": self._memory_limit,
            "initializer": initializer,
        }
        return Handle(self._start_method, setup, fds)

    def give_back(self, handle: Handle) -> None:
        """Take a worker that has nothing to do."""
        # Held until now are also the loans of tasks that ended as the run was closed: their run is over.
        handle.returned_loans()
        handle.forget_loans(handle.loans - loans.shared_numbers())
        self._idle.append(handle)

    def _dismiss(self, handle: Handle) -> None:
        """Let an idle worker go."""
        handle.channel.close()
        self._reap([handle])

    def end(self, handles: Sequence[Handle]) -> None:
        """End workers that are busy, by force if they do not go: they are gone when this returns."""
        for handle in handles:
            handle.terminate()
        try:
            _await_ends(handles, GRACE_SECONDS)
        finally:
            for handle in handles:
                handle.terminate(signal.SIGKILL)
        self._reap(handles)

    def _reap(self, handles: Sequence[Handle]) -> None:
        _await_ends(handles, GRACE_SECONDS)
        for handle in handles:
            handle.terminate(signal.SIGKILL)
            launch.exit_code(handle.process)
            handle.close()

    def close(self) -> None:
        """End the idle workers."""
        handles = []
        while self._idle:
            handles.append(self._idle.pop())
        for handle in handles:
            handle.channel.close()
        self._reap(handles)

    def abandon(self) -> None:
        """In a forked child: the workers are the parent's."""
        while self._idle:
            self._idle.pop().close()


def _await_ends(handles: Sequence[Handle], seconds: float) -> None:
    """Wait until these processes have ended, but no longer than that."""
    until = monotonic() + seconds
    for handle in handles:
        if handle.process.pidfd is not None:
            poll = select.poll()
            poll.register(handle.process.pidfd, select.POLLIN)
            poll.poll(1000 * max(0.0, until - monotonic()))


def _close_all() -> None:
    for pool in list(_pools):
        pool.close()
    launch.stop_server()
    lifeline.let_go()


def _abandon_all() -> None:
    for pool in list(_pools):
        pool.abandon()


atexit.register(_close_all)
in_forked_children(_abandon_all)
