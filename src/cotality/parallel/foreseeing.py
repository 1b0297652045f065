"""What a front door may ask about tasks that have not run: where they would run, whether they can be sent there, and
which of them would not run as a journal has their results.

Like :mod:`cotality.parallel.building`, for front doors and not for users. What is needed to answer is imported when
somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cotality.parallel._data.capabilities import Capabilities
from cotality.parallel._data.journal import JournalOption, journal_of
from cotality.parallel._execution import lane_for

if TYPE_CHECKING:
    from cotality.parallel._prospect import Prospect

__all__ = [
    "can_send",
    "capabilities_of",
    "culprit",
    "default_workers",
    "lane_for",
    "pickled_size",
    "prospect_of",
    "threads_compute",
    "usable_cpus",
]


def usable_cpus() -> int:
    """How many processors are really ours, by affinity and quota."""
    from cotality.parallel._backends.cpus import cpu_count

    return cpu_count()


def threads_compute() -> bool:
    """Whether threads compute at the same time, as they do where this Python has no global lock."""
    from cotality.parallel._backends.cpus import threads_compute

    return threads_compute()


def default_workers(backend: Any) -> int | None:
    """How many workers a backend has when nobody says; None for a pool, which only itself knows."""
    from cotality.parallel._backends.cpus import process_width, thread_width
    from cotality.parallel._backends.event_loop import MOST_AT_ONCE

    if backend == "threads":
        return thread_width()
    if backend in ("processes", "interpreters"):
        return process_width()
    return {"asyncio": MOST_AT_ONCE, "serial": 1}.get(backend) if isinstance(backend, str) else None


def capabilities_of(backend: Any) -> Capabilities | None:
    """What a backend can do; None for a pool that does not say.

    Raises:
        TypeError, ValueError, ImportError: it can not be used.
    """
    from cotality.parallel._backends.choose import choose_pool

    return getattr(choose_pool(backend), "capabilities", None)


def can_send(function: Callable[..., Any]) -> bool:
    """Whether a function can be sent to a process."""
    from cotality.parallel._backends.processes.codec import dump_function

    try:
        message = dump_function(function, by_value=False)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return False
    return message is not None or pickled_size(function) is not None


def pickled_size(value: object) -> int | None:
    """How many bytes of a value would be sent to a process; None if it can not be sent."""
    from cotality.parallel._backends.processes.codec import dump

    try:
        data, buffers = dump(value)
    except KeyboardInterrupt:
        raise
    except BaseException:
        # To pickle runs the value's own code.
        return None
    return len(data) + sum(buffer.nbytes for buffer in buffers)


def culprit(value: object, path: str) -> str:
    """What exactly in a value can not be sent.

    Parameters:
        value: The value.
        path: What it is called.
    """
    from cotality.parallel._backends.processes.explain import culprit

    return culprit(value, path)


def prospect_of(nodes: Sequence[Any], journal: JournalOption) -> Prospect:
    """What a run would take over from a journal, which is only read.

    Parameters:
        nodes: Tasks and maps, each behind what it needs. The functions of maps are called.
        journal: The journal, as a caller gives it.

    Raises:
        JournalError: it can not be read.
        ValueError: two limits of one name differ.
    """
    from cotality.parallel._prospect import Prospect

    settings = journal_of(journal)
    assert settings is not None
    return Prospect(nodes, settings)
