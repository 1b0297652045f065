"""Maps that go through other maps, item by item, without a clock or a worker."""

from __future__ import annotations

import random
from typing import Any

import pytest

from cotality.parallel import Mapped, Task
from cotality.parallel._scheduling.graph_plan import GraphPlan
from cotality.parallel._scheduling.graph_survey import GraphSurvey
from cotality.workflow import Workflow, task
from tests.unit.graph_engine import called, error_of, failed, finish, plan_of, state_of, take, value_of


@task
def one(value: int) -> int:
    return value


@task
def pair(left: int, right: int) -> tuple[int, int]:
    return left, right


@task
def three(first: int, second: int, third: int) -> tuple[int, int, int]:
    return first, second, third


@pytest.mark.parametrize("window", [1, 3, 1000])
@pytest.mark.parametrize("list_first", [True, False])
def test_a_list_and_a_map_go_together(list_first: bool, window: int) -> None:
    flow = Workflow()
    numbers = flow.map(one, range(10))
    listed = [10 * number for number in range(10)]
    both = flow.map(pair, listed, numbers.outputs) if list_first else flow.map(pair, numbers.outputs, listed)
    plan = plan_of(both)
    finish(plan, window=window)
    found = value_of(plan, both)
    assert found == [(10 * n, n) if list_first else (n, 10 * n) for n in range(10)]


@pytest.mark.parametrize("window", [1, 3, 1000])
def test_a_map_goes_together_with_itself(window: int) -> None:
    flow = Workflow()
    numbers = flow.map(one, range(10))
    both = flow.map(pair, numbers.outputs, numbers.outputs)
    plan = plan_of(both)
    finish(plan, window=window)
    assert value_of(plan, both) == [(n, n) for n in range(10)]
    assert not any(uses < 0 for uses in plan.graph.uses)


def test_an_item_that_takes_long_holds_up_none_of_the_others() -> None:
    flow = Workflow()
    numbers = flow.map(one, range(4))
    doubled = flow.map(one, numbers.outputs)
    tripled = flow.map(one, doubled.outputs)
    plan = plan_of(tripled)
    slow, *others = take(plan)
    for _ in range(2):
        plan.settle([called(planned) for planned in others], now=101)
        others = list(take(plan))
        assert len(others) == 3
    plan.settle([called(planned) for planned in [slow, *others]], now=101)
    finish(plan)
    assert value_of(plan, tripled) == [0, 1, 2, 3]


def test_one_that_takes_long_leaves_the_window_to_the_others() -> None:
    flow = Workflow()
    numbers = flow.map(one, iter(range(100)))
    doubled = flow.map(one, numbers.outputs)
    plan = plan_of(doubled)
    slow, *others = take(plan, window=3)
    seen = 0
    while others:
        seen += len(others)
        plan.settle([called(planned) for planned in others], now=101)
        others = list(take(plan, window=3))
    assert seen == 2 * 99
    plan.settle([called(slow)], now=101)
    finish(plan)
    assert value_of(plan, doubled) == list(range(100))


@pytest.mark.parametrize(("listed", "mapped"), [(3, 4), (4, 3), (0, 1), (1, 0)])
@pytest.mark.parametrize("list_first", [True, False])
def test_unequal_lengths_of_a_list_and_a_map(listed: int, mapped: int, list_first: bool) -> None:
    flow = Workflow()
    numbers = flow.map(one, range(mapped))
    given = [range(listed), numbers.outputs]
    both: Mapped[Any] = Mapped(pair, tuple(given if list_first else reversed(given)))
    plan = plan_of(both)
    finish(plan)
    assert state_of(plan, both) == "failed"
    assert "unequal length" in str(error_of(plan, both))


@pytest.mark.parametrize(("left", "right"), [(3, 4), (4, 3), (0, 1)])
def test_unequal_lengths_of_two_maps(left: int, right: int) -> None:
    flow = Workflow()
    both = flow.map(pair, flow.map(one, range(left)).outputs, flow.map(one, range(right)).outputs)
    plan = plan_of(both)
    finish(plan)
    assert state_of(plan, both) == "failed"
    assert "unequal length" in str(error_of(plan, both))


