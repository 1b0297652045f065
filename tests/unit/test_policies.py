"""Retry policies and options."""

from __future__ import annotations

from typing import Any

import pytest

from cotality.parallel import Limit, RetryPolicy, Task, run
from cotality.parallel._data.policies import retry_policy
from cotality.parallel.errors import ResultRefused
from cotality.workflow import Workflow, task


def test_waits_grow_up_to_the_cap() -> None:
    policy = RetryPolicy(attempts=10, wait=1, factor=3, max_wait=20, jitter=0)
    assert [policy.wait_after(attempt, ValueError()) for attempt in (1, 2, 3, 4, 9)] == [1, 3, 9, 20, 20]


def test_jitter_only_shortens_a_wait_and_by_no_more_than_its_share() -> None:
    policy = RetryPolicy(attempts=10, wait=8, factor=1, jitter=0.25)
    waits = [policy.wait_after(1, ValueError()) for _ in range(500)]
    assert all(wait is not None and 6 <= wait <= 8 for wait in waits)
    assert len(set(waits)) > 100


def test_a_very_late_attempt_does_not_overflow() -> None:
    assert RetryPolicy(attempts=10**6, wait=1, max_wait=5, jitter=0).wait_after(10**5, ValueError()) == 5


def test_base_exceptions_are_not_retried_unless_asked() -> None:
    assert RetryPolicy(attempts=3).wait_after(1, KeyboardInterrupt()) is None
    assert RetryPolicy(attempts=3, on=BaseException, wait=1, jitter=0).wait_after(1, KeyboardInterrupt()) == 1


def test_a_function_may_say_how_long_to_wait() -> None:
    policy = RetryPolicy(attempts=3, on=lambda error: 7.5 if isinstance(error, OSError) else False)
    assert policy.wait_after(1, OSError()) == 7.5
    assert policy.wait_after(1, ValueError()) is None


def test_a_function_may_say_zero_seconds() -> None:
    assert RetryPolicy(attempts=3, on=lambda error: 0.0).wait_after(1, OSError()) == 0.0


def test_retries_count_what_comes_after_the_first_attempt() -> None:
    policy = retry_policy(3)
    assert policy is not None
    assert policy.attempts == 4
    assert retry_policy(0) is None


@pytest.mark.parametrize(
    "bad", [{"attempts": 0}, {"attempts": 2, "wait": -1}, {"attempts": 2, "jitter": 2}, {"attempts": True}]
)
def test_numbers_out_of_range_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        RetryPolicy(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "value", "error", "message"),
    [
        ("max_workers", 0, ValueError, "max_workers must be greater than 0"),
        ("max_workers", -3, ValueError, "max_workers must be greater than 0"),
        ("max_workers", 1.5, TypeError, "max_workers must be greater than 0"),
        ("max_workers", "2", TypeError, "max_workers must be greater than 0"),
        ("max_workers", True, TypeError, "max_workers must be greater than 0"),
        ("window", 0, ValueError, "window must be greater than 0"),
        ("timeout", 0, ValueError, "timeout must be greater than 0"),
        ("timeout", "soon", TypeError, "timeout must be a number"),
        ("retries", -1, ValueError, "retries must not be negative"),
        ("retries", "3", TypeError, "retries must be"),
        ("backend", "thread", ValueError, "unknown backend 'thread'"),
        ("backend", 7, TypeError, "backend must be"),
        ("retry", 3, TypeError, "unknown option 'retry'"),
    ],
)
def test_a_bad_option_is_an_error_before_anything_runs(
    option: str, value: object, error: type[Exception], message: str
) -> None:
    ran: list[int] = []
    with pytest.raises(error, match=message):
        run([Task(ran.append, {}, positional=(1,))], **{option: value})  # type: ignore[call-overload]
    assert ran == []


def _is_negative(value: int) -> bool:
    return value < 0


async def _later(value: int) -> int:
    return value


@pytest.mark.parametrize("backend", ["serial", "threads", "processes", "asyncio"])
@pytest.mark.parametrize("function", [int, _later])
def test_a_result_that_the_policy_refuses_is_refused_in_a_list(function: Any, backend: Any) -> None:
    policy = RetryPolicy(attempts=2, on_result=_is_negative, wait=0)
    tasks = [Task(function, {}, positional=(value,)) for value in (1, -1, 2)]
    one, refused, two = run(tasks, retries=policy, backend=backend, return_exceptions=True)
    assert (one, two) == (1, 2)
    assert isinstance(refused, ResultRefused)


@pytest.mark.parametrize("backend", ["serial", "threads", "processes"])
def test_a_coroutines_result_is_asked_about_and_not_the_coroutine(backend: Any) -> None:
    flow = Workflow(backend=backend)
    flow.add(task(retries=RetryPolicy(attempts=1, on_result=_is_negative))(_later)(-1))
    with pytest.raises(ResultRefused):
        flow.run()


def test_a_result_that_is_refused_once_is_made_again() -> None:
    values = iter([-1, 5])
    policy = RetryPolicy(attempts=2, on_result=_is_negative, wait=0)
    assert run([Task(next, {}, positional=(values,))], retries=policy) == [5]


@pytest.mark.parametrize("bad", [{"on": 42}, {"on": (ValueError, 1)}, {"on_result": "x"}, {"total": "5"}])
def test_what_can_not_be_asked_is_refused_at_once(bad: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=next(iter(bad))):
        RetryPolicy(attempts=2, **bad)


def test_a_rate_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="per_second"):
        Limit("api", per_second=float("inf"))
