"""What a front door may ask of a run that is over, to tell others how it went.

Like :mod:`cotality.parallel.building`, for front doors and not for users. What is needed to answer is imported when
somebody asks.
"""

from __future__ import annotations

from typing import Any

from cotality.parallel._data.row import EarlierAttempt, Row
from cotality.parallel._data.slices import Slice, slices_of
from cotality.parallel._data.wording import message_of, placed, shown

__all__ = [
    "EarlierAttempt",
    "Row",
    "Slice",
    "error_data",
    "error_text",
    "message_of",
    "peak_memory",
    "placed",
    "shown",
    "slices_of",
]


def error_data(error: BaseException) -> dict[str, Any]:
    """An exception with its causes, as logs tell it: class, message, frames, without local variables."""
    from cotality.parallel._observers.exceptions import as_data

    return as_data(error)


def error_text(error: BaseException) -> str:
    """The traceback of an exception and of its causes, as Python prints it."""
    from cotality.parallel._observers.exceptions import as_text

    return as_text(error)


def peak_memory(pid: int) -> int:
    """The most bytes of memory that a process has had; 0 where the system does not tell."""
    from cotality.parallel._backends.processes.peak import peak_of

    return peak_of(pid)
