"""Fixtures for tests of programs that run tasks; pytest finds them by itself.

Imported whenever pytest starts where this library is installed, so what a fixture needs is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cotality.parallel import Event
    from cotality.parallel.testing import FakeClock


@pytest.fixture
def serial_runs() -> Iterator[None]:
    """Every run of the test is serial: see ``cotality.parallel.testing.serial_runs``."""
    from cotality.parallel import testing

    with testing.serial_runs():
        yield


@pytest.fixture
def fake_clock() -> Iterator[FakeClock]:
    """Every run of the test is serial and goes by this clock: see ``cotality.parallel.testing.FakeClock``."""
    from cotality.parallel import testing

    with testing.FakeClock() as clock:
        yield clock


@pytest.fixture
def captured_events() -> Iterator[list[Event]]:
    """The events of all runs of the test: see ``cotality.parallel.testing.capture_events``."""
    from cotality.parallel import testing

    with testing.capture_events() as events:
        yield events
