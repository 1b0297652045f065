"""What a place that runs attempts can do beyond running them, so that nobody finds out late."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a pool can do; each pool of the library has it as ``capabilities``.

    Parameters:
        interrupts: An attempt that runs longer than its timeout is ended. Otherwise its task fails in time all the
            same, and what it called runs on.
        replaces: The place of a worker that is stuck or dead is free at once; otherwise a stuck one holds it.
        confines: The death of a worker concerns no task but the one that it ran.
        shares_objects: Tasks see the caller's own objects and its context variables.
        keeps_results: A result that only other tasks need stays where it was made.
        relays: What tasks log and warn is heard in the caller's configuration.

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
    shares_objects: bool
    keeps_results: bool
    relays: bool


Capabilities.__module__ = "cotality.parallel"
