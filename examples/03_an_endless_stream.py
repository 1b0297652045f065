"""A stream: tasks come from an endless generator, and no more of them are made than the window allows.

It prints::

    the first prime above a million is 1000003
    made fewer than 1000 tasks: True
"""

from collections.abc import Iterator
from itertools import count

from cotality.core.utils.process import Task, execute_tasks_in_parallel_streaming

made = 0


def is_prime(number: int) -> bool:
    """Whether only 1 and the number itself divide it."""
    return all(number % factor for factor in range(2, int(number**0.5) + 1))


def tasks() -> Iterator[Task[bool]]:
    """A task for each odd number above a million."""
    global made
    for number in count(1_000_001, 2):
        made += 1
        yield Task(is_prime, {"number": number})


def main() -> None:
    for index, prime in execute_tasks_in_parallel_streaming(tasks(), max_workers=4, window=100):
        if prime:
            print("the first prime above a million is", 1_000_001 + 2 * index)
            break
    print("made fewer than 1000 tasks:", made < 1000)


if __name__ == "__main__":
    main()
