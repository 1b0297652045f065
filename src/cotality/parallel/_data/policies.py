"""How a failed attempt is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from types import SimpleNamespace
from typing import Any, TypeAlias

from cotality.parallel._data.task_errors import ArgumentError, NoStableContent, ResultRefused, TransferError

Retryable: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]
Verdict: TypeAlias = bool | float | None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Which failures are tried again, how often, and after what wait.

    The wait before attempt ``n + 1`` is ``wait * factor ** (n - 1)`` seconds, at most ``max_wait``; ``jitter`` takes
    a random part of up to that share off it, so that many tasks that failed together do not come back together.

    Parameters:
        attempts: The most attempts in all, the first included.
        on: Exception classes to retry; or a function of the exception that answers yes (True), no (False), or how
            many seconds to wait, as a server's ``Retry-After`` says; or one of tenacity's ``retry_…`` objects.
        on_result: A function of the result that answers whether it is to be refused, and the task tried again. It is
            asked in the worker.
        wait: Seconds before the second attempt, or one of tenacity's ``wait_…`` objects.
        factor: What each further wait is multiplied with.
        max_wait: The longest wait, in seconds.
        jitter: The share of a wait that chance may take off, from 0 to 1.
        total: Seconds after the first attempt's start beyond which no attempt is begun; None: no bound.

    Raises:
        ValueError: a number out of its range.
        TypeError: ``on`` or ``on_result`` is nothing that can be asked.

    Example:
        >>> RetryPolicy(attempts=4, wait=0.5, jitter=0).wait_after(3, ConnectionError())
        2.0
    """

    _: KW_ONLY
    attempts: int
    on: Retryable | Callable[[Any], Verdict] = Exception
    on_result: Callable[[Any], bool] | None = None
    wait: float | Callable[[Any], float] = 0.1
    factor: float = 2.0
    max_wait: float = 60.0
    jitter: float = 0.5
    total: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int) or self.attempts < 1:
            raise ValueError("attempts must be a whole number of at least 1")
        for name, least in (("wait", 0), ("factor", 1), ("max_wait", 0), ("jitter", 0)):
            value = getattr(self, name)
            if name == "wait" and callable(value):
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least:
                raise ValueError(f"{name} must be a number of at least {least}")
        if self.jitter > 1:
            raise ValueError("jitter must be a number from 0 to 1")
        total = self.total
        if total is not None and (isinstance(total, bool) or not isinstance(total, (int, float)) or not total >= 0):
            raise ValueError("total must be a number of seconds, or None")
        kinds = self.on if isinstance(self.on, tuple) else (self.on,)
        if not callable(self.on) and not all(isinstance(kind, type) for kind in kinds):
            raise TypeError("on must be exception classes, or a function of the exception")
        if self.on_result is not None and not callable(self.on_result):
            raise TypeError("on_result must be a function of the result, or None")

    def wait_after(self, attempt: int, failure: BaseException) -> float | None:
        """How long to wait after an attempt has failed.

        What can not become better is never tried again: bad arguments, and what can not travel.

        Parameters:
            attempt: Which attempt it was, from 1.
            failure: Why it failed.

        Returns:
            Seconds; None to give up.
        """
        if attempt >= self.attempts or isinstance(failure, (TransferError, ArgumentError, NoStableContent)):
            return None
        verdict: Verdict = isinstance(failure, ResultRefused) or self._verdict(attempt, failure)
        if verdict is None or verdict is False:
            return None
        if verdict is not True:
            return max(0.0, float(verdict))
        if callable(self.wait):
            return max(0.0, float(self.wait(_tenacity_state(attempt, failure))))
        # The exponent is bounded: 2.0 ** 1100 is an OverflowError, and max_wait is reached long before.
        longest = min(self.max_wait, self.wait * self.factor ** min(attempt - 1, 64))
        return longest * (1.0 - self.jitter * random.random())

    def _verdict(self, attempt: int, failure: BaseException) -> Verdict:
        if isinstance(self.on, (type, tuple)):
            return isinstance(failure, self.on)
        of_tenacity = type(self.on).__module__.partition(".")[0] == "tenacity"
        return self.on(_tenacity_state(attempt, failure) if of_tenacity else failure)


def _tenacity_state(attempt: int, failure: BaseException) -> Any:
    """What tenacity's objects look at: a ``RetryCallState``, as far as an engine that waits by itself has one."""
    outcome = SimpleNamespace(failed=True, exception=lambda: failure, attempt_number=attempt)
    return SimpleNamespace(attempt_number=attempt, outcome=outcome, idle_for=0.0, seconds_since_start=0.0)


def retry_policy(retries: int | RetryPolicy) -> RetryPolicy | None:
    """What ``retries=`` means: 3 is up to four attempts, 0 is none."""
    if isinstance(retries, RetryPolicy):
        return retries
    if isinstance(retries, bool) or not isinstance(retries, int):
        raise TypeError(f"retries must be a whole number or a RetryPolicy, not {type(retries).__name__}")
    if retries < 0:
        raise ValueError("retries must not be negative")
    return RetryPolicy(attempts=retries + 1) if retries else None


RetryPolicy.__module__ = "cotality.parallel"
