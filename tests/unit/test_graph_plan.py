"""The plan of a workflow, without a clock, a thread or a worker."""

from __future__ import annotations

import gc
import itertools
import weakref
from typing import Any

import pytest

from cotality.parallel import Limit, Mapped, Outcome, RetryPolicy, Task
from cotality.parallel._data.task import called_by
from cotality.parallel.building import gather
from cotality.parallel.errors import (
    CycleError,
    InternalError,
    ReferenceMisuse,
    ResultRefused,
    TaskSkipped,
    TransferError,
)
from cotality.workflow import Workflow, task
from tests.unit.graph_engine import (
    called,
    came_back,
    error_of,
    failed,
    finish,
    plan_of,
    run_batch,
    state_of,
    succeeded,
    take,
    value_of,
)


@task
def one(value: Any = None, *more: Any) -> Any:
    return value


@task
def add(left: int, right: int = 1) -> int:
    return left + right


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task
def broken(*_: Any) -> int:
    raise ValueError("broken")


@task
def fail_if_odd(number: int) -> int:
    if number % 2:
        raise ValueError(number)
    return number


@task
def states(outcomes: list[Outcome[Any]]) -> list[str]:
    return [outcome.state for outcome in outcomes]


@task
def state(outcome: Outcome[Any]) -> str:
    return outcome.state


@task
def count_to(number: int) -> list[int]:
    return list(range(number))


# Dependencies --------------------------------------------------------------------------------------------------------


def test_a_task_is_due_when_all_it_needs_has_succeeded() -> None:
    left, right = one(1), one(2)
    both = add(left.output, right.output)
    plan = plan_of(both)
    first, second = take(plan)
    assert take(plan) == []
    plan.settle([succeeded(first, 1)], now=101)
    assert take(plan) == []
    plan.settle([succeeded(second, 2)], now=102)
    (last,) = take(plan)
    assert last[1].arguments == {"left": 1, "right": 2}
    plan.settle([called(last)], now=103)
    assert plan.done
    assert value_of(plan, both) == 3


def test_an_order_without_data_counts_like_one_with() -> None:
    first = one()
    second = one().after(first)
    plan = plan_of(second)
    (planned,) = take(plan)
    assert planned[1] is first
    plan.settle([succeeded(planned)], now=101)
    assert [planned[1] for planned in take(plan)] == [second]


def test_an_order_and_data_from_one_task_are_one_edge() -> None:
    first = one(1)
    second = add(first.output, first.output).after(first, first)
    plan = plan_of(second)
    finish(plan)
    assert value_of(plan, second) == 2


def test_a_gather_needs_no_backend() -> None:
    flow = Workflow()
    both = flow.gather(one(1).output, [one(2).output])
    plan = plan_of(both)
    plan.settle([called(planned) for planned in take(plan)], now=101)
    take(plan)
    assert plan.done
    assert value_of(plan, both) == (1, [2])


def test_a_part_that_is_not_there_is_the_error_of_who_asks_for_it() -> None:
    source = one({"a": 1})
    there, missing = one(source.output["a"]), one(source.output["b"])
    below = one(missing.output)
    plan = plan_of(there, below, missing)
    finish(plan)
    assert value_of(plan, there) == 1
    assert isinstance(error_of(plan, missing), KeyError)
    assert state_of(plan, below) == "skipped"


def test_a_circle_is_found_and_named() -> None:
    first, second = one(), one()
    third = one(second.output)
    second.after(first)
    first.after(third)
    with pytest.raises(CycleError, match="one → one → one → one"):
        plan_of(third)


def test_a_task_that_gives_a_task_has_failed() -> None:
    @task
    def gives() -> Any:
        return one(1)

    node = gives()
    plan = plan_of(node)
    finish(plan)
    assert isinstance(error_of(plan, node), ReferenceMisuse)
    assert "one.call(" in str(error_of(plan, node))


@pytest.mark.parametrize("give", [lambda: one(1).output, lambda: Mapped(one, ([1],))])
def test_a_task_that_gives_a_reference_or_a_map_has_failed(give: Any) -> None:
    node = task(give)()
    plan = plan_of(node)
    finish(plan)
    assert isinstance(error_of(plan, node), ReferenceMisuse)


def test_callables_without_a_hash_can_be_tasks() -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, number: int = 1) -> int:
            return number

    made = task(Unhashable())
    last = made(made(3).output)
    plan = plan_of(last, Task(Unhashable(), {}))
    finish(plan)
    assert value_of(plan, last) == 3


# Failures ------------------------------------------------------------------------------------------------------------


