"""The attempts under way: what limits them, how long they may take, and what is tried again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cotality.parallel._data.limit import Limit
from cotality.parallel._data.task import Task
from cotality.parallel._scheduling.limits import Limits
from cotality.parallel._scheduling.retries import Retries
from cotality.parallel._scheduling.timeouts import Timeouts

LOOK_SECONDS = 0.01
"""How long a limit waits to learn whether those that it has let through have started."""


class Attempts:
    """Those of one run that have a limit, a timeout or a policy; of all others there is nothing to be known."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.retries = Retries()
        self._timeouts = Timeouts()
        self._limited: dict[int, tuple[Limit, ...]] = {}

    def begin(self, ticket: int, task: Task[Any], now: float) -> None:
        """An attempt that its limits have let through is given to a backend."""
        if task.options.limits:
            self._limited[ticket] = task.options.limits
        if task.options.timeout is not None:
            self._timeouts.begin(ticket, task.options.timeout, now)

    def end(self, ticket: int, started: float = 0.0) -> None:
        """It is under way no more, or has not begun."""
        limits = self._limited.pop(ticket, None)
        if limits is not None:
            if started:
                self.limits.started(ticket, limits, started)
            self.limits.leave(ticket, limits)
        self._timeouts.end(ticket)

    @property
    def any(self) -> bool:
        """Whether there is anything to be known of one."""
        return bool(self._limited or self.retries.used or self._timeouts.look_at)

    @property
    def timed(self) -> bool:
        """Whether it matters when one of them begins."""
        return bool(self._limited) or self._timeouts.look_at is not None

    def look_at(self, *, barred: bool) -> float | None:
        """When it is worth looking at what runs; None: never.

        Parameters:
            barred: Whether a limit keeps something from starting.
        """
        return 0.0 if barred and self.limits.unsure else self._timeouts.look_at

    def expired(self, running: Iterable[tuple[int, float]], now: float) -> list[tuple[int, float]]:
        """Those that have run for longer than they may, and how long that is."""
        seen = list(running)
        for ticket, started in seen:
            if ticket in self._limited:
                self.limits.started(ticket, self._limited[ticket], started)
        return self._timeouts.expired(seen, now)

    def next_at(self, now: float, *, barred: bool) -> float | None:
        """When something may have to be decided though no attempt ends; None: never."""
        times = [self._timeouts.look_at, self.retries.next_at]
        if barred:
            times.append(now + LOOK_SECONDS if self.limits.unsure else self.limits.room_at(now))
        return min([at for at in times if at is not None], default=None)
