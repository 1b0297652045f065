"""Threads for calls that wait: results come in the order of the tasks, whatever finished first.

It prints::

    ['slow', 'medium', 'fast']
    ['fast', 'medium', 'slow']
"""

from time import sleep

from cotality.core.utils.process import Task, execute_tasks_in_parallel, execute_tasks_in_parallel_unordered


def wait_and_return(seconds: float, name: str) -> str:
    """Stands for a request or a query."""
    sleep(seconds)
    return name


def main() -> None:
    waits = {"slow": 0.6, "medium": 0.3, "fast": 0.0}
    tasks = [Task(wait_and_return, {"seconds": seconds, "name": name}) for name, seconds in waits.items()]
    print(execute_tasks_in_parallel(tasks))
    print(execute_tasks_in_parallel_unordered(tasks))


if __name__ == "__main__":
    main()
