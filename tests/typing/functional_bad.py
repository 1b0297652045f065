"""Usages that both type checkers must refuse, each on the line that is marked. Never run."""

from __future__ import annotations

from cotality.core.utils.process import (
    Task,
    execute_tasks_in_parallel,
    execute_tasks_in_parallel_streaming,
    execute_tasks_in_parallel_unordered,
    should_use_processes,
)
from cotality.parallel import ProcessExecutor, RetryPolicy, run


def length(text: str) -> int:
    return len(text)


task = Task(length, {"text": "a"})

Task("length", {})  # error
Task(length, ["a"])  # error
Task(length, {1: "a"})  # error
Task(length)  # error
Task(length, {}, ("a",))  # error
execute_tasks_in_parallel(42)  # error
execute_tasks_in_parallel([length])  # error
execute_tasks_in_parallel([task], max_workers="2")  # error
execute_tasks_in_parallel([task], n_jobs=2)  # error
execute_tasks_in_parallel([task], timeout="soon")  # error
execute_tasks_in_parallel([task], backend="thread")  # error
execute_tasks_in_parallel([task], retries="3")  # error
texts: list[str] = execute_tasks_in_parallel([task])  # error
numbers: list[int] = execute_tasks_in_parallel([task], return_exceptions=True)  # error
pairs: list[tuple[int, int]] = execute_tasks_in_parallel_streaming([task])  # error
execute_tasks_in_parallel_unordered([task], ordered=False)  # error
for _index, text in execute_tasks_in_parallel_streaming([task]):
    text.upper()  # error
should_use_processes(3)  # error
RetryPolicy(3)  # error
RetryPolicy(attempts="3")  # error
ProcessExecutor("2")  # error
ProcessExecutor(2, start_method="thread")  # error
run([task], max_worker=2)  # error
