"""A parameter sweep: one NumPy array in shared memory, and many tasks in processes that each try a parameter on it.

How well do the lines before it tell how long a line of the standard library is? The array holds the length of every
line, and each task predicts it by the mean of so many lines before.

It prints::

    more than 200000 lines, once in shared memory: True
    tried 64 windows
    the best one is between 8 and 32 lines: True
"""

import sysconfig
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from cotality.parallel import share, unshare
from cotality.workflow import Workflow, task

STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
WINDOWS = range(1, 65)

Lengths = NDArray[numpy.float64]


def lengths_of_lines(folder: Path) -> Lengths:
    """The lengths of all lines of the source files in a folder, one file after the other."""
    files = sorted(folder.glob("*.py")) + sorted(folder.glob("[a-s]*/*.py"))
    return numpy.array([len(line) for path in files for line in path.read_bytes().splitlines()], dtype=float)


@task(backend="processes")
def mean_error(lengths: Any, window: int) -> float:
    """How far off it is to predict a length by the mean of those before it."""
    if lengths.flags.writeable:
        raise AssertionError("this is a copy, not the shared array")
    sums = numpy.cumsum(lengths)
    means = (sums[window:-1] - sums[: -window - 1]) / window
    return float(numpy.abs(lengths[window + 1 :] - means).mean())


@task
def best(windows: list[int], errors: list[float]) -> int:
    return windows[errors.index(min(errors))]


def main() -> None:
    lengths = share(lengths_of_lines(STANDARD_LIBRARY))
    print("more than 200000 lines, once in shared memory:", len(lengths) > 200_000)

    flow = Workflow("sweep")
    errors = flow.map(lambda window: mean_error(lengths, window), WINDOWS)
    chosen = flow.add(best(list(WINDOWS), errors.outputs))
    run = flow.run()
    print("tried", run.counts["succeeded"] - 1, "windows")
    print("the best one is between 8 and 32 lines:", 8 <= run[chosen] <= 32)
    unshare(lengths)


if __name__ == "__main__":
    main()
