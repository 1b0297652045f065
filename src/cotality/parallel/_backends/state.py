"""What a worker keeps from one task to the next."""

from __future__ import annotations

import threading
from typing import Any

_local = threading.local()


def worker_state() -> dict[str, Any]:
    """A dictionary that belongs to the worker that calls this, for what is costly to make: a connection, a model.

    An initializer may fill it, and any task may. A process keeps it as long as it lives, a thread as long as it works
    for one run, and no worker sees another one's.

    Returns:
        The dictionary, empty at first.

    Example:
        >>> from cotality.parallel import Task, run
        >>> def count(step):
        ...     state = worker_state()
        ...     state["sum"] = state.get("sum", 0) + step
        ...     return state["sum"]
        >>> run([Task(count, {"step": n}) for n in (1, 2, 3)], max_workers=1)
        [1, 3, 6]
    """
    try:
        state: dict[str, Any] = _local.state
    except AttributeError:
        state = _local.state = {}
    return state


def reset_worker_state() -> None:
    """Begin anew, as a thread does with each run."""
    _local.__dict__.clear()


worker_state.__module__ = "cotality.parallel"
