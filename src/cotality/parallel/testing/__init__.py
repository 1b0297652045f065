"""For the tests of programs that run tasks: serial runs, a clock that waits for nothing, faults on demand, events.

While pytest runs, the fixtures ``serial_runs``, ``fake_clock`` and ``captured_events`` are the same for one test.
"""

from __future__ import annotations

from cotality.parallel.testing._capture import capture_events
from cotality.parallel.testing._clock import FakeClock
from cotality.parallel.testing._faults import (
    Fault,
    crash,
    failing,
    hang,
    inject,
    slow,
    unpicklable_error,
    unpicklable_result,
)
from cotality.parallel.testing._serial import serial_runs

__all__ = [
    "FakeClock",
    "Fault",
    "capture_events",
    "crash",
    "failing",
    "hang",
    "inject",
    "serial_runs",
    "slow",
    "unpicklable_error",
    "unpicklable_result",
]

for _public in (FakeClock, capture_events, crash, failing, hang, inject, serial_runs, slow):
    _public.__module__ = __name__
unpicklable_error.__module__ = unpicklable_result.__module__ = __name__
