"""A clock that waits for nothing, and the serial runs that go by it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from cotality.parallel._backends.choose import run_serially
from cotality.parallel._backends.clock import go_by
from cotality.parallel._backends.serial import SerialBackend
from cotality.parallel._data.messages import Ending, Pool


class FakeClock:
    """A clock that stands still until something waits, and then is where the wait ends, at once.

    Inside of it every run is serial, as in :func:`serial_runs`, and goes by it: the waits between attempts, those for
    a ``Limit``, and the timeouts of tasks and runs. A task takes no time but what it sleeps with :meth:`sleep`, and is
    ended when its timeout is over: it has run to its end by then, but that is not seen.

    It holds for the whole process. Enter it while nothing runs.

    Example:
        >>> from cotality.parallel import RetryPolicy, Task, run
        >>> from cotality.parallel.testing import FakeClock
        >>> with FakeClock() as clock:
        ...     patient = RetryPolicy(attempts=3, wait=60, jitter=0, max_wait=3600)
        ...     run([Task(int, {}, positional=("x",))], retries=patient, return_exceptions=True)
        ...     clock.passed
        [ValueError("invalid literal for int() with base 10: 'x'")]
        180.0
    """

    def __init__(self) -> None:
        # So that the times of events are those of the day.
        self.now: float = time.monotonic()
        """What time it is, in seconds of the monotonic clock."""
        self._start = self.now
        self._before: tuple[Callable[[], float], Pool | None] | None = None

    @property
    def passed(self) -> float:
        """Seconds that have passed since it was made, to the nanosecond."""
        return round(self.now - self._start, 9)

    def sleep(self, seconds: float) -> None:
        """Let time pass: in the place of ``time.sleep`` in a task, or in a test.

        Parameters:
            seconds: How much; of a negative number nothing passes.

        Example:
            >>> clock = FakeClock()
            >>> clock.sleep(3600)
            >>> clock.passed
            3600.0
        """
        self.now += max(0.0, seconds)

    def __enter__(self) -> Self:
        if self._before is not None:
            raise RuntimeError("this clock is in force already: make another one")
        self._before = go_by(lambda: self.now), run_serially(_FakePool(self))
        in_force.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            (now, pool), self._before = self._before, None
            go_by(now)
            run_serially(pool)
            in_force.remove(self)


in_force: list[FakeClock] = []
"""The clocks that are entered; the last one counts."""


class _FakePool:
    """The caller's thread, in fake time."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def open(self, max_workers: int | None) -> SerialBackend:
        return _FakeBackend(self._clock)


class _FakeBackend(SerialBackend):
    """Runs one task after the other, and lets them take as long as they have slept.

    A task is called when its attempt begins, and what came of it is held back until fake time has come to its end. So
    the run loop sees it run meanwhile, and does with it what it does with any other: it may end it.
    """

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self._held: Ending | None = None

    def room(self) -> int:
        # What comes due while a task runs is taken, or the loop would look for room without an end.
        return 1 if self._held else super().room()

    def collect(self, timeout: float | None) -> list[Ending]:
        clock, began = self._clock, self._clock.now
        if self._held is None:
            if not self._due and timeout is not None:
                clock.sleep(timeout)
                return []
            for ending in super().collect(timeout):
                self._held = ending
            # Only the task itself has seen the time that it has slept.
            clock.now = began
        if self._held is None:
            return []
        end = self._held[4]
        if timeout is None and end == math.inf:
            raise RuntimeError(f"task {self._held[0][1].name} hangs, and no timeout would end it")
        until = end if timeout is None else min(end, began + timeout)
        clock.now = max(began, until)
        if clock.now < end:
            return []
        ending, self._held = self._held, None
        return [ending]

    def running(self) -> list[tuple[int, float]]:
        return [(self._held[0][0], self._held[3])] if self._held else []

    def interrupt(self, ticket: int, failure: BaseException) -> None:
        if self._held is not None and self._held[0][0] == ticket:
            planned, _failure, _value, started, _ended, worker = self._held
            self._held = planned, failure, None, started, self._clock.now, worker

    def close(self) -> None:
        super().close()
        self._held = None
