"""Execute tasks in parallel, with threads or processes: the documented functional API."""

from cotality.core.utils.process._advice import is_picklable, should_use_processes
from cotality.core.utils.process._functions import (
    execute_tasks_in_parallel,
    execute_tasks_in_parallel_streaming,
    execute_tasks_in_parallel_unordered,
)
from cotality.parallel import Task

__all__ = [
    "Task",
    "execute_tasks_in_parallel",
    "execute_tasks_in_parallel_streaming",
    "execute_tasks_in_parallel_unordered",
    "is_picklable",
    "should_use_processes",
]

for _public in (
    execute_tasks_in_parallel,
    execute_tasks_in_parallel_streaming,
    execute_tasks_in_parallel_unordered,
    is_picklable,
    should_use_processes,
):
    _public.__module__ = __name__