def test_below_a_failure_each_is_skipped_once_with_the_first_cause() -> None:
    top = broken()
    left, right = one(top.output), one(top.output)
    bottom = add(left.output, right.output)
    other = one(5)
    plan = plan_of(bottom, other, left, right)
    finish(plan)
    assert [state_of(plan, node) for node in (top, left, right, bottom, other)] == [
        "failed",
        "skipped",
        "skipped",
        "skipped",
        "succeeded",
    ]
    for node in (left, right, bottom):
        skipped = error_of(plan, node)
        assert isinstance(skipped, TaskSkipped)
        assert skipped.__cause__ is error_of(plan, top)
        assert plan.records.causes[plan.graph.tickets[node]] == top.name
    assert plan.graph.counts() == {"failed": 1, "skipped": 3, "succeeded": 1}
    assert len(plan.failures) == 1


def test_of_two_causes_the_first_is_named() -> None:
    first, second = broken.options(name="first")(), broken.options(name="second")()
    below = one([first.output, second.output])
    plan = plan_of(below)
    early, late = take(plan)
    plan.settle([failed(late, ValueError("late"))], now=101)
    plan.settle([failed(early, ValueError("early"))], now=102)
    assert plan.records.causes[plan.graph.tickets[below]] == "second"


def test_fail_fast_starts_nothing_more() -> None:
    plan = plan_of(*(one(n) for n in range(5)), failure="fail_fast")
    first, second = take(plan, 2)
    error = ValueError()
    plan.settle([failed(first, error)], now=101)
    assert plan.failure is error
    assert plan.done
    assert take(plan) == []
    plan.settle([succeeded(second, 1)], now=102)
    plan.graph.cancel_rest()
    assert plan.graph.counts() == {"failed": 1, "succeeded": 1, "cancelled": 3}


@pytest.mark.parametrize(("failure", "borne"), [(1, 1), (3, 3), (0.5, 5), (0.25, 2)])
def test_so_many_failures_are_borne(failure: float, borne: int) -> None:
    plan = plan_of(*(broken() for _ in range(10)), failure=failure)
    due = take(plan)
    for count, planned in enumerate(due, 1):
        plan.settle([failed(planned, ValueError(count))], now=101)
        assert (plan.failure is not None) == (count > borne)
        if plan.failure is not None:
            break


def test_a_task_that_failed_is_no_more_due_though_it_comes_back() -> None:
    plan = plan_of(one(1), one(2), failure="fail_fast")
    first, second = take(plan)
    plan.settle([failed(first, ValueError()), came_back(second)], now=101)
    assert take(plan) == []
    plan.graph.cancel_rest()
    assert plan.graph.counts() == {"failed": 1, "cancelled": 1}


def test_stop_ends_the_run_with_its_error() -> None:
    plan = plan_of(one(1))
    error = RuntimeError("enough")
    plan.stop(error)
    plan.stop(RuntimeError("later"))
    assert plan.failure is error
    assert plan.done


# Survivors -----------------------------------------------------------------------------------------------------------


def test_who_takes_an_outcome_is_not_skipped_and_the_failure_is_no_failure_of_the_run() -> None:
    bad, good = broken(), one(1)
    seen, fine = state(bad.outcome), state(good.outcome)
    plan = plan_of(seen, fine, failure="fail_fast")
    finish(plan)
    assert (value_of(plan, seen), value_of(plan, fine)) == ("failed", "succeeded")
    assert plan.failure is None
    assert plan.failures == []
    assert len(plan.failed) == 1


def test_the_outcome_of_a_skipped_task_is_an_outcome() -> None:
    middle = one(broken().output)
    seen = state(middle.outcome)
    plan = plan_of(seen, failure="fail_fast")
    finish(plan)
    assert value_of(plan, seen) == "skipped"


def test_output_and_outcome_of_one_task_skip_below_its_failure() -> None:
    bad = broken()
    both = one(bad.output, bad.outcome)
    plan = plan_of(both)
    finish(plan)
    assert state_of(plan, both) == "skipped"
    assert plan.done


def test_outcomes_of_a_map_hold_what_succeeded_and_what_failed() -> None:
    flow = Workflow()
    mapped = flow.map(fail_if_odd, [0, 1, 2])
    seen = states(mapped.outcomes)
    plan = plan_of(seen, failure="fail_fast")
    finish(plan)
    assert value_of(plan, seen) == ["succeeded", "failed", "succeeded"]


# Retries -------------------------------------------------------------------------------------------------------------


def test_a_retry_waits_its_time_and_counts_its_attempts() -> None:
    node = one.options(retries=RetryPolicy(attempts=3, wait=5, factor=1, jitter=0))(1)
    plan = plan_of(node)
    now = 100.0
    for _ in range(2):
        (planned,) = take(plan, now=now)
        plan.settle([failed(planned, ValueError(), started=now, ended=now)], now=now)
        assert take(plan, now=now + 4.9) == []
        assert plan.patience(now + 2) == pytest.approx(3)
        now += 5
    (planned,) = take(plan, now=now)
    plan.settle([succeeded(planned, 7)], now=now)
    outcome = plan.records.outcome(0, node, 7)
    assert (outcome.state, outcome.attempts) == ("succeeded", 3)


