"""What may be done with a reference, and what becomes of one among the arguments of a task."""

from __future__ import annotations

import copy
import dataclasses
import gc
import math
import operator
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from cotality.parallel import Reference, Task
from cotality.parallel._data.reference import Wire, alive, fill, weave, wires_in
from cotality.parallel.errors import ReferenceMisuse
from cotality.workflow import Workflow, task


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: Any
    y: Any = 0
    late: Any = dataclasses.field(default=None, init=False)


@dataclasses.dataclass(slots=True)
class Slotted:
    x: Any


@task
def give(value: Any = None) -> Any:
    return value


@task
def pair() -> tuple[int, str]:
    return 1, "a"


@task
def point() -> Point:
    return Point(1, 2)


@task
def any_number() -> tuple[int, ...]:
    return (1, 2)


def run(node: Task[Any]) -> Any:
    flow = Workflow(backend="serial")
    flow.add(node)
    return flow.run()[node]


async def awaited(value: Any) -> Any:
    return await value


MISUSES: dict[str, Callable[[Any], Any]] = {
    "bool": bool,
    "not": operator.not_,
    "len": len,
    "in": lambda r: 1 in r,
    "iter": iter,
    "next": next,
    "reversed": reversed,
    "call": lambda r: r(),
    "add": lambda r: r + 1,
    "radd": lambda r: 1 + r,
    "iadd": lambda r: operator.iadd(r, 1),
    "neg": operator.neg,
    "abs": abs,
    "round": round,
    "floor": math.floor,
    "int": int,
    "float": float,
    "index": lambda r: [1][r],
    "matmul": lambda r: r @ r,
    "or": lambda r: r | 1,
    "eq": lambda r: r == 1,
    "eq itself": lambda r: r == r,
    "ne": lambda r: r != 1,
    "lt": lambda r: r < 1,
    "max": lambda r: max(r, 1),
    "f-string": lambda r: f"{r}",
    "format": lambda r: f"{r:>5}",
    "await": lambda r: awaited(r).send(None),
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "set attribute": lambda r: setattr(r, "x", 1),
    "delete attribute": lambda r: delattr(r, "x"),
    "set item": lambda r: operator.setitem(r, 0, 1),
    "delete item": lambda r: operator.delitem(r, 0),
    "with": lambda r: r.__enter__(),
    "unpack": lambda r: [*r],
    "index by another": lambda r: r[r],
}


@pytest.mark.parametrize("how", MISUSES)
def test_what_would_need_the_value_is_refused(how: str) -> None:
    reference = give(1).output
    with pytest.raises(ReferenceMisuse) as caught:
        MISUSES[how](reference)
    assert isinstance(caught.value, TypeError)
    assert "reference to the output of give" in str(caught.value)
    assert any(cure in str(caught.value) for cure in ("Pass it to another task", "flow.map", "inside a task"))


def test_private_names_are_not_there() -> None:
    reference = give(1).output
    with pytest.raises(AttributeError, match="_x"):
        _ = reference._x
    assert not hasattr(reference, "__array__")
    assert not hasattr(reference, "_repr_html_")


def test_it_can_be_hashed_by_identity_and_shown() -> None:
    node = give(1)
    first, second = node.output, node.output
    assert len({first, second}) == 2
    assert repr(first["key"].name[0]) == "<reference to the output of give, at ['key'].name[0]>"
    assert repr(node.outcome) == "<reference to the outcome of give>"


def test_a_secret_key_is_not_shown_at_length() -> None:
    assert len(repr(give(1).output["x" * 1000])) < 120


def test_tuples_of_fixed_length_can_be_unpacked() -> None:
    first, second = pair().output
    x, y = point().output  # type: ignore[misc]
    assert run(give([first, second, x, y])) == [1, "a", 1, 2]
    with pytest.raises(ReferenceMisuse):
        _ = [*any_number().output]
    with pytest.raises(ReferenceMisuse):
        _ = [*pair().output[1]]
    with pytest.raises(ReferenceMisuse):
        _ = [*pair().outcome]  # type: ignore[misc]


def test_parts() -> None:
    source = give({"a": [Point(1, {"b": 2})]})
    assert run(give(source.output["a"][0].y["b"])) == 2
    assert run(give(source.outcome.value["a"])) == [Point(1, {"b": 2})]  # type: ignore[index]


