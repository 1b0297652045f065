"""What a place that runs attempts can do beyond running them, so that nobody finds out late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from cotality.parallel._data.messages import Pool


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a pool can do; each pool of the library has it as ``capabilities``.

    Parameters:
        interrupts: An attempt that runs longer than its timeout is ended. Otherwise its task fails in time all the
            same, and what it called runs on.
        replaces: The place of a worker that is stuck is free at once. Otherwise it is taken until that one ends.
        confines: The death of a worker concerns no task but the one that it ran. Otherwise those too that were sent
            together with it, or next, and an executor may be broken after it.
        recalls: What waits behind a task that takes long is given to others at once, not when that one has ended.
        shares_objects: Tasks see the caller's own objects and its context variables.
        keeps_results: A result that only other tasks need is not opened, or not even fetched, by the caller.

    Example:
        >>> from cotality.parallel import ExecutorPool
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> with ThreadPoolExecutor(2) as executor:
        ...     ExecutorPool(executor).capabilities.interrupts
        False
    """

    interrupts: bool
    replaces: bool
    confines: bool
    recalls: bool
    shares_objects: bool
    keeps_results: bool


class AblePool(Pool, Protocol):
    """A pool that says what it can do."""

    @property
    def capabilities(self) -> Capabilities:
        """What that is."""
        ...


def capable(
    *,
    interrupts: bool = False,
    replaces: bool = False,
    confines: bool = False,
    recalls: bool = False,
    shares_objects: bool = False,
    keeps_results: bool = False,
) -> Capabilities:
    """Those that are named, and no others."""
    return Capabilities(interrupts, replaces, confines, recalls, shares_objects, keeps_results)


OF_THREADS: Final = capable(replaces=True, confines=True, recalls=True, shares_objects=True)


Capabilities.__module__ = "cotality.parallel"