def test_the_last_error_stands_when_the_attempts_are_used_up() -> None:
    node = one.options(retries=RetryPolicy(attempts=3, wait=0))(1)
    plan = plan_of(node)
    errors = [ValueError(n) for n in range(3)]
    for error in errors:
        (planned,) = take(plan)
        plan.settle([failed(planned, error)], now=100)
    assert error_of(plan, node) is errors[-1]
    assert plan.records.outcome(0, node, None).attempts == 3


def test_total_bounds_the_time_from_the_first_start() -> None:
    node = one.options(retries=RetryPolicy(attempts=9, wait=1, factor=1, jitter=0, total=2.5))(1)
    plan = plan_of(node)
    (planned,) = take(plan, now=100)
    plan.settle([failed(planned, ValueError(), started=100.0, ended=101.0)], now=101)
    (planned,) = take(plan, now=102)
    plan.settle([failed(planned, ValueError(), started=102.0, ended=102.1)], now=102.1)
    assert plan.done


def test_what_can_not_become_better_is_not_tried_again() -> None:
    plan = plan_of(one.options(retries=5)(1))
    (planned,) = take(plan)
    plan.settle([failed(planned, TransferError("no"))], now=100)
    assert plan.done


def test_a_retry_has_its_inputs_though_nobody_else_keeps_them() -> None:
    source = one(5)
    node = add.options(retries=RetryPolicy(attempts=2, wait=0))(source.output)
    plan = plan_of(node)
    plan.settle([called(planned) for planned in take(plan)], now=100)
    (planned,) = take(plan)
    plan.settle([failed(planned, ValueError())], now=100)
    assert plan.graph.values == {}
    (planned,) = take(plan)
    plan.settle([called(planned)], now=100)
    assert value_of(plan, node) == 6


def test_a_hook_that_raises_is_that_tasks_failure() -> None:
    def hook(error: BaseException) -> bool:
        raise ZeroDivisionError("in the hook")

    bad, good = one.options(retries=RetryPolicy(attempts=3, on=hook))(1), one(2)
    plan = plan_of(bad, good)
    first, second = take(plan)
    plan.settle([failed(first, ValueError("its own")), called(second)], now=100)
    assert plan.done
    assert str(error_of(plan, bad)) == "its own"
    assert "ZeroDivisionError: in the hook" in error_of(plan, bad).__notes__[0]


def test_a_refused_result_is_a_failed_attempt() -> None:
    node = one.options(retries=RetryPolicy(attempts=2, wait=0, on_result=lambda value: value == 1))(1)
    plan = plan_of(node)
    for _ in range(2):
        (planned,) = take(plan)
        plan.settle([called(planned)], now=100)
    assert isinstance(error_of(plan, node), ResultRefused)


# Limits --------------------------------------------------------------------------------------------------------------


def test_concurrency_bounds_what_is_under_way_over_all_lanes() -> None:
    limit = Limit("api", concurrency=2)
    here, there = one.options(limits=[limit]), one.options(limits=[limit], backend="serial")
    plan = plan_of(here(1), here(2), there(3), there(4))
    first = take(plan, 1)
    second = take(plan, lane="serial")
    assert len(second) == 1
    assert take(plan) == take(plan, lane="serial") == []
    plan.settle([succeeded(first[0])], now=101)
    third = take(plan, now=101)
    assert len(third) == 1
    assert take(plan, now=101) == []
    plan.settle([failed(second[0], ValueError())], now=102)
    assert take(plan, now=102) == []
    assert len(take(plan, lane="serial", now=102)) == 1


def test_an_attempt_that_did_not_start_gives_its_place_back() -> None:
    plan = plan_of(*(one.options(limits=[Limit("api", concurrency=1, per_second=1)])(n) for n in range(2)))
    (first,) = take(plan)
    plan.settle([came_back(first)], now=100.1)
    assert len(take(plan, now=100.1)) == 1
    assert take(plan, now=100.1) == []


def test_a_waiting_retry_holds_no_place() -> None:
    limited = one.options(limits=[Limit("api", concurrency=1)])
    plan = plan_of(limited.options(retries=RetryPolicy(attempts=2, wait=50, jitter=0))(1), limited(2))
    (first,) = take(plan)
    plan.settle([failed(first, ValueError())], now=101)
    assert len(take(plan, now=101)) == 1


def test_no_window_of_a_second_holds_more_starts_than_allowed() -> None:
    """Also when it is learnt late when an attempt has really started."""
    limited = one.options(limits=[Limit("api", per_second=2)])
    plan = plan_of(*(limited(n) for n in range(4)))
    first, second = take(plan, now=100)
    assert take(plan, now=105) == []
    plan.settle([succeeded(first, started=104.0, ended=104.1), succeeded(second, started=104.5, ended=105)], now=105)
    assert take(plan, now=104.99) == []
    assert len(take(plan, now=105.0)) == 1
    assert take(plan, now=105.4) == []