@pytest.mark.parametrize(
    "build",
    [
        lambda r: r,
        lambda r: [r, 1],
        lambda r: (r, [r]),
        lambda r: {r},
        lambda r: frozenset({r, 2}),
        lambda r: {"a": {"b": r}},
        lambda r: Point(r, [r]),
        lambda r: Frozen(r, [r]),
        lambda r: Slotted((r,)),
        lambda r: [[[[r]]], (Frozen(Point(1, {"x": r})),)],
    ],
)
def test_references_are_found_in_containers(build: Callable[[Any], Any]) -> None:
    given = build(give(7).output)
    assert run(give(given)) == build(7)


def test_the_users_own_object_is_not_touched() -> None:
    reference = give(1).output
    given = [1, [reference], {"a": 2}]
    run(give(given))
    assert given[1][0] is reference  # type: ignore[index]


def test_containers_of_the_users_own_kind_are_left_alone() -> None:
    class Own(list[Any]):
        pass

    for given in (Own([give(1).output]), OrderedDict(a=give(1).output)):
        template, wires = weave(given)
        assert template is given
        assert wires == []


def test_what_holds_no_reference_is_not_copied() -> None:
    _reference = give(1).output
    given = [1, [2], {"a": (3,)}]
    assert weave(given)[0] is given


def test_a_list_that_holds_itself() -> None:
    given: list[Any] = [give(1).output]
    given.append(given)
    given.append((given,))
    result = run(give(given))
    assert result[0] == 1
    assert result[1] is result
    assert result[2][0] is result


def test_a_list_that_is_there_twice_stays_one_list() -> None:
    inner = [give(1).output]
    result = run(give([inner, inner]))
    assert result[0] is result[1]


def test_depth_is_no_matter() -> None:
    given: Any = give(1).output
    for _ in range(50_000):
        given = [given]
    template, wires = weave(given)
    assert len(wires) == len(wires_in(template)) == 1
    filled = fill(template, lambda wire: 5)
    for _ in range(50_000):
        filled = filled[0]
    assert filled == 5


def test_wires_come_in_the_order_in_which_they_stand() -> None:
    first, second, third = give(1), give(2), give(3)
    template, wires = weave([first.output, {"a": (second.output,)}, third.output])
    assert [wire.task for wire in wires] == [first, second, third]
    assert [wire.task for wire in wires_in(template)] == [first, second, third]


def test_a_reference_is_no_key() -> None:
    with pytest.raises(ReferenceMisuse, match="key"):
        give({give(1).output: 2})


@pytest.mark.parametrize("build", [lambda n: n, lambda n: [n], lambda n: {"a": (n,)}, lambda n: Frozen([n])])
def test_a_task_where_its_output_belongs(build: Callable[[Any], Any]) -> None:
    _reference = give(1).output
    with pytest.raises(ReferenceMisuse, match=r"pass its \.output"):
        give(build(give(1)))
    with pytest.raises(ReferenceMisuse, match=r"pass its \.output"):
        give(build(Workflow().map(give, [1])))


def test_a_plain_task_is_searched_when_it_is_added() -> None:
    source = give(4)
    assert run(Task(max, {"key": None}, positional=(source.output, 3))) == 4
    with pytest.raises(ReferenceMisuse):
        Workflow().add(Task(max, {}, positional=([give(1)], source.output)))


def test_none_is_alive_when_nobody_holds_one() -> None:
    gc.collect()
    before = len(alive)
    node = give([give(1).output, give(2).output["x"]])
    gc.collect()
    assert len(alive) == before
    assert type(node.arguments["value"][0]) is Wire
    held = node.output
    assert len(alive) == before + 1
    assert isinstance(held, Reference)


def test_what_stands_for_many_is_not_asked_as_one() -> None:
    mapped: Any = Workflow().map(give, [1])
    single: Any = give(1)
    for name in ("output", "outcome"):
        with pytest.raises(AttributeError, match=r"a map has \.outputs and \.outcomes"):
            getattr(mapped, name)
        with pytest.raises(AttributeError, match=r"a task has \.output and \.outcome"):
            getattr(single, f"{name}s")
        assert not hasattr(mapped, name)
