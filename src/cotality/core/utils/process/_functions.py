"""The three functions. Thin on purpose: everything they do is the engine's."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, Literal, TypeVar, Unpack, overload

from cotality.parallel import CallOptions, RunOptions, Task, run, stream

R = TypeVar("R")


@overload
def execute_tasks_in_parallel(
    tasks: Iterable[Task[R]],
    max_workers: int | None = None,
    use_processes: bool = False,
    return_exceptions: Literal[False] = False,
    **options: Unpack[CallOptions],
) -> list[R]: ...
@overload
def execute_tasks_in_parallel(
    tasks: Iterable[Task[R]],
    max_workers: int | None = None,
    use_processes: bool = False,
    *,
    return_exceptions: Literal[True],
    **options: Unpack[CallOptions],
) -> list[R | Exception]: ...
@overload
def execute_tasks_in_parallel(
    tasks: Iterable[Task[R]],
    max_workers: int | None,
    use_processes: bool,
    return_exceptions: Literal[True],
    **options: Unpack[CallOptions],
) -> list[R | Exception]: ...
@overload
def execute_tasks_in_parallel(
    tasks: Iterable[Task[R]],
    max_workers: int | None = None,
    use_processes: bool = False,
    return_exceptions: bool = False,
    **options: Unpack[CallOptions],
) -> list[R] | list[R | Exception]: ...
def execute_tasks_in_parallel(
    tasks: Iterable[Task[R]],
    max_workers: int | None = None,
    use_processes: bool = False,
    return_exceptions: bool = False,
    **options: Unpack[CallOptions],
) -> list[R] | list[R | Exception]:
    """Execute tasks and return their results in the order of the tasks.

    Parameters:
        tasks: Any iterable of tasks; a lazy one is asked for no more tasks than are about to run.
        max_workers: The most threads or processes; None: for threads ``min(32, cpus + 4)``, for processes ``cpus``.
        use_processes: Use processes instead of threads.
        return_exceptions: Put a failed task's exception in its place in the list instead of raising it.
        options: ``backend=``, ``retries=``, ``timeout=`` (seconds an attempt may take), ``window=``; see
            :class:`cotality.parallel.CallOptions`.

    Returns:
        One result per task.

    Raises:
        Exception: the first failure, as itself and at once, with a note that names the task; tasks that have not
            started then never start.
        TypeError: ``tasks`` is not an iterable of tasks, or an option has the wrong type.
        ValueError: an option is out of its range.

    Example:
        >>> def add(a, b):
        ...     return a + b
        >>> execute_tasks_in_parallel([Task(add, {"a": 1, "b": 2}), Task(add, {"a": 3, "b": 4})])
        [3, 7]
    """
    return run(tasks, return_exceptions=return_exceptions, **_run_options(max_workers, use_processes, options))


@overload
def execute_tasks_in_parallel_unordered(
    tasks: Iterable[Task[R]],
    max_workers: int | None = None,
    use_processes: bool = False,
    return_exceptions: Literal[False] = False,
    **options: Unpack[CallOptions],
) -> list[R]: ...
@overload
def execute_tasks_in_parallel_unordered(
    tasks: Iterable[Task[R]],
    max_workers: int | None = None,
    use_processes: bool = False,
    *,
    return_exceptions: Literal[True],
    **options: Unpack[CallOptions],
) -> list[R | Exception]: ...
@overload
def execute_tasks_in_parallel_unordered(
    tasks: Iterable[Task[R]],
    max_workers: int | None,
    use_processes: bool,
    return_exceptions: Literal[True],
    **options: Unpack[CallOptions],
) -> list[R | Exception]: ...
@overload
def execute_tasks_in_parallel_unordered(
    tasks: Iterable[Task[R]],
    max_workers: int | None = None,
    use_processes: bool = False,
    return_exceptions: bool = False,
    **options: Unpack[CallOptions],
) -> list[R] | list[R | Exception]: ...
def execute_tasks_in_parallel_unordered(
    tasks: Iterable[Task[R]],
    max_workers: int | None = None,
    use_processes: bool = False,
    return_exceptions: bool = False,
    **options: Unpack[CallOptions],
) -> list[R] | list[R | Exception]:
    """Execute tasks and return their results in the order in which the tasks complete.

    Parameters:
        tasks: As for :func:`execute_tasks_in_parallel`, and so are all others.
        max_workers: The most threads or processes.
        use_processes: Use processes instead of threads.
        return_exceptions: Put a failed task's exception in its place instead of raising it.
        options: See :class:`cotality.parallel.CallOptions`.

    Returns:
        One result per task.

    Raises:
        Exception: as :func:`execute_tasks_in_parallel`.

    Example:
        >>> sorted(execute_tasks_in_parallel_unordered(Task(abs, {}, positional=(n,)) for n in (-2, 1)))
        [1, 2]
    """
    results: Generator[tuple[int, Any], None, None] = stream(
        tasks,
        ordered=False,
        return_exceptions=return_exceptions,
        **_run_options(max_workers, use_processes, options),
    )
    return [result for _index, result in results]


@overload
def execute_tasks_in_parallel_streaming(
    tasks: Iterable[Task[R]],
    max_workers: int | None = None,
    use_processes: bool = False,
    return_exceptions: Literal[False] = False,
    ordered: bool = True,
    **options: Unpack[CallOptions],
) -> Generator[tuple[int, R], None, None]: ...
@overload
def execute_tasks_in_parallel_streaming(
    tasks: Iterable[Task[R]],
    max_workers: int | None = None,
    use_processes: bool = False,
    *,
    return_exceptions: Literal[True],
    ordered: bool = True,
    **options: Unpack[CallOptions],
) -> Generator[tuple[int, R | Exception], None, None]: ...
@overload
def execute_tasks_in_parallel_streaming(
    tasks: Iterable[Task[R]],
    max_workers: int | None,
    use_processes: bool,
    return_exceptions: Literal[True],
    ordered: bool = True,
    **options: Unpack[CallOptions],
) -> Generator[tuple[int, R | Exception], None, None]: ...
@overload
def execute_tasks_in_parallel_streaming(
    tasks: Iterable[Task[R]],
    max_workers: int | None = None,
    use_processes: bool = False,
    return_exceptions: bool = False,
    ordered: bool = True,
    **options: Unpack[CallOptions],
) -> Generator[tuple[int, Any], None, None]: ...
def execute_tasks_in_parallel_streaming(
    tasks: Iterable[Task[R]],
    max_workers: int | None = None,
    use_processes: bool = False,
    return_exceptions: bool = False,
    ordered: bool = True,
    **options: Unpack[CallOptions],
) -> Generator[tuple[int, Any], None, None]:
    """Execute tasks and yield ``(index, result)`` as results come, holding only a few at a time.

    Nothing starts before the first ``next``. ``tasks`` may be endless: no more are taken than the window allows, so a
    slow consumer stops the source. Leaving the loop (``break``, ``close()``, an exception) ends the run: what has not
    started never does, and the source is closed.

    Parameters:
        tasks: Any iterable of tasks.
        max_workers: As for :func:`execute_tasks_in_parallel`.
        use_processes: Use processes instead of threads.
        return_exceptions: Yield a failed task's exception in its place instead of raising it.
        ordered: Yield in the order of the tasks; False: as they complete.
        options: As for :func:`execute_tasks_in_parallel`.

    Yields:
        The index of a task among ``tasks``, and its result.

    Raises:
        Exception: as :func:`execute_tasks_in_parallel`, at the ``next`` that meets it.

    Example:
        >>> tasks = (Task(len, {}, positional=(word,)) for word in ("one", "three"))
        >>> for index, length in execute_tasks_in_parallel_streaming(tasks):
        ...     print(index, length)
        0 3
        1 5
    """
    yield from stream(
        tasks,
        ordered=ordered,
        return_exceptions=return_exceptions,
        **_run_options(max_workers, use_processes, options),
    )


def _run_options(max_workers: int | None, use_processes: bool, options: CallOptions) -> RunOptions:
    if use_processes and options.get("backend", "processes") != "processes":
        raise ValueError("use_processes=True and another backend= contradict each other: give one of them")
    merged: RunOptions = {"max_workers": max_workers, **options}
    if use_processes:
        merged["backend"] = "processes"
    return merged
