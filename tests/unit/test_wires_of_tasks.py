"""How tasks keep what they take from others: whole results, parts, outcomes, and what is nested, in any mixture."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from cotality.parallel import Mapped, Outcome, Task
from cotality.parallel._backends.collector import collector_paused
from cotality.workflow import Limit, Workflow, task


@task
def number(value: int) -> int:
    return value


@task
def pair(value: int) -> tuple[int, int]:
    return value, -value


@task
def listed(*values: Any, **named: Any) -> list[Any]:
    return [*values, *named.values()]


@task
def total(first: int, second: int = 0, *others: int) -> int:
    return first + second + sum(others)


def run(*nodes: Task[Any], backend: str = "serial") -> list[Any]:
    flow = Workflow(backend=backend)
    flow.add(*nodes)
    run = flow.run()
    return [run[node] for node in nodes]


MIXTURES: dict[str, Callable[[], Task[Any]]] = {
    "whole, by position": lambda: listed(number(1).output, "x", number(2).output),
    "whole, by name": lambda: listed(a=number(1).output, b="x", c=number(2).output),
    "whole, both ways": lambda: listed(number(1).output, "x", c=number(2).output),
    "whole and a part": lambda: listed(number(1).output, pair(2).output[0], c="x"),
    "whole and nested": lambda: listed(number(1).output, [number(2).output], c="x"),
    "whole and a map": lambda: listed(number(1).output, Mapped(number, ([2, 3],)).outputs, c="x"),
    "made by hand": lambda: Task(max, {}, positional=(number(1).output, number(2).output)),
}
EXPECTED = {
    "whole, by position": [1, "x", 2],
    "whole, by name": [1, "x", 2],
    "whole, both ways": [1, "x", 2],
    "whole and a part": [1, 2, "x"],
    "whole and nested": [1, [2], "x"],
    "whole and a map": [1, [2, 3], "x"],
    "made by hand": 2,
}


@pytest.mark.parametrize("mixture", MIXTURES)
@pytest.mark.parametrize("backend", ["serial", "threads"])
def test_each_argument_gets_what_it_was_wired_to(mixture: str, backend: str) -> None:
    assert run(MIXTURES[mixture](), backend=backend) == [EXPECTED[mixture]]


@pytest.mark.parametrize("mixture", MIXTURES)
def test_the_same_out_of_a_pickle(mixture: str) -> None:
    again = pickle.loads(pickle.dumps(MIXTURES[mixture]()))
    assert run(again) == [EXPECTED[mixture]]
    assert run(pickle.loads(pickle.dumps(again))) == [EXPECTED[mixture]]


def test_an_outcome_beside_a_whole_result() -> None:
    source = number(1)
    ((value, outcome),) = run(listed(source.output, source.outcome))
    assert value == 1
    assert isinstance(outcome, Outcome)
    assert outcome.value == 1


def test_one_result_may_be_taken_several_times() -> None:
    source = number(3)
    assert run(total(source.output, source.output, source.output, 1)) == [10]
    assert run(total(source.output, second=source.output)) == [6]


def test_wired_tasks_are_few_objects_for_the_garbage_collector() -> None:
    nodes = [number(0), number(1), number(2)]
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(1000):
        nodes.append(total(nodes[-1].output, nodes[-2].output, nodes[-3].output))
    gc.collect()
    # The task, the tuple of its arguments, and an empty dict, which from Python 3.14 on counts as well.
    assert (len(gc.get_objects()) - before) / 1000 < 3.1


# The collector while a plan is made ----------------------------------------------------------------------------------


def test_the_collector_is_paused_and_as_it_was_afterwards() -> None:
    with collector_paused():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyboardInterrupt), collector_paused():
        raise KeyboardInterrupt
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_it_is_on_while_tasks_run_and_after_an_error_in_the_plan() -> None:
    @task
    def is_on() -> bool:
        return gc.isenabled()

    assert run(is_on(), backend="threads") == [True]
    limits = Limit("api", concurrency=1), Limit("api", concurrency=2)
    flow = Workflow()
    flow.add(*[number.options(limits=[limit])(1) for limit in limits])
    with pytest.raises(ValueError, match="api"):
        flow.run()
    assert gc.isenabled()
