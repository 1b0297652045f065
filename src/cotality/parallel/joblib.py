"""Our workers for joblib, and so for scikit-learn's ``n_jobs``. To import this is enough::

    import joblib
    import cotality.parallel.joblib

    with joblib.parallel_config(backend="cotality", n_jobs=4):
        search.fit(X, y)

Workers stay warm from one call to the next. An array that is given to many calls exists once, in shared memory, where
it is read-only.
"""

# pyright: reportMissingImports=false, reportMissingModuleSource=false, reportIncompatibleMethodOverride=false

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import cache
from typing import Any

from joblib.parallel import FallbackToBackend, ParallelBackendBase, SequentialBackend, register_parallel_backend

from cotality.parallel._backends.cpus import cpu_count
from cotality.parallel.executors import ProcessExecutor, ThreadExecutor

__all__ = ["CotalityBackend"]


class CotalityBackend(ParallelBackendBase):  # type: ignore[misc]
    """What joblib asks of a backend.

    Parameters:
        workers: ``"processes"`` or ``"threads"``.
        options: What joblib gives to each backend.

    Raises:
        ValueError: ``workers`` is neither.

    Example:
        >>> import joblib  # doctest: +SKIP
        >>> with joblib.parallel_config(backend="cotality", n_jobs=2):  # doctest: +SKIP
        ...     joblib.Parallel()(joblib.delayed(pow)(2, n) for n in range(3))
        [1, 2, 4]
    """

    supports_retrieve_callback = True
    supports_inner_max_num_threads = True

    def __init__(self, workers: str = "processes", **options: Any) -> None:
        if workers not in ("processes", "threads"):
            raise ValueError(f"workers must be 'processes' or 'threads', not {workers!r}")
        super().__init__(**options)
        self._kind = workers
        self.uses_threads: bool = workers == "threads"
        self.supports_sharedmem: bool = self.uses_threads
        self._executor: Any = None
        self._futures: set[Future[Any]] = set()

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many workers such a number means; negative ones count from the number of processors."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 has no meaning")
        if n_jobs is None:
            return 1
        return n_jobs if n_jobs > 0 else max(1, cpu_count() + 1 + n_jobs)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_options: Any) -> int:
        """Get ready for a call."""
        workers = self.effective_n_jobs(n_jobs)
        if workers == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        if self._kind == "threads":
            self._executor = _threads(workers)
        else:
            self._executor = _processes(workers, tuple(self._prepare_worker_env(workers).items()))
        return workers

    def submit(self, func: Any, callback: Callable[[Any], object] | None = None) -> Future[Any]:
        """Have a batch of calls run."""
        items: Any = getattr(func, "items", ())
        if len(items) == 1:
            # Its arguments by themselves: what is large and given again is known again.
            shell = copy.copy(func)
            shell.items = []
            function, args, kwargs = items[0]
            future = self._executor.submit(_call, shell, function, *args, **kwargs)
        else:
            future = self._executor.submit(func)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        if callback is not None:
            future.add_done_callback(callback)
        return future  # type: ignore[no-any-return]

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """What a batch has given."""
        try:
            return out.result()
        except CancelledError as error:
            raise RuntimeError("the call was cancelled, as another one of its batch of calls has failed") from error

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Drop what has not started; the workers are for the next call."""
        for future in tuple(self._futures):
            future.cancel()


def _call(shell: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call what was taken out of a batch."""
    shell.items = [(function, args, kwargs)]
    return shell()


@cache
def _threads(workers: int) -> ThreadExecutor:
    return ThreadExecutor(workers)


@cache
def _processes(workers: int, environment: tuple[tuple[str, str], ...]) -> ProcessExecutor:
    return ProcessExecutor(workers, initializer=_set_up, initargs=(environment,))


def _set_up(environment: tuple[tuple[str, str], ...]) -> None:
    """Libraries that start threads of their own are to share the processors."""
    os.environ.update(environment)


register_parallel_backend("cotality", CotalityBackend)
