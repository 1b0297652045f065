"""Usages that both type checkers must accept, and what they must infer. Never run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import assert_type

from cotality.core.utils.process import (
    Task,
    execute_tasks_in_parallel,
    execute_tasks_in_parallel_streaming,
    execute_tasks_in_parallel_unordered,
    is_picklable,
    should_use_processes,
)
from cotality.parallel import ProcessExecutor, RetryPolicy, ThreadExecutor, run, share, stream


def length(text: str) -> int:
    return len(text)


def cursor() -> Iterator[Task[int]]:
    yield Task(length, {"text": "a"})


def results() -> None:
    task = Task(length, {"text": "a"})
    assert_type(task, Task[int])
    assert_type(Task(callback_function=length, arguments={"text": "a"}), Task[int])
    assert_type(Task(length, {}, positional=("a",)), Task[int])
    assert_type(execute_tasks_in_parallel([task]), list[int])
    assert_type(execute_tasks_in_parallel(tasks=[task], max_workers=2, use_processes=True), list[int])
    assert_type(execute_tasks_in_parallel([task], return_exceptions=True), list[int | Exception])
    assert_type(execute_tasks_in_parallel([task], None, False, True), list[int | Exception])
    assert_type(execute_tasks_in_parallel([task], None, False, False), list[int])
    assert_type(execute_tasks_in_parallel_unordered([task]), list[int])
    assert_type(execute_tasks_in_parallel_unordered((task,), return_exceptions=True), list[int | Exception])
    assert_type(execute_tasks_in_parallel(cursor()), list[int])


def streams() -> None:
    for index, result in execute_tasks_in_parallel_streaming(cursor()):
        assert_type(index, int)
        assert_type(result, int)
    for _index, either in execute_tasks_in_parallel_streaming(cursor(), return_exceptions=True, ordered=False):
        assert_type(either, int | Exception)
    as_iterator: Iterator[tuple[int, int]] = execute_tasks_in_parallel_streaming(cursor())
    as_generator: Generator[tuple[int, int], None, None] = execute_tasks_in_parallel_streaming(cursor())
    as_generator.close()
    del as_iterator


def options(flag: bool, policy: RetryPolicy) -> None:
    execute_tasks_in_parallel(cursor(), retries=3, timeout=1.5, window=100, backend="serial")
    execute_tasks_in_parallel(cursor(), retries=policy)
    execute_tasks_in_parallel(cursor(), return_exceptions=flag)
    with ProcessExecutor(2, initializer=print, initargs=("ready",)) as pool:
        assert_type(execute_tasks_in_parallel(cursor(), backend=pool), list[int])
    with ThreadExecutor(thread_name_prefix="fetch") as threads:
        assert_type(threads.submit(length, "a").result(), int)
        execute_tasks_in_parallel(cursor(), backend=threads)


def engine() -> None:
    assert_type(run(cursor()), list[int])
    assert_type(run(cursor(), return_exceptions=True), list[int | Exception])
    for index, result in stream(cursor(), max_workers=2):
        assert_type((index, result), tuple[int, int])
    assert_type(share([1, 2]), list[int])


def helpers(function: Callable[[int], str]) -> None:
    assert_type(should_use_processes("cpu"), bool)
    assert_type(is_picklable(function), bool)
    assert_type(Task(function, {"n": 1}), Task[str])
