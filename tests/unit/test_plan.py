"""The plan, without a clock, a thread or a worker: the test decides what time it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotality.parallel import RetryPolicy, Task, run
from cotality.parallel._data.messages import NOT_STARTED, Ending, Planned
from cotality.parallel._data.task_errors import TransferError
from cotality.parallel._scheduling.plan import Plan
from cotality.parallel._scheduling.source import IterableSource
from cotality.parallel._scheduling.survey import ListSurvey
from cotality.workflow import task as as_task


def plan_of(
    tasks: Iterable[Task[Any]],
    *,
    retry: RetryPolicy | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    fail_fast: bool = False,
) -> Plan:
    return Plan(
        IterableSource(tasks),
        retry=retry,
        timeout=timeout,
        ordered=ordered,
        fail_fast=fail_fast,
        stand_in=lambda index, task, error, attempts: error,
    )


def tasks(count: int) -> list[Task[Any]]:
    return [Task(abs, {}, positional=(n,)) for n in range(count)]


def succeeded(planned: Planned, value: object, now: float = 1.0) -> Ending:
    return planned, None, value, now - 1, now, "worker"


def failed(planned: Planned, error: BaseException, now: float = 1.0) -> Ending:
    return planned, error, None, now - 1, now, "worker"


def test_takes_no_more_than_the_window_holds() -> None:
    pulled = []

    def source() -> Iterator[Task[Any]]:
        for task in tasks(100):
            pulled.append(task)
            yield task

    plan = plan_of(source())
    assert len(plan.take(50, window=8, now=0)) == 8
    assert plan.take(50, window=8, now=0) == []
    assert len(pulled) == 8


def test_what_is_not_consumed_counts_for_the_window() -> None:
    plan = plan_of(tasks(100))
    due = plan.take(4, window=4, now=0)
    results = plan.settle([succeeded(planned, None) for planned in due], now=1)
    assert plan.take(4, window=4, now=1) == []
    plan.consumed(len(results))
    assert len(plan.take(4, window=4, now=1)) == 4


def test_a_slow_head_holds_back_what_comes_after_it_and_counts_for_the_window() -> None:
    plan = plan_of(tasks(100))
    head, *others = plan.take(4, window=4, now=0)
    assert plan.settle([succeeded(planned, planned[0]) for planned in others], now=1) == []
    assert plan.take(4, window=4, now=1) == []
    assert plan.settle([succeeded(head, 0)], now=2) == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_unordered_gives_results_as_they_come() -> None:
    plan = plan_of(tasks(3), ordered=False)
    first, second, third = plan.take(3, window=3, now=0)
    assert plan.settle([succeeded(third, "c"), succeeded(first, "a")], now=1) == [(2, "c"), (0, "a")]
    assert not plan.done
    assert plan.settle([succeeded(second, "b")], now=1) == [(1, "b")]
    plan.consumed(3)
    assert plan.take(1, window=3, now=1) == []
    assert plan.done


def test_what_did_not_start_is_due_again_before_anything_new() -> None:
    plan = plan_of(tasks(10))
    first, second = plan.take(2, window=4, now=0)
    assert plan.settle([failed(second, NOT_STARTED), failed(first, NOT_STARTED)], now=1) == []
    assert plan.take(3, window=4, now=1)[:2] == [second, first]


def test_a_retry_waits_and_holds_no_place_among_the_due() -> None:
    plan = plan_of(tasks(2), retry=RetryPolicy(attempts=2, wait=5, jitter=0))
    first, second = plan.take(2, window=2, now=0)
    assert plan.settle([failed(first, ValueError()), succeeded(second, "b")], now=10) == []
    assert plan.take(2, window=2, now=14.9) == []
    assert plan.patience(now=12) == pytest.approx(3)
    assert plan.take(2, window=2, now=15) == [first]
    assert plan.settle([succeeded(first, "a")], now=16) == [(0, "a"), (1, "b")]
    plan.consumed(2)
    assert plan.take(1, window=2, now=17) == []
    assert plan.done


def test_retries_end_and_the_last_error_stands() -> None:
    plan = plan_of(tasks(1), retry=RetryPolicy(attempts=3, wait=0))
    errors = [ValueError(str(n)) for n in range(3)]
    results: list[Any] = []
    for error in errors:
        (planned,) = plan.take(1, window=1, now=0)
        results += plan.settle([failed(planned, error)], now=0)
    assert results == [(0, errors[-1])]


def test_total_bounds_the_time_from_the_first_start() -> None:
    plan = plan_of(tasks(1), retry=RetryPolicy(attempts=9, wait=1, factor=1, jitter=0, total=2.5))
    error = ValueError()
    (planned,) = plan.take(1, window=1, now=0)
    assert plan.settle([(planned, error, None, 0.0, 1.0, "worker")], now=1.0) == []
    (planned,) = plan.take(1, window=1, now=2.0)
    assert plan.settle([(planned, error, None, 2.0, 2.1, "worker")], now=2.1) == [(0, error)]


def test_what_can_not_travel_is_not_tried_again() -> None:
    plan = plan_of(tasks(1), retry=RetryPolicy(attempts=5, wait=0))
    error = TransferError("no")
    (planned,) = plan.take(1, window=1, now=0)
    assert plan.settle([failed(planned, error)], now=0) == [(0, error)]


def test_fail_fast_keeps_the_failure_and_is_done() -> None:
    plan = plan_of(tasks(5), fail_fast=True)
    first, second = plan.take(2, window=2, now=0)
    error = ValueError()
    assert plan.settle([succeeded(first, 1), failed(second, error)], now=1) == [(0, 1)]
    assert plan.failure is error
    assert plan.done


def test_what_ended_beside_the_first_failure_is_counted() -> None:
    plan = plan_of(tasks(9), fail_fast=True)
    due = plan.take(5, window=8, now=0)
    ends = [failed(each, ValueError()) if each[0] == 1 else succeeded(each, None) for each in due[:4]]
    plan.settle(ends, now=1)
    assert ListSurvey(plan, 9, "threads").counts() == {"succeeded": 3, "failed": 1, "cancelled": 1}


def test_expired_are_those_that_ran_for_the_whole_timeout() -> None:
    plan = plan_of(tasks(3), timeout=5)
    assert plan.look_at is None
    plan.take(3, window=3, now=0)
    assert plan.patience(now=0) == pytest.approx(5.0)
    assert plan.expired([(0, 1.0), (1, 3.0)], now=6.5) == [(0, 5)]
    assert plan.look_at == pytest.approx(8.0)
    assert plan.patience(now=7.0) == pytest.approx(1.0)
    assert plan.expired([], now=9.0) == []
    assert plan.patience(now=9.0) == pytest.approx(5.0)


def test_an_error_of_the_source_comes_after_the_tasks_before_it() -> None:
    def source() -> Iterator[Task[Any]]:
        yield from tasks(3)
        raise OSError("the cursor is gone")

    items = IterableSource(source())
    assert len(items.pull(10)) == 3
    assert isinstance(items.error, OSError)
    assert items.exhausted


@settings(max_examples=200, deadline=None)
@given(data=st.data(), count=st.integers(0, 40), ordered=st.booleans(), window=st.integers(1, 9))
def test_every_task_ends_exactly_once_whatever_happens(
    data: st.DataObject, count: int, ordered: bool, window: int
) -> None:
    """Random endings in random order: failures, retries, tasks given back."""
    policy = RetryPolicy(attempts=3, wait=1, jitter=0)
    plan = plan_of(tasks(count), ordered=ordered, retry=policy)
    now, in_flight, results = 0.0, [], []
    failures: dict[int, int] = {}
    for _ in range(2000):
        if plan.done:
            break
        in_flight += plan.take(data.draw(st.integers(1, 5)), window, now)
        assert plan.outstanding <= window
        if not in_flight:
            now += plan.patience(now) or 0.0
            continue
        planned = in_flight.pop(data.draw(st.integers(0, len(in_flight) - 1)))
        how = data.draw(st.sampled_from(["value", "value", "error", "not started"]))
        ending = succeeded(planned, planned[0], now)
        if how == "error":
            failures[planned[0]] = failures.get(planned[0], 0) + 1
            ending = failed(planned, ValueError(planned[0]), now)
        elif how == "not started":
            ending = failed(planned, NOT_STARTED, now)
        handed = plan.settle([ending], now)
        plan.consumed(len(handed))
        results += handed
    assert plan.done
    indices = [index for index, _result in results]
    assert sorted(indices) == list(range(count))
    assert indices == list(range(count)) or not ordered
    assert all(attempts <= policy.attempts for attempts in failures.values())
    assert all(isinstance(result, ValueError) == (failures.get(index, 0) == 3) for index, result in results)


@pytest.mark.parametrize("shape", [list, iter])
@pytest.mark.parametrize("how", ["takes its result", "comes after it"])
def test_a_task_that_needs_another_one_is_refused(shape: Any, how: str) -> None:
    first = Task(abs, {}, positional=(1,))
    second = as_task(abs)(first.output) if how == "takes its result" else Task(abs, {}, positional=(2,)).after(first)
    with pytest.raises(TypeError, match="item 1 of the tasks, abs, needs another task"):
        run(shape([first, second]))