def test_a_start_seen_while_it_runs_is_counted_from_then() -> None:
    limited = one.options(limits=[Limit("api", per_second=1)])
    plan = plan_of(limited(1), limited(2))
    (first,) = take(plan, now=100)
    assert take(plan, now=100) == []
    assert plan.look_at == 0.0
    assert plan.expired([(first[0], 100.5)], now=100.6) == []
    assert plan.patience(100.6) == pytest.approx(0.9)
    assert take(plan, now=101.4) == []
    assert len(take(plan, now=101.5)) == 1


def test_a_rate_below_one_is_one_in_so_many_seconds() -> None:
    limited = one.options(limits=[Limit("api", per_second=0.25)])
    plan = plan_of(limited(1), limited(2))
    (first,) = take(plan, now=100)
    plan.settle([succeeded(first, started=100.0)], now=101)
    assert take(plan, now=103.9) == []
    assert len(take(plan, now=104)) == 1


def test_nobody_waits_busily_for_a_start_that_bars_no_more() -> None:
    """The window has passed and only an end makes room: there is nothing to look at before."""
    limited = one.options(limits=[Limit("api", concurrency=1, per_second=10)])
    plan = plan_of(limited(1), limited(2))
    (first,) = take(plan, now=100)
    assert take(plan, now=100) == []
    plan.expired([(first[0], 100.0)], now=100.1)
    assert take(plan, now=105) == []
    assert plan.patience(105) is None


def test_all_limits_of_a_task_must_have_room() -> None:
    a, b = Limit("a", concurrency=1), Limit("b", concurrency=1)
    plan = plan_of(one.options(limits=[a])(1), one.options(limits=[a, b])(2), one.options(limits=[b])(3))
    assert [planned[1].arguments["value"] for planned in take(plan)] == [1, 3]


def test_one_name_with_two_values_is_an_error_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="'api'"):
        plan_of(
            one.options(limits=[Limit("api", concurrency=1)])(1), one.options(limits=[Limit("api", concurrency=2)])(2)
        )
    plan_of(one.options(limits=[Limit("api", concurrency=1)])(1), one.options(limits=[Limit("api", concurrency=1)])(2))


# Timeouts ------------------------------------------------------------------------------------------------------------


def test_an_attempt_has_its_own_timeout_from_its_start() -> None:
    plan = plan_of(one.options(timeout=5)(1), one.options(timeout=2)(2), one(3))
    take(plan, now=100)
    assert plan.look_at == 102
    assert plan.expired([(0, 100.5), (1, 101.0), (2, 100.0)], now=102) == []
    assert plan.look_at == 103
    assert plan.expired([(0, 100.5), (1, 101.0), (2, 100.0)], now=103) == [(1, 2)]
    assert plan.expired([(0, 100.5)], now=105.5) == [(0, 5)]


def test_a_timeout_and_a_result_at_the_same_moment_are_one_outcome() -> None:
    node = one.options(timeout=5)(1)
    plan = plan_of(node)
    (planned,) = take(plan)
    plan.settle([succeeded(planned, 1), failed(planned, TimeoutError())], now=105)
    assert plan.graph.counts() == {"succeeded": 1}
    assert plan.failed == []


# Coming back ---------------------------------------------------------------------------------------------------------


def test_what_did_not_start_is_due_again_first() -> None:
    plan = plan_of(*(one(n) for n in range(4)))
    first, second = take(plan, 2)
    plan.settle([came_back(second), came_back(first)], now=101)
    assert take(plan)[:2] == [first, second]


def test_a_chain_is_sent_along() -> None:
    first = one(1)
    second = add(first.output)
    third = add(second.output)
    plan = plan_of(third, chains=True)
    batch = take(plan)
    assert [ticket for ticket, _call in batch] == [0, 1, 2]
    plan.settle(run_batch(batch), now=101)
    assert plan.done
    assert value_of(plan, third) == 3
    assert list(plan.graph.values) == [2]


def test_what_only_comes_after_a_task_is_not_sent_along_behind_it() -> None:
    """The worker would have no reason not to run it if the other one fails."""
    done, bad = one(1), broken()
    plain, wired = one(2).after(bad), one(done.output).after(bad)
    for node in (plain, wired):
        plan = plan_of(node, chains=True)
        finish(plan)
        assert state_of(plan, node) == "skipped"
        assert plan.records.began[plan.graph.tickets[node]] < 0


def test_an_item_that_is_skipped_when_it_is_made_is_not_sent_along() -> None:
    """It has an edge from the task that runs, and would take something else in the place of what failed."""
    bad, first = broken(), one([1])
    slow = one(first.output)
    mapped = Mapped(lambda _: one(slow.output, bad.output), (first.output,))
    plan = plan_of(bad, slow, mapped, chains=True)
    plan.settle(run_batch(take(plan)), now=101)
    batch = take(plan)
    assert [plan.graph.nodes[ticket] for ticket, _call in batch] == [slow]
    plan.settle(run_batch(batch), now=102)
    assert plan.done
    assert state_of(plan, mapped) == "skipped"


