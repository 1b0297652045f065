"""A batch under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from cotality.parallel._backends.futures.line import Line
from cotality.parallel._backends.processes.columns import Columns
from cotality.parallel._backends.processes.outbound import Packed
from cotality.parallel._data.messages import Planned

NOTHING: Final = Packed((), Columns(None, []), {}, [], [], [])


class Cargo:
    """A batch under way.

    Parameters:
        packed: What was sent.
        sent: When.
        timed: Whether it has to be known when it begins.
        hear: Takes what its tasks say before it is over.
    """

    __slots__ = (
        "__weakref__",
        "_hear",
        "began",
        "future",
        "line",
        "number",
        "packed",
        "reported",
        "sent",
        "timed",
        "worker",
    )

    def __init__(self, packed: Packed, sent: float, *, timed: bool, hear: Callable[[Planned, bytes], object]) -> None:
        self.packed = packed
        self.sent = sent
        self.timed = timed
        self._hear = hear
        self.began: float | None = None
        """When its first task began; None: as far as is known it has not."""
        self.worker = ""
        """Where it runs, as far as is known."""
        self.future: Any = None
        self.line: Line | None = None
        """Over which its tasks are heard; None: there is none."""
        self.number = -1
        """By which the line knows it."""
        self.reported: set[int] = set()
        """The tickets of those that were interrupted."""

    def hear(self, place: int, message: bytes) -> None:
        """From any thread: one of its tasks has said something."""
        planned = self.packed.sendable
        # What comes when it is over nobody waits for.
        if place < len(planned):
            self._hear(planned[place], message)

    def end(self) -> bool:
        """End its worker, unless it is over; False if only others can."""
        return self.line is not None and self.line.end(self.number)

    def empty(self) -> None:
        """It is over. Its future may live on, and with it what it calls back, which holds this."""
        self.packed, self.future = NOTHING, None
