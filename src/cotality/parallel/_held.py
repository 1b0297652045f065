"""A lock that is let go of with what holds it, also when an interrupt comes between any two steps.

``with lock:`` alone may leave it locked for ever: a handler that raises, that of Ctrl-C for one, can run when the lock
has been taken and the block has not begun. CPython 3.14 lets it; so does whatever traces a program step by step.
"""

from __future__ import annotations

import threading
from typing import Final

_ONCE: Final = (True,)
_NOTHING: Final = (None,)


class Held(list[bool]):
    """Holds a lock within a ``with`` block.

    Parameters:
        lock: The lock.
    """

    # A list, of which there is nothing to be made before it can take note.
    __slots__ = ("_lock",)

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        # Taken and noted in one step, which is a call of C code.
        self.extend(map(lock.acquire, _ONCE))

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_error: object) -> None:
        # Likewise: the note is taken away as the lock is let go of, whose method wants three arguments.
        next(map(self._lock.__exit__, iter(self.pop, None), _NOTHING, _NOTHING))  # type: ignore[arg-type]

    def __del__(self) -> None:
        if self:
            self.__exit__()