def test_what_has_a_limit_is_not_sent_along() -> None:
    """Nobody would ask whether it may start."""
    first = one(1)
    limited = add.options(limits=[Limit("api", concurrency=1)])(first.output)
    plan = plan_of(limited, chains=True)
    assert [ticket for ticket, _call in take(plan)] == [plan.graph.tickets[first]]


def test_what_goes_behind_a_task_and_takes_nothing_but_its_result_is_no_call_of_its_own() -> None:
    first = one(1)
    second = add(first.output)
    both = add(second.output, right=second.output)
    plan = plan_of(both, chains=True)
    batch = take(plan)
    assert [call for _ticket, call in batch] == [first, second, both]
    assert [*map(called_by, (first, second))] == [first.callback_function, second.checked]
    plan.settle(run_batch(batch), now=101)
    assert value_of(plan, both) == 4


def test_a_chain_that_comes_back_is_planned_anew_with_its_value() -> None:
    first = one(1)
    second = add(first.output)
    third = add(second.output)
    plan = plan_of(third, chains=True)
    a, b, c = take(plan)
    plan.settle([succeeded(a, 1), came_back(b), came_back(c)], now=101)
    batch = take(plan)
    assert batch[0][1].arguments == {"left": 1}
    plan.settle(run_batch(batch), now=102)
    assert value_of(plan, third) == 3


@pytest.mark.parametrize("which", range(3))
def test_a_chain_given_back_as_a_whole_in_any_order(which: int) -> None:
    first = one(1)
    last = add(add(first.output).output)
    plan = plan_of(last, chains=True)
    for order in itertools.permutations(take(plan)):
        plan.settle([came_back(planned) for planned in order], now=101)
        again = take(plan)
        assert [ticket for ticket, _ in again] == [0, 1, 2]
    plan.settle(run_batch(again), now=102)
    assert value_of(plan, last) == 3


def test_a_failure_in_a_chain_skips_what_was_sent_along() -> None:
    first = one(1)
    second = broken(first.output)
    third = one(second.output)
    plan = plan_of(third, chains=True)
    plan.settle(run_batch(take(plan)), now=101)
    assert plan.done
    assert plan.graph.counts() == {"succeeded": 1, "failed": 1, "skipped": 1}
    assert plan.graph.values == {}


def test_the_middle_of_a_chain_is_tried_again_with_its_value() -> None:
    attempts: list[int] = []

    def flaky(number: int) -> int:
        attempts.append(number)
        if len(attempts) < 3:
            raise ValueError(number)
        return number

    second = task(retries=RetryPolicy(attempts=3, wait=0))(flaky)(one(1).output)
    third = add(second.output)
    plan = plan_of(third, chains=True)
    finish(plan)
    assert value_of(plan, third) == 2
    assert attempts == [1, 1, 1]
    assert plan.records.outcome(1, second, None).attempts == 3


def test_what_is_still_behind_a_failed_attempt_is_not_sent_along_a_second_time() -> None:
    """It would run twice, or hold what it took for ever."""
    first = task(retries=RetryPolicy(attempts=2, wait=0))(one.call)(1)
    second = add(first.output)
    plan = plan_of(second, chains=True)
    a, b = take(plan)
    plan.settle([failed(a, ValueError())], now=101)
    again = take(plan, now=101)
    assert [ticket for ticket, _call in again] == [0]
    plan.settle(run_batch(again), now=102)
    assert take(plan, now=102) == []
    plan.settle([came_back(b)], now=103)
    plan.settle(run_batch(take(plan, now=103)), now=104)
    assert plan.done
    assert value_of(plan, second) == 2
    assert list(plan.graph.values) == [1]


# Maps ----------------------------------------------------------------------------------------------------------------


def test_no_more_items_are_taken_from_an_endless_source_than_the_window_holds() -> None:
    taken: list[int] = []

    def source() -> Any:
        for number in itertools.count():
            taken.append(number)
            yield number

    mapped = Workflow().map(one, source())
    plan = plan_of(mapped, wanted=[mapped])
    for _ in range(3):
        due = take(plan, window=4)
        assert len(due) == 4
        assert take(plan, window=4) == []
        handed = plan.settle([called(planned) for planned in due], now=101)
        # What is not consumed counts.
        assert take(plan, window=4) == []
        plan.consumed(len(handed))
    assert len(taken) == 12


def test_items_that_are_done_and_handed_out_are_let_go_of() -> None:
    class Big:
        pass

    mapped = Workflow().map(one, (Big() for _ in range(3)))
    plan = plan_of(mapped, wanted=[mapped])
    (planned,) = take(plan, window=1)
    gone = weakref.ref(planned[1].arguments["value"])
    handed = plan.settle([succeeded(planned, 0)], now=101)
    plan.consumed(1)
    del planned, handed
    gc.collect()
    assert gone() is None


