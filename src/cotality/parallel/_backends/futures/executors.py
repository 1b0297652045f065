"""Any ``concurrent.futures`` executor as a place to run tasks."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from functools import cache
from typing import Any, Final

from cotality.parallel._backends.cpus import cpu_count, process_width
from cotality.parallel._backends.futures.backend import FuturesBackend
from cotality.parallel._backends.futures.cargo import Cargo
from cotality.parallel._backends.futures.packing import Arrived, Packing
from cotality.parallel._backends.futures.remote import VERSION, Lent, run_batch
from cotality.parallel._backends.futures.way import LOOPBACK
from cotality.parallel._backends.serial import SerialBackend
from cotality.parallel._backends.threads import ThreadBackend
from cotality.parallel._data.broken import WorkerDied
from cotality.parallel._data.capabilities import OF_THREADS, Capabilities, capable
from cotality.parallel._data.checks import check_count
from cotality.parallel._data.messages import Backend
from cotality.parallel._data.task_errors import TransferError

THREADS: Final = replace(OF_THREADS, replaces=False)
ELSEWHERE: Final = capable()
_lent: Final = threading.local()
"""``by``: the executor whose thread this is, as long as it serves a run."""


class ExecutorPool:
    """A ``concurrent.futures`` executor as a pool. ``backend=executor`` makes one.

    The executor stays the caller's: nobody shuts it down. What it can not do is not done: see ``capabilities``. Tasks
    that run in a ``ThreadPoolExecutor`` share the caller's objects, all other executors are sent copies.

    Parameters:
        executor: The executor: of the standard library, of loky or mpi4py, or your own.
        max_workers: How many tasks it runs at once; None: as many as it says, or as there are processors.

    Raises:
        TypeError, ValueError: a parameter that can not be used.

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> from cotality.parallel import Task, run
        >>> with ThreadPoolExecutor(2) as executor:
        ...     run([Task(pow, {}, positional=(2, n)) for n in range(4)], backend=ExecutorPool(executor))
        [1, 2, 4, 8]
    """

    def __init__(self, executor: Executor, max_workers: int | None = None) -> None:
        check_count("max_workers", max_workers)
        if not callable(getattr(executor, "submit", None)):
            raise TypeError(f"executor must be a concurrent.futures executor, not {type(executor).__name__}")
        self._executor = executor
        self._max_workers = max_workers
        self.capabilities: Capabilities = THREADS if _is_of_threads(executor) else ELSEWHERE

    def open(self, max_workers: int | None) -> Backend:
        """A backend for one run.

        Parameters:
            max_workers: The most attempts at once; None: as many as the executor runs.

        Returns:
            The backend.
        """
        most = self._max_workers or workers_of(self._executor)
        workers = min(max_workers or most, most)
        if self.capabilities.shares_objects:
            if getattr(_lent, "by", None) is self._executor:
                # If all of its threads waited for runs of theirs, there would be none left for any.
                return SerialBackend()
            return BorrowedThreads(self._executor, workers)
        return FuturesBackend(ExecutorCarrier(self._executor, workers), workers, alone=workers == most)


def _is_of_threads(executor: Executor) -> bool:
    # Interpreters are threads as well, but share no objects.
    kinds = [kind.__name__ for kind in type(executor).__mro__]
    return isinstance(executor, ThreadPoolExecutor) and "InterpreterPoolExecutor" not in kinds


def workers_of(executor: Executor) -> int:
    """How many calls an executor runs at once, as far as it says."""
    for name in ("_max_workers", "num_workers", "max_workers"):
        said = getattr(executor, name, None)
        if isinstance(said, int) and said > 0:
            return said
    return cpu_count()


class BorrowedThreads(ThreadBackend):
    """The threads of an executor, as long as the run needs them.

    Parameters:
        executor: Whose threads they are.
        workers: The most of them.
    """

    def __init__(self, executor: Executor, workers: int) -> None:
        super().__init__(workers, copy_context(), None)
        self._executor = executor

    def _launch(self, duty: Callable[[], None]) -> None:
        self._executor.submit(self._occupy, duty).add_done_callback(self._left)

    def _occupy(self, duty: Callable[[], None]) -> None:
        _lent.by = self._executor
        try:
            duty()
        finally:
            del _lent.by

    def _left(self, future: Future[None]) -> None:
        """A thread is the executor's again, or it never came."""
        error = CancelledError() if future.cancelled() else future.exception()
        if error is not None and self._open:
            self._unprepared = error
            self._owner.open()


class ExecutorCarrier:
    """Sends batches to an executor.

    Parameters:
        executor: The executor.
        workers: How many calls it runs at once.
    """

    host: str | None = LOOPBACK
    chains = True
    keeps = False
    batch_seconds = 0.02
    short = 0.01

    def __init__(self, executor: Executor, workers: int) -> None:
        self._executor = executor
        self.packing = Packing(_along, workers)

    def launch(self, cargo: Cargo, message: bytes, inputs: Sequence[Any]) -> Future[Any]:
        return self._executor.submit(run_batch, VERSION, message, *inputs)

    def land(self, cargos: Sequence[Cargo]) -> list[Arrived | BaseException]:
        return [self._landed(cargo) for cargo in cargos]

    def _landed(self, cargo: Cargo) -> Arrived | BaseException:
        future: Future[Any] = cargo.future
        if future.cancelled():
            return CancelledError()
        error = future.exception()
        return error or self.packing.read(cargo.packed.sendable, future.result(), None)

    def failed(self, cargo: Cargo, error: BaseException) -> BaseException:
        if isinstance(error, BrokenExecutor):
            several = len(cargo.packed.sendable)
            which = f"this task or one of the {several} that were sent with it" if several > 1 else "this task"
            died = WorkerDied(
                f"a worker of the executor ended while {which} was there, and the executor is broken: make a new one"
            )
            died.__cause__ = error
            return died
        if isinstance(error, CancelledError):
            return WorkerDied("somebody has shut the executor down, and it has dropped this task, which did not start")
        if isinstance(error, RuntimeError) and cargo.future is None:
            # It was shut down, or the interpreter ends: that concerns no single task.
            raise error
        if isinstance(error, TransferError):
            return error
        failure = TransferError(f"the executor could not send this task or its result: {type(error).__name__}")
        failure.__cause__ = error
        return failure

    def began(self, cargo: Cargo) -> bool:
        return bool(cargo.future.running())

    def end(self, cargo: Cargo) -> bool:
        return bool(cargo.future.cancel())

    def drop(self, cargo: Cargo) -> None:
        cargo.future.cancel()

    def close(self) -> None:
        """The executor goes on."""


def _along(lent: Lent) -> Lent:
    """Executors have no place for what several tasks need: it goes along with each batch."""
    return lent


@cache
def interpreters() -> ExecutorPool:
    """The pool behind ``backend="interpreters"``.

    Raises:
        ValueError: this Python has none.
    """
    # New in 3.14.
    executor = getattr(concurrent.futures, "InterpreterPoolExecutor", None)
    if executor is None:
        raise ValueError("backend='interpreters' needs Python 3.14 or later: use 'processes' here")
    return ExecutorPool(executor(process_width()))


ExecutorPool.__module__ = "cotality.parallel"
