"""Threads that runs have left idle, for the next run: starting one costs 50 µs, waking one 5.

All are daemon threads: a task that never ends can not hold up the end of the program.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count

from cotality.parallel._backends.daemons import start_daemon, uninterrupted
from cotality.parallel._backends.forks import in_forked_children
from cotality.parallel._backends.gate import Gate

IDLE_SECONDS = 10.0
"""How long a thread waits for another run before it ends."""

_idle: deque[_Hand] = deque()
_numbers = count(1)


class _Hand:
    """A thread that does one thing after another, as it is given them."""

    def __init__(self, duty: Callable[[], None]) -> None:
        self._duty: Callable[[], None] | None = duty
        self._gate = Gate()
        start_daemon(self._live, f"cotality-worker-{next(_numbers)}")

    def give(self, duty: Callable[[], None]) -> None:
        self._duty = duty
        self._gate.open()

    def _live(self) -> None:
        name = threading.current_thread().name
        while self._duty is not None:
            self._duty()
            threading.current_thread().name = name
            self._duty = None
            _idle.append(self)
            if not self._gate.wait(IDLE_SECONDS):
                try:
                    _idle.remove(self)
                    return
                except ValueError:
                    # Somebody has just taken this thread: what it is to do is on its way.
                    self._gate.wait(None)


def start_thread(duty: Callable[[], None]) -> None:
    """Run ``duty`` in an idle thread, or in a new one.

    Raises:
        RuntimeError: the system has no thread left.
    """
    if _idle:
        # One that is taken and not given anything would wait for ever.
        uninterrupted(partial(_hand_over, duty))
    else:
        _Hand(duty)


def _hand_over(duty: Callable[[], None]) -> None:
    try:
        hand = _idle.pop()
    except IndexError:
        # Its time has just been over.
        _Hand(duty)
    else:
        hand.give(duty)


# After a fork only the calling thread exists in the child.
in_forked_children(_idle.clear)