def test_iterables_of_unequal_length_are_an_error_of_the_map() -> None:
    mapped = Workflow().map(add, [1, 2], [1])
    plan = plan_of(mapped)
    finish(plan)
    assert state_of(plan, mapped) == "failed"
    assert "unequal length" in str(error_of(plan, mapped))
    assert plan.graph.counts() == {"succeeded": 1}


def test_several_iterables_go_together() -> None:
    mapped = Workflow().map(add, [1, 2], one([10, 20]).output)
    plan = plan_of(mapped)
    finish(plan)
    assert value_of(plan, mapped) == [11, 22]


def test_an_item_for_which_no_task_can_be_made_is_that_items_failure() -> None:
    mapped = Workflow().map(add, [1, "x", 3])
    after = states(mapped.outcomes)
    plan = plan_of(after)
    finish(plan)
    assert value_of(plan, after) == ["succeeded", "failed", "succeeded"]


def test_endless_items_that_fail_at_once_do_not_keep_the_plan_from_ending() -> None:
    mapped = Workflow().map(lambda n: one(n, 1 / 0), itertools.count())
    plan = plan_of(mapped, failure="fail_fast")
    plan.advance(8, now=100)
    assert isinstance(plan.failure, ZeroDivisionError)
    plan = plan_of(Workflow().map(lambda n: one(n, 1 / 0), itertools.count()), failure="finish")
    plan.advance(8, now=100)
    assert plan.patience(100) == 0.0
    plan.stop(RuntimeError())
    assert plan.done


def test_a_source_that_raises_is_the_error_of_the_map_behind_its_items() -> None:
    def source() -> Any:
        yield 1
        raise OSError("the cursor is gone")

    mapped = Workflow().map(one, source())
    plan = plan_of(mapped)
    finish(plan)
    assert isinstance(error_of(plan, mapped), OSError)
    assert plan.graph.counts() == {"succeeded": 1}


@pytest.mark.parametrize("given", [5, None, "text", b"bytes"])
def test_a_result_that_can_not_be_gone_through_is_the_error_of_the_map(given: Any) -> None:
    mapped = Workflow().map(one, one(given).output)
    plan = plan_of(mapped)
    finish(plan)
    assert isinstance(error_of(plan, mapped), TypeError)


def test_a_one_shot_iterator_feeds_one_run() -> None:
    mapped = Workflow().map(one, iter([1, 2]))
    first, second = plan_of(mapped), plan_of(mapped)
    finish(first)
    finish(second)
    assert (value_of(first, mapped), value_of(second, mapped)) == ([1, 2], [])


def test_nothing_gives_an_empty_list() -> None:
    mapped = Workflow().map(one, [])
    last = total(mapped.outputs)
    plan = plan_of(last)
    finish(plan)
    assert value_of(plan, last) == 0


def test_a_map_over_anothers_outputs_goes_item_by_item() -> None:
    flow = Workflow()
    first = flow.map(one, itertools.count())
    second = flow.map(add, first.outputs)
    plan = plan_of(second, wanted=[second])
    a, b = take(plan, window=2)
    plan.settle([called(a)], now=101)
    due = take(plan, window=2)
    assert sorted(planned[1].name for planned in due) == ["add", "one"]
    assert b not in due


def test_backpressure_goes_through_both_maps() -> None:
    taken: list[int] = []

    def source() -> Any:
        for number in itertools.count():
            taken.append(number)
            yield number

    flow = Workflow()
    first = flow.map(one, source())
    second = flow.map(add, first.outputs)
    plan = plan_of(second, wanted=[second])
    for _ in range(50):
        plan.settle([called(planned) for planned in take(plan, window=3)], now=101)
    assert len(taken) <= 3 + 3 + 1


def test_another_use_of_outputs_waits_for_all() -> None:
    flow = Workflow()
    first = flow.map(one, [1, 2, 3])
    second = flow.map(add, first.outputs)
    both = one(first.outputs, second.outputs)
    plan = plan_of(second, both)
    finish(plan, window=1)
    assert value_of(plan, second) == [2, 3, 4]
    assert value_of(plan, both) == [1, 2, 3]


def test_a_failed_item_skips_what_is_made_of_it_and_nothing_else() -> None:
    flow = Workflow()
    first = flow.map(fail_if_odd, [0, 1, 2])
    second = flow.map(add, first.outputs)
    seen, whole = states(second.outcomes), total(first.outputs)
    plan = plan_of(seen, whole)
    finish(plan)
    assert value_of(plan, seen) == ["succeeded", "skipped", "succeeded"]
    assert state_of(plan, whole) == "skipped"


