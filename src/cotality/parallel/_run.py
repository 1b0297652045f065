"""Run a list or a stream of tasks: the way into the run loop for tasks that do not depend on each other."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Sized
from typing import Any, Literal, TypeVar, Unpack, overload

from cotality.parallel._backends.choose import choose_pool, run_where
from cotality.parallel._blame import stand_in_place, stand_to_be_raised
from cotality.parallel._data.checks import check_count, check_known, check_seconds
from cotality.parallel._data.journal import journal_of
from cotality.parallel._data.options import RunOptions
from cotality.parallel._data.policies import retry_policy
from cotality.parallel._data.task import Task
from cotality.parallel._data.task_options import cached
from cotality.parallel._loop import ListLoop
from cotality.parallel._observers.attend import attend, new_identity
from cotality.parallel._scheduling.plan import Plan
from cotality.parallel._scheduling.source import IterableSource
from cotality.parallel._scheduling.survey import ListSurvey

R = TypeVar("R")


@overload
def run(
    tasks: Iterable[Task[R]], *, return_exceptions: Literal[False] = False, **options: Unpack[RunOptions]
) -> list[R]: ...
@overload
def run(
    tasks: Iterable[Task[R]], *, return_exceptions: Literal[True], **options: Unpack[RunOptions]
) -> list[R | Exception]: ...
@overload
def run(
    tasks: Iterable[Task[R]], *, return_exceptions: bool = False, **options: Unpack[RunOptions]
) -> list[R] | list[R | Exception]: ...
def run(
    tasks: Iterable[Task[R]], *, return_exceptions: bool = False, **options: Unpack[RunOptions]
) -> list[R] | list[R | Exception]:
    """Run tasks and give their results in the order of the tasks.

    Parameters:
        tasks: Any iterable of tasks; taken as workers get free.
        return_exceptions: Whether a task's error stands among the results instead of being raised.
        options: See :class:`RunOptions`.

    Returns:
        One result per task.

    Raises:
        Exception: the first task's failure as itself, with a note that names the task, unless
            ``return_exceptions``; tasks that have not started then never start.
        TypeError, ValueError: an option or an item of ``tasks`` that can not be used.

    Example:
        >>> run(Task(divmod, {}, positional=(n, 3)) for n in (7, 8))
        [(2, 1), (2, 2)]
    """
    # Each result is put where it belongs as it comes: nothing waits for its turn.
    return _open(tasks, False, return_exceptions, options).collect()


@overload
def stream(
    tasks: Iterable[Task[R]],
    *,
    ordered: bool = True,
    return_exceptions: Literal[False] = False,
    **options: Unpack[RunOptions],
) -> Generator[tuple[int, R], None, None]: ...
@overload
def stream(
    tasks: Iterable[Task[R]],
    *,
    ordered: bool = True,
    return_exceptions: Literal[True],
    **options: Unpack[RunOptions],
) -> Generator[tuple[int, R | Exception], None, None]: ...
@overload
def stream(
    tasks: Iterable[Task[R]],
    *,
    ordered: bool = True,
    return_exceptions: bool = False,
    **options: Unpack[RunOptions],
) -> Generator[tuple[int, Any], None, None]: ...
def stream(
    tasks: Iterable[Task[R]],
    *,
    ordered: bool = True,
    return_exceptions: bool = False,
    **options: Unpack[RunOptions],
) -> Generator[tuple[int, Any], None, None]:
    """Run tasks and yield ``(index, result)`` as results come, in the order of the tasks or of completion.

    Nothing starts before the first ``next``. No more tasks are taken from ``tasks`` than the window allows: a slow
    consumer stops the source. Leaving the stream (``break``, ``close()``, an exception) ends the run.

    Parameters:
        tasks: Any iterable of tasks, endless ones too.
        ordered: Whether results come in the order of the tasks.
        return_exceptions: Whether a task's error is yielded in its place instead of being raised.
        options: See :class:`RunOptions`.

    Yields:
        The index of a task among ``tasks``, and its result.

    Raises:
        Exception: as :func:`run`, at the ``next`` that meets it.

    Example:
        >>> for index, length in stream(Task(len, {}, positional=(word,)) for word in ("a", "bcd")):
        ...     print(index, length)
        0 1
        1 3
    """
    yield from _open(tasks, ordered, return_exceptions, options).stream()


def _open(tasks: Iterable[Task[R]], ordered: bool, return_exceptions: bool, options: RunOptions) -> ListLoop:
    """Check everything that can be wrong, then make the loop; nothing starts before its first turn."""
    if sys.is_finalizing():
        raise RuntimeError("no tasks can be run while the interpreter shuts down")
    check_known("a run", options, RunOptions.__annotations__)
    max_workers, timeout, window = options.get("max_workers"), options.get("timeout"), options.get("window")
    check_count("max_workers", max_workers)
    check_count("window", window)
    check_seconds("timeout", timeout)
    retry = retry_policy(options.get("retries", 0))
    backend = run_where(options.get("backend", "threads"))
    journal = journal_of(options.get("journal"))
    pool = choose_pool(backend)
    source = IterableSource(tasks)
    plan = Plan(
        source,
        retry=retry,
        timeout=timeout,
        ordered=ordered,
        fail_fast=not return_exceptions,
        stand_in=stand_in_place if return_exceptions else stand_to_be_raised,
    )
    survey = ListSurvey(plan, len(tasks) if isinstance(tasks, Sized) else None, backend)
    identity = new_identity()
    audience = attend(identity, options.get("observers", ()), options.get("progress"))
    loop = ListLoop(identity, plan, source, pool.open(max_workers), window=window, survey=survey, audience=audience)
    if journal is not None or cached:
        # Only who has something to remember pays for importing it.
        from cotality.parallel._memory import FlatMemory

        loop.remembers = plan.memory = FlatMemory(journal)
        plan.looks_far = window is None
    return loop


run.__module__ = stream.__module__ = "cotality.parallel"
