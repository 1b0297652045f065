"""Our pools as ``concurrent.futures`` executors, for asyncio, Dask and whatever else takes one."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from cotality.parallel._backends.choose import require_processes
from cotality.parallel._backends.cpus import process_width, thread_width
from cotality.parallel._backends.forks import START_METHODS
from cotality.parallel._backends.threads import ThreadPool
from cotality.parallel._data.capabilities import AblePool, Capabilities
from cotality.parallel._data.checks import check_count
from cotality.parallel._data.messages import Backend
from cotality.parallel._mailbox import Mailbox

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

    from cotality.parallel._backends.forks import StartMethod

__all__ = ["ProcessExecutor", "ThreadExecutor"]

P = ParamSpec("P")
R = TypeVar("R")

_executor_numbers = count()


class _PoolExecutor(Executor):
    """What both executors share."""

    def __init__(self, pool: AblePool, mailbox: Mailbox) -> None:
        self._pool = pool
        self._mailbox = mailbox
        # An executor that is dropped without a shutdown ends when its work is done.
        weakref.finalize(self, mailbox.finish).atexit = False

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Have ``fn(*args, **kwargs)`` called by a worker.

        Parameters:
            fn: What to call.
            args: Its positional arguments.
            kwargs: Its keyword arguments.

        Returns:
            A future of the result.

        Raises:
            RuntimeError: the executor was shut down, or the interpreter ends.
            TypeError: ``fn`` is not callable.
            WorkerStartError: workers can not be started, for example because the initializer raises.
        """
        if not callable(fn):
            raise TypeError(f"fn must be callable, not {type(fn).__name__}")
        return self._mailbox.post(fn, args, kwargs)

    @property
    def capabilities(self) -> Capabilities:
        """What it can do when it is given as ``backend=``."""
        return self._pool.capabilities

    def open(self, max_workers: int | None) -> Backend:
        """A backend for one run: how ``backend=executor`` uses the workers of this executor."""
        self._mailbox.check_open()
        return self._pool.open(max_workers)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more, and free the workers when what was submitted is done.

        Parameters:
            wait: Whether to wait for that.
            cancel_futures: Whether to cancel what has not started.
        """
        self._mailbox.finish(cancel=cancel_futures)
        if wait:
            self._mailbox.join()


class ThreadExecutor(_PoolExecutor):
    """A ``concurrent.futures`` executor of threads; also a pool that can be given as ``backend=``.

    Parameters:
        max_workers: The most threads; None: ``min(32, cpus + 4)``.
        thread_name_prefix: What its threads are called, followed by a number.
        initializer: Called in each thread before its first task.
        initargs: Its arguments.

    Raises:
        ValueError, TypeError: ``max_workers`` is not a whole number above 0, or ``initializer`` not callable.

    Example:
        >>> with ThreadExecutor(max_workers=2) as executor:
        ...     executor.submit(pow, 2, 10).result()
        1024
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        check_count("max_workers", max_workers)
        _check_initializer(initializer)
        workers = max_workers or thread_width()
        prefix = thread_name_prefix or f"ThreadExecutor-{next(_executor_numbers)}"
        pool = ThreadPool(workers, prefix, initializer, initargs)
        super().__init__(pool, Mailbox(pool, workers, here=True, before=_nothing, after=_nothing))


class ProcessExecutor(_PoolExecutor):
    """A ``concurrent.futures`` executor of processes; also a pool that can be given as ``backend=``.

    A worker that dies fails the task that it ran, with :class:`~cotality.parallel.errors.WorkerDied`, and is replaced.

    Parameters:
        max_workers: The most processes; None: the processors this process may use.
        mp_context: A ``multiprocessing`` context; only its start method is used.
        initializer: Called in each process before its first task.
        initargs: Its arguments; ``multiprocessing`` queues and locks may be among them.
        max_tasks_per_child: After this many tasks a process is replaced; None: never.
        start_method: ``"forkserver"`` (the default), ``"spawn"``, or ``"fork"``, which is only safe while the caller
            has no other threads.
        memory_limit: Bytes that a process may allocate, on Linux; a task that needs more gets a MemoryError.

    Raises:
        ValueError, TypeError: a parameter that can not be used.

    Example:
        >>> with ProcessExecutor(max_workers=1) as executor:
        ...     executor.submit(pow, 2, 10).result()
        1024
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: BaseContext | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
        start_method: StartMethod | None = None,
        memory_limit: int | None = None,
    ) -> None:
        check_count("max_workers", max_workers)
        check_count("max_tasks_per_child", max_tasks_per_child)
        check_count("memory_limit", memory_limit)
        _check_initializer(initializer)
        if mp_context is not None:
            start_method = start_method or cast("StartMethod", mp_context.get_start_method())
        if start_method not in (None, *START_METHODS):
            raise ValueError(f"start_method must be one of {START_METHODS}, not {start_method!r}")
        if start_method == "fork" and max_tasks_per_child is not None:
            raise ValueError(
                "max_tasks_per_child can not be used with 'fork': replacing workers would fork a threaded process"
            )
        workers = max_workers or process_width()
        require_processes()
        from cotality.parallel._backends.processes.pool import ProcessPool

        pool = ProcessPool(
            workers, start_method or START_METHODS[0], initializer, initargs, max_tasks_per_child, memory_limit
        )
        before = partial(pool.start_all, workers) if start_method == "fork" else _nothing
        super().__init__(pool, Mailbox(pool, workers, here=False, before=before, after=pool.close))

    def map(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        **options: Any,
    ) -> Iterator[R]:
        """As ``Executor.map``.

        Parameters:
            fn: What to call.
            iterables: Where its arguments come from, one of each.
            timeout: Seconds, from now, until the last result must be there; None: no bound.
            chunksize: Has no effect: how many calls go into a message is found out.
            options: What else ``Executor.map`` takes.

        Raises:
            ValueError: ``chunksize`` is less than 1.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        return super().map(fn, *iterables, timeout=timeout, **options)


def _nothing() -> None:
    """What a thread pool needs before and after its use."""


def _check_initializer(initializer: object) -> None:
    if initializer is not None and not callable(initializer):
        raise TypeError("initializer must be callable")


ThreadExecutor.__module__ = ProcessExecutor.__module__ = "cotality.parallel"
