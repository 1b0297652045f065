"""Processes for calls that compute: one that takes its process down is one error among the results.

It prints::

    55
    233
    WorkerDied: in task fibonacci (index 2): the worker ended with exit code 7 while it ran this task
    610
"""

import os

from cotality.core.utils.process import Task, execute_tasks_in_parallel


def fibonacci(n: int) -> int:
    """Compute a number; below zero it ends in a way that no ``except`` could catch."""
    if n < 0:
        os._exit(7)
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def main() -> None:
    tasks = [Task(fibonacci, {"n": n}) for n in (10, 13, -1, 15)]
    for result in execute_tasks_in_parallel(tasks, use_processes=True, return_exceptions=True):
        print(f"{type(result).__name__}: {result}" if isinstance(result, Exception) else result)


if __name__ == "__main__":
    main()
