"""The clock that runs go by: the machine's, or one that a test has put in its place."""

from __future__ import annotations

import time
from collections.abc import Callable

_now: Callable[[], float] = time.monotonic


def monotonic() -> float:
    """What time it is for the run loop and for what runs in its thread, in seconds."""
    return _now()


def go_by(now: Callable[[], float]) -> Callable[[], float]:
    """Have all runs go by this clock from now on; gives the one before."""
    global _now
    before, _now = _now, now
    return before
