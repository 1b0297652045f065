"""One after the other, from any thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVarTuple

Ts = TypeVarTuple("Ts")


class Turns(Generic[*Ts]):
    """Does one thing at a time, in the order in which it is asked for it.

    Parameters:
        act: What is done.
    """

    def __init__(self, act: Callable[[*Ts], object]) -> None:
        self._act = act
        self._lock = threading.RLock()
        self._waiting: deque[tuple[*Ts]] = deque()
        self._actor = 0

    def take(self, *arguments: *Ts) -> None:
        """Do it with these arguments; it is done when this returns.

        Raises:
            Exception: whatever it raises.
        """
        me = threading.get_ident()
        self._waiting.append(arguments)
        while True:
            if self._actor == me:
                # A signal has come while this thread was at it, and its handler asks for more: in its turn.
                return
            with self._lock:
                self._actor = me
                try:
                    while self._waiting:
                        self._act(*self._waiting.popleft())
                finally:
                    self._actor = 0
            if not self._waiting:
                return
