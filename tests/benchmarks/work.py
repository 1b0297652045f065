"""The functions that the benchmarks call.

Calls of a pool take one ``value``, some also the ``data`` that all calls share; nodes of a graph take the values of the
nodes that they depend on.
"""

from __future__ import annotations

import time
from collections.abc import Sized
from typing import Any

NAP_SECONDS = 0.001
STRIDE = 16
"""How many tasks share out an array, each taking every so many-th item."""
RESULT_BYTES = 8_000_000


def noop(value: int) -> int:
    """Nothing but to be called."""
    return value


def spin(value: int) -> None:
    """Turn an empty loop this many times: work that is the same however often the process is interrupted."""
    for _ in range(value):
        pass


def timed_spin(value: int) -> float:
    """The seconds that a spin takes."""
    before = time.perf_counter()
    spin(value)
    return time.perf_counter() - before


def metered_spin(value: int) -> float:
    """The processor time that a spin takes, in seconds: an interruption is no work."""
    before = time.thread_time()
    spin(value)
    return time.thread_time() - before


def nap(value: int) -> int:
    """Sleep a millisecond."""
    time.sleep(NAP_SECONDS)
    return value


def strided_sum(value: int, data: Any) -> float:
    """The sum of every sixteenth item of an array."""
    return float(data[value::STRIDE].sum())


def length(value: int, data: Sized) -> int:
    """The length of a list, so that the list has to be there."""
    return len(data)


def make_array(value: int) -> Any:
    """A new array of 8 MB."""
    import numpy as np

    return np.full(RESULT_BYTES, value % 256, dtype=np.uint8)


MODULUS = (1 << 31) - 1


def node(key: int, seconds: float, *values: int) -> int:
    """Work so long, and mix the values into a value that tells whether every node before has run.

    Work is processor time of this thread: it takes longer while something else has the processor, and it does not
    depend on how fast a loop turns at the moment.
    """
    if seconds:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass
    return (31 * sum(values) + key) % MODULUS


def waiting_node(key: int, seconds: float, *values: int) -> int:
    """The same value as ``node``, after a sleep."""
    time.sleep(seconds)
    return (31 * sum(values) + key) % MODULUS


def busy(value: float) -> float:
    """Work so long, by the clock of this thread."""
    end = time.thread_time() + value
    while time.thread_time() < end:
        pass
    return value


def ones(count: int) -> Any:
    """An array of so many ones."""
    import numpy as np

    return np.ones(count)


def doubled(values: Any) -> Any:
    """An array of the same length."""
    return 2 * values


def total(values: Any) -> float:
    """The sum of an array."""
    return float(values.sum())
