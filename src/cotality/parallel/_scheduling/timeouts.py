"""Which attempts have a timeout, and when it is worth looking whether one has passed."""

from __future__ import annotations

from collections.abc import Iterable


class Timeouts:
    """The timeouts of the attempts under way.

    When an attempt starts is not known, only that it was not before it was given away. So nobody needs to look before
    the shortest timeout has passed since then, and not again before the next one can have passed.
    """

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self.look_at: float | None = None

    def begin(self, ticket: int, seconds: float, now: float) -> None:
        """An attempt is given away."""
        self._seconds[ticket] = seconds
        self._look_by(now + seconds)

    def end(self, ticket: int) -> None:
        """It is under way no more."""
        self._seconds.pop(ticket, None)

    def expired(self, running: Iterable[tuple[int, float]], now: float) -> list[tuple[int, float]]:
        """Those that run and have run for longer than they may, with how long that is."""
        expired: list[tuple[int, float]] = []
        self.look_at = now + min(self._seconds.values()) if self._seconds else None
        for ticket, started in running:
            seconds = self._seconds.get(ticket)
            if seconds is None:
                continue
            if now - started >= seconds:
                expired.append((ticket, seconds))
            else:
                self._look_by(started + seconds)
        return expired

    def _look_by(self, at: float) -> None:
        if self.look_at is None or at < self.look_at:
            self.look_at = at
