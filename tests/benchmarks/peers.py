"""How each library runs the calls of a case.

A *call* is a function of one value, or a ``partial`` of one with the data that all calls share. A peer turns values
into its *units* (tasks, ``delayed`` calls, or the values themselves), which a case may make beforehand or lazily, and
runs those. Importing this module imports no peer: their imports are timed too.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, ClassVar, TypeAlias

Call: TypeAlias = Callable[[Any], Any]


class Peer:
    """One way to use a library, with workers that stay until ``close``."""

    label: ClassVar[str]
    library: ClassVar[str]
    statement: ClassVar[str]
    """The import that a program needs to use it."""
    tuned: ClassVar[bool] = False
    """Whether a person chose something for the case at hand, a chunk size for example."""
    ours: ClassVar[bool] = False

    def __init__(self, workers: int) -> None:
        self.workers = workers

    @classmethod
    def installed(cls) -> bool:
        return importlib.util.find_spec(cls.library) is not None

    @classmethod
    def load(cls) -> None:
        """Import the library."""
        exec(cls.statement, {})

    def close(self) -> None:
        """Stop the workers."""


class PoolPeer(Peer):
    """One way to run calls that do not depend on each other."""

    def units(self, call: Call, values: Iterable[Any]) -> Iterable[Any]:
        """What ``stream`` and ``collect`` take, made as it is asked for."""
        return values

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        """The results in order, as early as the library gives them."""
        raise NotImplementedError

    def collect(self, call: Call, units: Iterable[Any]) -> list[Any]:
        """All results in order."""
        return list(self.stream(call, units))

    def share(self, data: object) -> None:
        """Prepare what all calls share, for a library that can."""


def _function_and_keywords(call: Call) -> tuple[Callable[..., Any], dict[str, Any]]:
    return (call.func, call.keywords) if isinstance(call, partial) else (call, {})


class _Cotality(PoolPeer):
    label = "cotality"
    library = "cotality"
    statement = "from cotality.core.utils.process import Task, execute_tasks_in_parallel"
    ours = True
    processes: ClassVar[bool]

    def units(self, call: Call, values: Iterable[Any]) -> Iterable[Any]:
        from cotality.core.utils.process import Task

        function, keywords = _function_and_keywords(call)
        if not keywords:
            return (Task(function, {"value": value}) for value in values)
        return (Task(function, {"value": value, **keywords}) for value in values)

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        from cotality.core.utils.process import execute_tasks_in_parallel_streaming

        for _index, result in execute_tasks_in_parallel_streaming(units, self.workers, self.processes):
            yield result

    def collect(self, call: Call, units: Iterable[Any]) -> list[Any]:
        from cotality.core.utils.process import execute_tasks_in_parallel

        return execute_tasks_in_parallel(units, self.workers, self.processes)


class CotalityThreads(_Cotality):
    processes = False


class CotalityProcesses(_Cotality):
    processes = True


class CotalityShared(CotalityProcesses):
    label = "cotality, share"

    def share(self, data: object) -> None:
        from cotality.parallel import share

        share(data)


class _ThreadPoolExecutor(PoolPeer):
    library = "concurrent"
    statement = "from concurrent.futures import ThreadPoolExecutor"

    def __init__(self, workers: int) -> None:
        from concurrent.futures import ThreadPoolExecutor

        super().__init__(workers)
        self._pool = ThreadPoolExecutor(workers)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class ThreadSubmit(_ThreadPoolExecutor):
    label = "ThreadPoolExecutor.submit"

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        futures = [self._pool.submit(call, unit) for unit in units]
        return (future.result() for future in futures)


class ThreadMap(_ThreadPoolExecutor):
    label = "ThreadPoolExecutor.map"

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        return self._pool.map(call, units)


class ProcessMap(PoolPeer):
    label = "ProcessPoolExecutor.map"
    library = "concurrent"
    statement = "from concurrent.futures import ProcessPoolExecutor"
    chunk_size: ClassVar[int] = 1
    start_method: ClassVar[str | None] = None

    def __init__(self, workers: int) -> None:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        super().__init__(workers)
        self._pool = ProcessPoolExecutor(workers, mp_context=get_context(self.start_method))

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        return self._pool.map(call, units, chunksize=self.chunk_size)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class ProcessMapForkServer(ProcessMap):
    label = "ProcessPoolExecutor.map, fork server"
    start_method = "forkserver"


class ProcessMapTuned(ProcessMap):
    label = "ProcessPoolExecutor.map, chunksize=1000"
    chunk_size = 1000
    tuned = True


class ThreadImap(PoolPeer):
    label = "ThreadPool.imap"
    library = "multiprocessing"
    statement = "from multiprocessing.pool import ThreadPool"

    def __init__(self, workers: int) -> None:
        from multiprocessing.pool import ThreadPool

        super().__init__(workers)
        self._pool = ThreadPool(workers)

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        return self._pool.imap(call, units)

    def close(self) -> None:
        self._pool.terminate()


class PoolImap(PoolPeer):
    label = "Pool.imap"
    library = "multiprocessing"
    statement = "from multiprocessing.pool import Pool"
    chunk_size: ClassVar[int] = 1

    def __init__(self, workers: int) -> None:
        from multiprocessing import Pool

        super().__init__(workers)
        self._pool = Pool(workers)

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        return self._pool.imap(call, units, chunksize=self.chunk_size)

    def close(self) -> None:
        self._pool.terminate()


class PoolImapTuned(PoolImap):
    label = "Pool.imap, chunksize=1000"
    chunk_size = 1000
    tuned = True


class PoolMap(PoolImap):
    label = "Pool.map"

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        return iter(self._pool.map(call, units))


class _Joblib(PoolPeer):
    library = "joblib"
    statement = "from joblib import Parallel, delayed"
    backend: ClassVar[str]

    def __init__(self, workers: int) -> None:
        from joblib import Parallel

        super().__init__(workers)
        self._parallel = Parallel(n_jobs=workers, backend=self.backend).__enter__()

    def units(self, call: Call, values: Iterable[Any]) -> Iterable[Any]:
        from joblib import delayed

        function, keywords = _function_and_keywords(call)
        planned = delayed(function)
        return (planned(value, **keywords) for value in values)

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        from joblib import Parallel

        results: Iterator[Any] = Parallel(n_jobs=self.workers, backend=self.backend, return_as="generator")(units)
        return results

    def collect(self, call: Call, units: Iterable[Any]) -> list[Any]:
        return list(self._parallel(units))

    def close(self) -> None:
        self._parallel.__exit__(None, None, None)


class JoblibThreads(_Joblib):
    label = "joblib, threading"
    backend = "threading"


class JoblibProcesses(_Joblib):
    label = "joblib, loky"
    backend = "loky"


class Loky(PoolPeer):
    label = "loky"
    library = "loky"
    statement = "from loky import get_reusable_executor"

    def __init__(self, workers: int) -> None:
        from loky import get_reusable_executor

        super().__init__(workers)
        self._pool = get_reusable_executor(max_workers=workers)

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        results: Iterator[Any] = self._pool.map(call, units)
        return results

    def close(self) -> None:
        self._pool.shutdown(kill_workers=True)


class _Mpire(PoolPeer):
    library = "mpire"
    statement = "from mpire import WorkerPool"
    start_method: ClassVar[str]

    def __init__(self, workers: int) -> None:
        from mpire import WorkerPool

        super().__init__(workers)
        self._pool = WorkerPool(n_jobs=workers, start_method=self.start_method, keep_alive=True)

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        results: Iterator[Any] = self._pool.imap(call, units)
        return results

    def close(self) -> None:
        self._pool.terminate()


class MpireThreads(_Mpire):
    label = "mpire, threading"
    start_method = "threading"


class MpireProcesses(_Mpire):
    label = "mpire"
    start_method = "fork"


class _Pebble(PoolPeer):
    library = "pebble"
    _pool: Any

    def stream(self, call: Call, units: Iterable[Any]) -> Iterator[Any]:
        results: Iterator[Any] = self._pool.map(call, units).result()
        return results

    def close(self) -> None:
        self._pool.stop()
        self._pool.join()


class PebbleThreads(_Pebble):
    label = "pebble.ThreadPool"
    statement = "from pebble import ThreadPool"

    def __init__(self, workers: int) -> None:
        from pebble import ThreadPool

        super().__init__(workers)
        self._pool = ThreadPool(max_workers=workers)


class PebbleProcesses(_Pebble):
    label = "pebble.ProcessPool"
    statement = "from pebble import ProcessPool"

    def __init__(self, workers: int) -> None:
        from pebble import ProcessPool

        super().__init__(workers)
        self._pool = ProcessPool(max_workers=workers)


THREADS: tuple[type[PoolPeer], ...] = (
    CotalityThreads,
    ThreadSubmit,
    ThreadMap,
    ThreadImap,
    JoblibThreads,
    MpireThreads,
    PebbleThreads,
)
PROCESSES: tuple[type[PoolPeer], ...] = (
    CotalityProcesses,
    ProcessMap,
    PoolImap,
    PoolMap,
    JoblibProcesses,
    Loky,
    MpireProcesses,
    PebbleProcesses,
)
TUNED: tuple[type[PoolPeer], ...] = (ProcessMapTuned, PoolImapTuned)
