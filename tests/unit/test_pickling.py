"""Tasks and workflows in pickles: whole, by name, and flat."""

from __future__ import annotations

import copy
import pickle
from typing import NamedTuple

import cloudpickle

from cotality.parallel import Task
from cotality.workflow import Workflow, task


class Pair(NamedTuple):
    left: object
    right: object


@task
def add(left: int, right: int = 1) -> int:
    return left + right


@task(validate="off")
def first(pair: Pair) -> object:
    return pair.left


def again(thing: Task[int]) -> Task[int]:
    twin: Task[int] = pickle.loads(pickle.dumps(thing))
    return twin


def test_a_decorated_task_comes_back_with_all_that_it_needs() -> None:
    base = add(1)
    copy = again(add(base.output, right=base.output).after(add(5)))
    assert copy.callback_function is add.call.__self__._raw  # type: ignore[attr-defined]
    left, right = copy.wires()
    assert left.task is right.task
    flow = Workflow()
    flow.add(copy)
    assert len(flow) == 3
    assert flow.run()[copy] == 4


def test_wires_inside_of_containers_and_parts_of_results_come_back() -> None:
    pair = Task(divmod, {}, positional=(7, 2))
    copy = again(first(Pair(pair.output[1], {"x": [pair.output]})))
    flow = Workflow()
    flow.add(copy)
    assert flow.run()[copy] == 1


def test_a_plain_task_with_a_reference_comes_back() -> None:
    copy = again(Task(pow, {}, positional=(add(1).output, 10)))
    flow = Workflow()
    flow.add(copy)
    assert flow.run()[copy] == 1024


def test_a_workflow_comes_back_with_its_maps_options_and_what_it_keeps() -> None:
    flow = Workflow("nightly", failure="finish")
    base = flow.add(add(1))
    flow.map(add, [base.output, 5])
    copy = pickle.loads(pickle.dumps(flow))
    assert (copy.name, len(copy)) == ("nightly", len(flow))
    kept, mapped = copy
    run = copy.run()
    assert (run[kept], run[mapped]) == (2, [3, 6])


def test_a_chain_of_a_hundred_thousand_is_no_deeper_than_one() -> None:
    last = add(0)
    for _ in range(100_000):
        last = add(last.output)
    flow = Workflow("chain")
    flow.add(again(last))
    assert len(flow) == 100_001


def test_a_task_that_the_function_of_a_map_holds_is_the_one_of_the_workflow() -> None:
    flow = Workflow()
    outer = flow.add(add(1, 2))
    mapped = flow.map(lambda n: add(n, outer.output), [1, 2]).after(outer)
    twin, task_of_it, map_of_it = pickle.loads(cloudpickle.dumps((flow, outer, mapped)))
    run = twin.run(backend="serial")
    assert run.counts == {"succeeded": 3}
    assert (run[task_of_it], run[map_of_it]) == (3, [4, 5])


def test_a_factory_with_other_options_comes_back_with_the_checks_of_the_one_it_is_of() -> None:
    varied = add.options(name="plus")
    twin = pickle.loads(pickle.dumps(varied))
    assert twin is not varied
    assert twin(1).name == "plus"
    assert twin(add(1).output).checked is add(add(1).output).checked


def test_copies_of_a_task_are_tasks_of_their_own() -> None:
    first = add(1, 2)
    copies = {first, copy.copy(first), copy.copy(first), copy.deepcopy(first), pickle.loads(pickle.dumps(first))}
    assert len(copies) == 5
