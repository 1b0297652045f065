"""How functions travel, and what is said of one that a worker could not load."""

from __future__ import annotations

from typing import Any

import pytest

from cotality.parallel import Task
from cotality.parallel._backends.processes.codec import dump_function, load_function
from cotality.parallel._backends.processes.columns import Columns, call_of_row, rows_of
from cotality.parallel._backends.processes.outbound import Outbound
from cotality.parallel._backends.processes.results import NoInput
from cotality.parallel._backends.processes.unpacking import Link
from cotality.parallel.errors import ArgumentError
from cotality.workflow import task
from tests.contract import functions


class Hostile(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


def test_a_reason_that_can_not_be_shown_is_still_only_that_tasks_failure() -> None:
    outbound = Outbound()
    task = Task(abs, {}, positional=(1,))
    sent = outbound.function_of(task, by_value=True)
    error = outbound.refused(task, Hostile(), sent.number)
    assert "its message can not be shown" in str(error)


@pytest.mark.parametrize("validate", ["fast", "full"])
def test_the_checks_of_a_function_that_was_decorated_elsewhere_go_by_names(validate: Any) -> None:
    factory = task(validate=validate)(functions.fail_if_odd)
    checked = factory(2).checked
    assert checked is not None
    message = dump_function(checked, by_value=False)
    assert message is not None
    assert len(message) < 200, "to send its code would cost milliseconds in each run"
    found = load_function(message)
    assert found(2) == 2
    with pytest.raises(ArgumentError, match="argument 'x' must be int"):
        found("2")


def test_a_batch_of_calls_by_position_travels_in_rows() -> None:
    outbound = Outbound()
    batch = [(number, Task(quotient, {}, positional=(number, 3))) for number in range(4)]
    packed = outbound.pack_alike(batch)
    assert packed is not None
    number = next(iter(packed.functions))
    names, columns, links = packed.columns
    assert names is not None
    assert links is None
    call = call_of_row(load_function(packed.functions[number].message), names)
    assert [call(*row) for row in rows_of(names, columns)] == [divmod(number, 3) for number in range(4)]


def test_calls_that_are_not_alike_do_not_travel_in_rows() -> None:
    outbound = Outbound()
    one = (0, Task(quotient, {}, positional=(1, 3)))
    assert outbound.pack_alike([one, (1, Task(quotient, {"y": 3}, positional=(1,)))]) is None
    assert outbound.pack_alike([one, (1, Task(quotient, {"x": 1, "y": 3}))]) is None
    assert outbound.pack_alike([one, (1, Task(functions.double, {}, positional=(1,)))]) is None
    assert outbound.pack_alike([one, (1, Task(quotient, {}, positional=([1], 3)))]) is None, "more than an atom"


@task(validate="off")
def total(start: int, before: int = 0) -> int:
    return start + before


@task(validate="off")
def total_by_position(start: int, before: int, /) -> int:
    return start + before


@pytest.mark.parametrize("factory", [total, total_by_position])
def test_chains_of_calls_that_are_alike_travel_by_column(factory: Any) -> None:
    """Two chains in one batch; what goes from one to the next never travels."""
    batch: list[Any] = []
    for number in (0, 10, 100):
        batch.append((len(batch), factory(number, 1)))
        batch.append((len(batch), factory(number, batch[-1][1].output)))
    packed = Outbound().pack_alike(batch)
    assert packed is not None
    assert packed.columns.links is not None
    [function] = packed.functions.values()
    call, rows = Link().rows(load_function(function.message), packed.columns)
    assert [call(*row) for row in rows] == [1, 1, 11, 21, 101, 201]


def test_one_whose_chain_broke_has_no_input() -> None:
    call, rows = Link().rows(divmod, Columns((), [[1, None, None], [0, 1, 1]], (0, b"\0\1\1", b"\1\1\0")))
    first, second, third = rows
    with pytest.raises(ZeroDivisionError):
        call(*first)
    with pytest.raises(NoInput):
        call(*second)
    with pytest.raises(NoInput):
        call(*third)


def test_chains_that_are_not_alike_do_not_travel_by_column() -> None:
    outbound = Outbound()
    first = total(1, 2)

    def packs(*others: Any) -> bool:
        return outbound.pack_alike([*enumerate([first, *others])]) is not None

    assert packs(total(1, first.output))
    assert not packs(total(first.output, 1), total(1, first.output)), "at different places"
    assert not packs(total(first.output, first.output)), "at two places"
    assert not packs(total_by_position(1, first.output)), "another function"
    assert not packs(total([1], first.output)), "more than an atom"
    assert not packs(total(1), total(1, first.output)), "not the same names"


def quotient(x: int, y: int, /) -> tuple[int, int]:
    return divmod(x, y)