@pytest.mark.parametrize("seed", range(200))
def test_whatever_ends_first_items_come_from_those_at_their_place(seed: int) -> None:
    chance = random.Random(seed)
    count = chance.randrange(12)
    flow = Workflow()
    maps: list[Mapped[Any]] = [flow.map(one, range(count))]
    expected: list[list[Any]] = [list(range(count))]
    for _ in range(chance.randrange(1, 5)):
        width = chance.randrange(1, 4)
        chosen = [chance.randrange(-1, len(maps)) for _ in range(width)]
        sources = [list(range(count)) if number < 0 else maps[number].outputs for number in chosen]
        columns = [list(range(count)) if number < 0 else expected[number] for number in chosen]
        maps.append(Mapped(lambda *items: Task(lambda *given: given, {}, positional=items), tuple(sources)))
        expected.append(list(zip(*columns, strict=True)))
    bad = chance.randrange(count) if count and chance.random() < 0.3 else None
    plan = plan_of(*maps)
    _run_in_any_order(plan, chance, bad)
    for mapped, items in zip(maps, expected, strict=True):
        places = plan.maps.by_ticket[plan.graph.tickets[mapped]].items
        states = [plan.records.state_of(ticket) for ticket in places]
        lost = bad is not None and (mapped is maps[0] or _comes_from_maps(mapped, maps[0]))
        assert states == [
            ("failed" if mapped is maps[0] else "skipped") if lost and place == bad else "succeeded"
            for place in range(count)
        ]
        if bad is None:
            assert value_of(plan, mapped) == items
    assert not any(uses < 0 for uses in plan.graph.uses)


def _run_in_any_order(plan: GraphPlan, chance: random.Random, bad: int | None) -> None:
    flying: list[Any] = []
    window = chance.choice([1, 2, 5, 100])
    while not plan.done:
        plan.advance(window, now=100)
        flying += take(plan, window=window) if plan.lanes else []
        chance.shuffle(flying)
        some = chance.randrange(1, len(flying) + 1) if flying else 0
        ending, flying = flying[:some], flying[some:]
        endings = [
            failed(planned, ValueError()) if planned[1].arguments == {"value": bad} else called(planned)
            for planned in ending
        ]
        plan.consumed(len(plan.settle(endings, now=101)))


def _comes_from_maps(mapped: Mapped[Any], first: Mapped[Any]) -> bool:
    above = [source.task for source in mapped.sources if hasattr(source, "task")]
    return any(other is first or _comes_from_maps(other, first) for other in above)


@pytest.mark.parametrize(
    ("items", "total"), [(range(40), 40), ({n: n for n in range(40)}.values(), 40), (iter(range(40)), None)]
)
def test_a_map_over_something_with_a_length_foretells_its_tasks(items: Any, total: int | None) -> None:
    flow = Workflow()
    mapped = flow.map(lambda value: one.options(name="named")(value), items)
    plan = plan_of(mapped, one(1))
    survey = GraphSurvey(plan, str)
    assert (survey.total, survey.to_come()) == (None, None)
    plan.advance(3, 0.0)
    assert survey.total == (None if total is None else total + 1)
    assert survey.to_come() == (None if total is None else {"named": 37})
    finish(plan, window=3)
    assert (survey.total, survey.to_come()) == (41, {})


def test_the_length_of_what_a_map_goes_through_is_passed_on() -> None:
    flow = Workflow()
    listed = one.options(name="listed")
    doubled = flow.map(one, flow.map(listed, range(40)).outputs)
    plan = plan_of(doubled)
    survey = GraphSurvey(plan, str)
    plan.settle([called(planned, started=0.0) for planned in take(plan, window=3)], 0.0)
    plan.advance(3, 0.0)
    to_come = survey.to_come()
    assert to_come is not None
    assert survey.total == 80
    assert to_come.keys() == {"listed", one.__qualname__}


def test_a_map_that_makes_more_than_a_task_of_an_item_foretells_nothing() -> None:
    flow = Workflow()
    plan = plan_of(flow.map(lambda value: one(one(value).output), range(40)))
    survey = GraphSurvey(plan, str)
    plan.advance(3, 0.0)
    assert survey.total is None
    finish(plan, window=3)
    assert survey.total == 80


def test_tasks_to_come_of_several_names_are_counted_without_one() -> None:
    flow = Workflow()
    plan = plan_of(flow.map(lambda value: one.options(name=f"one {value}")(value), range(40)))
    survey = GraphSurvey(plan, str)
    plan.advance(3, 0.0)
    assert (survey.total, survey.to_come()) == (40, {"": 37})
