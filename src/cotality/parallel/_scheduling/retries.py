"""What failed and is to be tried again, and when."""

from __future__ import annotations

import heapq
from contextlib import suppress
from typing import Any

from cotality.parallel._data.messages import Planned
from cotality.parallel._data.policies import RetryPolicy


class Retries:
    """The attempts of a run's tasks, as far as there was more than one, and what waits for its next one."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Any]] = []
        self._attempts: dict[int, tuple[int, float]] = {}

    def again(
        self, planned: Planned, policy: RetryPolicy, failure: BaseException, started: float, now: float
    ) -> float | None:
        """The seconds after which a failed attempt is followed by another one, which waits in here; None: it is not."""
        ticket, task = planned
        attempt, first = self._attempts.get(ticket, (1, started))
        self._attempts[ticket] = (attempt, first)
        wait = _wait_after(policy, attempt, failure)
        if wait is None or (policy.total is not None and now + wait > first + policy.total):
            return None
        self._attempts[ticket] = (attempt + 1, first)
        heapq.heappush(self._waiting, (now + wait, ticket, task))
        return wait

    def due(self, most: int, now: float) -> list[Planned]:
        """Up to ``most`` whose wait is over."""
        due: list[Planned] = []
        while self._waiting and len(due) < most and self._waiting[0][0] <= now:
            due.append(heapq.heappop(self._waiting)[1:])
        return due

    @property
    def next_at(self) -> float | None:
        """When the next wait is over."""
        return self._waiting[0][0] if self._waiting else None

    def attempts(self, ticket: int) -> int:
        """Which attempt of a task is the present one, or was the last."""
        return self._attempts[ticket][0] if ticket in self._attempts else 1

    def forget(self, ticket: int) -> None:
        """The task has ended."""
        self._attempts.pop(ticket, None)

    @property
    def used(self) -> bool:
        """Whether any task under way has failed before."""
        return bool(self._attempts)

    def __len__(self) -> int:
        return len(self._waiting)


def _wait_after(policy: RetryPolicy, attempt: int, failure: BaseException) -> float | None:
    """What the policy says; a hook of it that raises is no reason to lose other tasks, so the failure stands then."""
    try:
        return policy.wait_after(attempt, failure)
    except Exception as error:
        with suppress(Exception):
            failure.add_note(f"it was not tried again, as its retry policy raised {type(error).__name__}: {error}")
        return None