def test_a_map_in_a_map_gives_lists() -> None:
    flow = Workflow()
    nested = flow.map(lambda n: flow.map(add, list(range(n))), [1, 2, 3])
    plan = plan_of(nested)
    finish(plan)
    assert value_of(plan, nested) == [[1], [1, 2], [1, 2, 3]]
    assert plan.graph.counts() == {"succeeded": 6}
    assert len(flow) == 1


def test_a_map_in_a_map_may_fail_in_part() -> None:
    flow = Workflow()
    nested = flow.map(lambda n: flow.map(fail_if_odd, [n]), [0, 1, 2])
    seen = states(nested.outcomes)
    plan = plan_of(seen)
    finish(plan)
    assert value_of(plan, seen) == ["succeeded", "skipped", "succeeded"]


def test_a_map_that_waits_for_itself_is_a_circle_and_no_hang() -> None:
    holder: list[Any] = []
    flow = Workflow()
    mapped = flow.map(lambda n: total(holder[0].outputs), [1])
    holder.append(mapped)
    plan = plan_of(mapped)
    finish(plan)
    (item,) = plan.maps.by_ticket[plan.graph.tickets[mapped]].items
    assert isinstance(plan.records.errors[item], CycleError)


def test_a_map_whose_item_waits_for_what_waits_for_the_map_is_a_circle() -> None:
    holder: list[Any] = []
    flow = Workflow()
    mapped = flow.map(lambda n: one(holder[0].output), [1])
    last = total(mapped.outputs)
    holder.append(last)
    plan = plan_of(mapped, last)
    finish(plan)
    assert state_of(plan, last) == "skipped"
    assert isinstance(error_of(plan, last).__cause__, CycleError)


def test_what_only_an_item_needs_is_part_of_the_run() -> None:
    mapped = Workflow().map(lambda n: add(one(n).output), [1, 2])
    plan = plan_of(mapped)
    finish(plan)
    assert value_of(plan, mapped) == [2, 3]


def test_items_may_be_references() -> None:
    left, right, bad = one(1), one(2), broken()
    mapped = Workflow().map(add, [left.output, right.output, bad.output])
    seen = states(mapped.outcomes)
    plan = plan_of(seen, left)
    assert bad in plan.graph.tickets
    finish(plan, window=1)
    assert value_of(plan, seen) == ["succeeded", "succeeded", "skipped"]


def test_an_item_does_not_wait_for_the_reference_that_another_item_is() -> None:
    left, right = one(1), one(2)
    mapped = Workflow().map(add, [left.output, right.output])
    plan = plan_of(mapped)
    first, _second = take(plan)
    plan.settle([called(first)], now=101)
    assert [planned[1].arguments for planned in take(plan)] == [{"left": 1}]


def test_values_lent_to_items_are_dropped_when_the_map_has_ended() -> None:
    left = one(1)
    mapped = Workflow().map(add, [left.output])
    plan = plan_of(mapped)
    finish(plan)
    assert list(plan.graph.values) == [plan.graph.tickets[mapped]]


def test_an_item_may_be_wired_to_the_one_before_which_does_not_run_again() -> None:
    calls: list[int] = []
    held: list[Any] = []

    @task
    def step(before: int, number: int) -> int:
        calls.append(number)
        return before + number

    def make(number: int) -> Any:
        held.append(step(held[-1].output if held else 0, number))
        return held[-1]

    mapped = Workflow().map(make, range(20))
    plan = plan_of(mapped)
    finish(plan, window=1)
    assert calls == list(range(20))
    assert value_of(plan, mapped)[-1] == sum(range(20))


@pytest.mark.parametrize("window", [1, 10])
def test_one_task_for_two_items_is_the_second_ones_error(window: int) -> None:
    same = one(1)
    mapped = Workflow().map(lambda n: same, [1, 2])
    seen = states(mapped.outcomes)
    plan = plan_of(seen)
    finish(plan, window=window)
    assert value_of(plan, seen) == ["succeeded", "failed"]


def test_a_map_waits_for_what_it_comes_after() -> None:
    first = one(0)
    mapped = Workflow().map(one, [1]).after(first)
    plan = plan_of(mapped)
    assert [planned[1] for planned in take(plan)] == [first]
    with pytest.raises(TypeError, match="only come after tasks"):
        mapped.after(5)  # type: ignore[arg-type]


def test_limits_and_lanes_that_only_items_name() -> None:
    limited = one.options(limits=[Limit("api", concurrency=1)], backend="serial")
    mapped = Workflow().map(lambda n: limited(n), [1, 2])
    plan = plan_of(mapped)
    plan.advance(10, now=100)
    assert list(plan.lanes) == ["serial"]
    assert len(take(plan, lane="serial")) == 1
    assert take(plan, lane="serial") == []


def test_a_limit_that_only_items_name_on_a_backend_that_is_known() -> None:
    first, other = Limit("api", concurrency=1), Limit("api", concurrency=2)
    mapped = Workflow().map(lambda n: one.options(limits=[other if n == 2 else first])(n), [0, 1, 2])
    seen = states(mapped.outcomes)
    plan = plan_of(seen, one(5))
    finish(plan)
    assert value_of(plan, seen) == ["succeeded", "succeeded", "failed"]


