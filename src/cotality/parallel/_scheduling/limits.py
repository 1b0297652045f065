"""How many attempts may run, or start within a second, among all tasks that share a limit."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from cotality.parallel._data.limit import Limit


class _Account:
    """One limit of a run.

    When an attempt that was given to a backend really starts is learnt later. Until then it counts as starting now, so
    that no window of a second ever holds more starts than are allowed, wherever it begins.
    """

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._running: set[int] = set()
        self.starting: set[int] = set()
        """Those that were let through and of which it is not known when they started."""
        self._starts: list[float] = []

    def has_room(self, now: float) -> bool:
        limit = self.limit
        if limit.concurrency is not None and len(self._running) >= limit.concurrency:
            return False
        if limit.per_second is None:
            return True
        self._forget(now)
        return len(self._starts) + len(self.starting) < limit.starts

    def _forget(self, now: float) -> None:
        """Starts that bar no other any more."""
        while self._starts and self._starts[0] + self.limit.seconds <= now:
            heapq.heappop(self._starts)

    def enter(self, ticket: int) -> None:
        self._running.add(ticket)
        if self.limit.per_second is not None:
            self.starting.add(ticket)

    def started(self, ticket: int, at: float) -> None:
        if ticket in self.starting:
            self.starting.remove(ticket)
            heapq.heappush(self._starts, at)

    def leave(self, ticket: int) -> None:
        self._running.discard(ticket)
        self.starting.discard(ticket)

    def room_at(self, now: float) -> float | None:
        """When a start goes out of the window that bars others."""
        self._forget(now)
        return self._starts[0] + self.limit.seconds if self._starts else None


class Limits:
    """The limits of a run, by name."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}

    def declare(self, limits: Iterable[Limit]) -> None:
        """Make these known.

        Raises:
            ValueError: one name stands for two limits.
        """
        for limit in limits:
            known = self._accounts.setdefault(limit.name, _Account(limit))
            if known.limit != limit:
                raise ValueError(f"two limits of one run are named {limit.name!r} and have different values")

    def admit(self, ticket: int, limits: Sequence[Limit], now: float) -> bool:
        """Whether an attempt may start now, in which case it counts from now on."""
        accounts = [self._accounts[limit.name] for limit in limits]
        if not all(account.has_room(now) for account in accounts):
            return False
        for account in accounts:
            account.enter(ticket)
        return True

    def started(self, ticket: int, limits: Sequence[Limit], at: float) -> None:
        """An attempt is known to have started then."""
        for limit in limits:
            self._accounts[limit.name].started(ticket, at)

    def leave(self, ticket: int, limits: Sequence[Limit]) -> None:
        """An attempt has ended, or has not started after all."""
        for limit in limits:
            self._accounts[limit.name].leave(ticket)

    def room_at(self, now: float) -> float | None:
        """When the passing of time alone may make room; None: when nothing but an end does."""
        times = [account.room_at(now) for account in self._accounts.values()]
        return min((at for at in times if at is not None), default=None)

    @property
    def unsure(self) -> bool:
        """Whether there are attempts that may or may not have started, and it matters when."""
        return any(account.starting for account in self._accounts.values())
