"""What holds for all tests."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    # A shell that starts the tests in the background has them ignore interrupts, and every program that they start
    # would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