def test_results_that_were_dropped_before_an_item_asked_for_them_are_not_taken_for_none() -> None:
    flow = Workflow()
    first = flow.map(one, [1, 2, 3])
    second = flow.map(lambda n: one(first.outputs) if n == 3 else one(n), first.outputs)
    seen = states(second.outcomes)
    plan = plan_of(seen)
    finish(plan, window=1)
    assert value_of(plan, seen) == ["succeeded", "succeeded", "skipped"]
    assert "add it to the workflow to keep" in str(error_of(plan, first))


def test_a_share_of_failures_is_one_of_tasks_only() -> None:
    tasks = [broken(), broken(), *(one(n) for n in range(8))]
    joined = [gather(task.output) for task in tasks]
    plan = plan_of(*joined, failure=0.1)
    finish(plan)
    assert plan.failure is not None
    plan = plan_of(*joined, failure=0.2)
    finish(plan)
    assert plan.failure is None


# Delivery ------------------------------------------------------------------------------------------------------------


def test_outcomes_come_in_the_order_of_the_plan() -> None:
    nodes = [one.options(name=f"n{n}")(n) for n in range(4)]
    plan = plan_of(*nodes, wanted=nodes)
    due = take(plan)
    assert plan.settle([called(planned) for planned in due[1:3]], now=101) == []
    assert [outcome.name for outcome in plan.settle([called(due[0])], now=102)] == ["n0", "n1", "n2"]
    assert [outcome.value for outcome in plan.settle([called(due[3])], now=103)] == [3]


def test_unordered_outcomes_come_as_they_come() -> None:
    nodes = [one(n) for n in range(3)]
    plan = plan_of(*nodes, wanted=nodes, ordered=False)
    due = take(plan)
    seen = [outcome.value for planned in reversed(due) for outcome in plan.settle([called(planned)], now=101)]
    assert seen == [2, 1, 0]


def test_the_items_of_a_map_come_where_the_map_stands() -> None:
    flow = Workflow()
    before, mapped, after = one("before"), flow.map(one, ["a", "b"]), one("after")
    plan = plan_of(before, mapped, after, wanted=[before, mapped, after])
    assert [outcome.value for outcome in finish(plan)] == ["before", "a", "b", "after"]


def test_what_nobody_wants_holds_nothing_up() -> None:
    slow, quick = one(1), one(2)
    plan = plan_of(slow, quick, wanted=[quick])
    _first, second = take(plan)
    assert [outcome.value for outcome in plan.settle([called(second)], now=101)] == [2]


def test_a_map_that_never_began_says_so_itself() -> None:
    mapped = Workflow().map(one, broken().output)
    plan = plan_of(mapped, wanted=[mapped])
    (outcome,) = finish(plan)
    assert (outcome.task, outcome.state, outcome.first_cause) == (mapped, "skipped", "broken")


@pytest.mark.parametrize("ordered", [True, False])
def test_skipped_and_failed_ones_are_handed_out_as_well(ordered: bool) -> None:
    top = broken()
    below = one(top.output)
    plan = plan_of(top, below, wanted=[top, below], ordered=ordered)
    assert [outcome.state for outcome in finish(plan)] == ["failed", "skipped"]


# Values --------------------------------------------------------------------------------------------------------------


def test_a_value_is_dropped_when_the_last_that_needs_it_has_taken_it() -> None:
    source = one(1)
    left, right = add(source.output), add(source.output)
    plan = plan_of(left, right)
    plan.settle([called(planned) for planned in take(plan)], now=101)
    ticket = plan.graph.tickets[source]
    take(plan, 1)
    assert ticket in plan.graph.values
    take(plan, 1)
    assert ticket not in plan.graph.values


def test_a_value_that_only_skipped_ones_need_is_dropped() -> None:
    source = one(1)
    below = one([source.output, broken().output])
    plan = plan_of(below)
    finish(plan)
    assert plan.graph.values == {}


def test_values_of_items_are_dropped_when_nobody_needs_their_map_any_more() -> None:
    mapped = Workflow().map(one, [1, 2])
    below = one([mapped.outputs, broken().output])
    plan = plan_of(below)
    finish(plan)
    assert plan.graph.values == {}


def test_kept_values_stay_and_those_handed_out_do_not() -> None:
    kept, handed = one(1), one(2)
    plan = plan_of(kept, handed, wanted=[handed])
    finish(plan)
    assert list(plan.graph.values) == [plan.graph.tickets[kept]]


def test_a_plan_that_can_not_go_on_says_that_it_is_our_bug() -> None:
    plan = plan_of(one(1))
    plan.advance(1, now=100)
    plan.lanes["main"].due.clear()
    with pytest.raises(InternalError):
        plan.patience(100)
