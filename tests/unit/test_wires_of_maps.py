"""What maps take of each other, and what is told of maps that lack items, without a clock or a worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cotality.parallel import Outcome, Task
from cotality.workflow import Workflow, task
from tests.unit.graph_engine import called, error_of, finish, plan_of, state_of, take, value_of


@task
def one(value: Any) -> Any:
    return value


@task
def pair(left: Any, right: Any) -> tuple[Any, Any]:
    return left, right


@task
def states(outcomes: list[Outcome[Any]]) -> list[str]:
    return [outcome.state for outcome in outcomes]


def three() -> Iterator[int]:
    yield from (1, 2)
    raise OSError("the cursor is gone")


def test_a_map_goes_together_with_a_part_of_its_results() -> None:
    flow = Workflow()
    lists = flow.map(one, [[1, 2], [3, 4]])
    both = flow.map(pair, lists.outputs, lists.outputs[0])
    plan = plan_of(both)
    finish(plan)
    assert value_of(plan, both) == [([1, 2], 1), ([3, 4], 2)]


def test_a_map_goes_together_with_its_outcomes() -> None:
    flow = Workflow()
    numbers = flow.map(one, [1, 2])
    both = flow.map(lambda value, outcome: pair(value, outcome), numbers.outputs, numbers.outcomes)
    plan = plan_of(both)
    finish(plan)
    assert [(value, outcome.value) for value, outcome in value_of(plan, both)] == [(1, 1), (2, 2)]


def test_a_map_goes_together_with_a_list_that_holds_its_results() -> None:
    flow = Workflow()
    numbers = flow.map(one, [1, 2])
    both = flow.map(pair, numbers.outputs, [numbers.outputs, 5])
    plan = plan_of(both)
    finish(plan)
    assert value_of(plan, both) == [(1, [1, 2]), (2, 5)]


def test_a_map_that_comes_after_the_one_it_goes_through_waits_for_its_end() -> None:
    flow = Workflow()
    numbers = flow.map(one, [1, 2])
    plan = plan_of(flow.map(one, numbers.outputs).after(numbers))
    first, second = take(plan)
    plan.settle([called(first)], now=101)
    assert take(plan) == []
    plan.settle([called(second)], now=101)
    assert len(take(plan)) == 2


def test_results_and_outcomes_of_a_map_for_one_task() -> None:
    flow = Workflow()
    numbers = flow.map(one, [1, 2])
    both = pair(numbers.outputs, numbers.outcomes)
    plan = plan_of(both)
    finish(plan)
    values, outcomes = value_of(plan, both)
    assert values == [outcome.value for outcome in outcomes] == [1, 2]


def test_outcomes_of_a_map_that_has_ended_for_a_task_that_a_map_makes() -> None:
    flow = Workflow()
    numbers = flow.add(flow.map(one, [1, 2]))
    seen = flow.map(lambda _: states(numbers.outcomes), [1]).after(numbers)
    plan = plan_of(numbers, seen)
    finish(plan)
    assert value_of(plan, seen) == [["succeeded", "succeeded"]]


def test_outcomes_of_failed_items_may_be_given_to_tasks() -> None:
    flow = Workflow()
    numbers = flow.map(lambda n: one(1 / n), [0, 1])
    seen = flow.map(lambda outcome: states([outcome]), numbers.outcomes)
    held = one(1).output
    plan = plan_of(seen)
    finish(plan)
    assert value_of(plan, seen) == [["failed"], ["succeeded"]]
    del held


def test_outcomes_tell_that_a_map_lacks_items() -> None:
    flow = Workflow()
    numbers = flow.map(one, three())
    doubled = flow.map(one, numbers.outputs)
    seen = pair(states(numbers.outcomes).output, states(doubled.outcomes).output)
    plan = plan_of(seen)
    finish(plan)
    assert value_of(plan, seen) == (["succeeded", "succeeded", "failed"], ["succeeded", "succeeded", "skipped"])


def test_outcomes_of_a_map_that_never_began_are_a_list() -> None:
    flow = Workflow()
    seen = states(flow.map(one, one.options(name="no list")(5).output[3]).outcomes)
    plan = plan_of(seen)
    finish(plan)
    assert value_of(plan, seen) == ["failed"]


def test_what_ends_a_map_is_told_also_when_an_item_has_failed() -> None:
    flow = Workflow()
    numbers = flow.map(lambda n: one(n if n == 2 else 1 / 0), three())
    plan = plan_of(numbers)
    finish(plan)
    assert isinstance(error_of(plan, numbers), OSError)
    assert [type(plan.records.errors[ticket]) for ticket in plan.failures] == [ZeroDivisionError, OSError]


def test_two_iterators_go_together_once() -> None:
    mapped = Workflow().map(pair, iter([1, 2]), iter([3, 4]))
    plan = plan_of(mapped)
    finish(plan)
    assert value_of(plan, mapped) == [(1, 3), (2, 4)]
    again = plan_of(mapped)
    finish(again)
    assert "used up by an earlier run" in str(error_of(again, mapped))


def test_an_iterator_beside_references_is_known_to_be_used_up() -> None:
    mapped = Workflow().map(pair, iter([1]), [one(1).output])
    finish(plan_of(mapped))
    plan = plan_of(mapped)
    finish(plan)
    assert "used up by an earlier run" in str(error_of(plan, mapped))


@pytest.mark.parametrize("window", [1, 10])
def test_items_that_lack_a_part_of_an_input_fail_and_the_run_goes_on(window: int) -> None:
    flow = Workflow()
    given = flow.add(one({"a": 1}))
    mapped = flow.map(lambda n: pair(n, given.output["b"]), [1, 2]).after(given)
    plan = plan_of(given, mapped)
    finish(plan, window=window)
    assert [type(plan.records.errors[ticket]) for ticket in plan.failed] == [KeyError, KeyError]
    assert state_of(plan, mapped) == "skipped"


def test_what_a_map_makes_of_an_item_belongs_to_that_run() -> None:
    flow = Workflow()

    def make(number: int) -> Task[Any]:
        flow.add(one(number))
        flow.map(one, range(number))
        return flow.gather(one(number).output)

    made = flow.map(make, [1, 2])
    for _ in range(2):
        assert flow.run()[made] == [(1,), (2,)]
        assert len(flow) == 1
    other = Workflow()
    inner = flow.map(lambda n: one(other.add(one(n)).output), [1])
    assert flow.run()[inner] == [1]
    assert len(other) == 1


# What a map makes beside its items ----------------------------------------------------------------------------------


def test_what_is_made_beside_an_item_may_need_an_earlier_item() -> None:
    held: list[Task[Any]] = []

    def make(number: int) -> Task[Any]:
        held.append(pair(number, one(held[-1].output).output if held else None))
        return held[-1]

    mapped = Workflow().map(make, range(3))
    plan = plan_of(mapped)
    finish(plan, window=1)
    assert value_of(plan, mapped) == [(0, None), (1, (0, None)), (2, (1, (0, None)))]


def test_what_is_made_beside_an_item_may_need_what_is_outside() -> None:
    outer = one("outside")
    mapped = Workflow().map(lambda n: pair(n, one(outer.output).output), range(3))
    plan = plan_of(mapped)
    finish(plan, window=1)
    assert value_of(plan, mapped) == [(n, "outside") for n in range(3)]


def test_what_was_made_beside_an_item_stays_as_long_as_it_has_a_name() -> None:
    made: list[Task[Any]] = []

    def make(number: int) -> Task[Any]:
        made.extend([one("once")] * (not made))
        return pair(number, made[0].output)

    mapped = Workflow().map(make, range(3))
    plan = plan_of(mapped)
    finish(plan, window=1)
    assert value_of(plan, mapped) == [(n, "once") for n in range(3)]
    assert plan.graph.counts() == {"succeeded": 4}
    assert list(plan.graph.values) == [plan.graph.tickets[mapped]]


class Large:
    alive = 0
    peak = 0

    def __init__(self) -> None:
        Large.alive += 1
        Large.peak = max(Large.peak, Large.alive)

    def __del__(self) -> None:
        Large.alive -= 1


@task
def load(number: int) -> Large:
    return Large()


@task
def shrink(large: Any, number: int) -> int:
    return number


def test_results_that_only_one_item_needs_are_dropped_when_it_has_ended() -> None:
    Large.peak = 0
    mapped = Workflow().map(lambda n: shrink(one(load(n).output).output, n), range(100))
    plan = plan_of(mapped)
    finish(plan, window=3)
    assert value_of(plan, mapped) == list(range(100))
    assert Large.peak < 10
    assert not Large.alive
    assert list(plan.graph.tickets) == [mapped]


def test_a_stream_lets_go_of_the_items_that_nobody_wants() -> None:
    flow = Workflow()
    doubled = flow.map(one, flow.map(one, range(10)).outputs)
    plan = plan_of(doubled, wanted=[doubled])
    assert [outcome.value for outcome in finish(plan, window=2)] == list(range(10))
    assert len(plan.graph.tickets) == 2
