"""The task itself."""

from __future__ import annotations

import functools
import pickle
import weakref
from typing import Any

import pytest

from cotality.parallel import Task
from cotality.parallel._scheduling.source import IterableSource


def fetch(endpoint: str) -> str:
    return endpoint


def test_the_two_documented_fields_come_first() -> None:
    task = Task(fetch, {"endpoint": "users"})
    assert task.callback_function is fetch
    assert task.arguments == {"endpoint": "users"}


def test_identity_makes_a_task() -> None:
    one, other = Task(fetch, {"endpoint": "a"}), Task(fetch, {"endpoint": "a"})
    assert one != other
    assert len({one, other}) == 2


def test_the_repr_names_the_parameters_and_hides_their_values() -> None:
    assert repr(Task(fetch, {"endpoint": "s3cret"})) == "<Task fetch(endpoint=…)>"


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("fetch", {}, "callback_function must be callable, not str"),
        (fetch, [("endpoint", "a")], "arguments of fetch must be a mapping .* not list"),
        (fetch, {1: "s3cret"}, "keyed by strings, found a key of type int"),
    ],
)
def test_what_can_never_run_is_refused_when_it_is_made(function: Any, arguments: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message) as caught:
        Task(function, arguments)
    assert "s3cret" not in str(caught.value)


def test_a_task_can_be_pickled_and_referred_to_weakly() -> None:
    task = Task(fetch, {"endpoint": "a"}, positional=())
    assert pickle.loads(pickle.dumps(task)).arguments == task.arguments
    assert weakref.ref(task)() is task


def test_names_of_what_has_no_name() -> None:
    class Upload:
        def __call__(self) -> None: ...

    assert Task(functools.partial(fetch, "a"), {}).name == "fetch"
    assert Task(Upload(), {}).name.endswith("Upload")


@pytest.mark.parametrize("make", [list, tuple, iter])
def test_an_item_that_is_not_a_task_is_named_by_index_and_type(make: Any) -> None:
    items = make([Task(fetch, {"endpoint": "a"}), "b"])
    with pytest.raises(TypeError, match="item 1 is of type str"):
        raise_error_of(items)


def raise_error_of(items: Any) -> None:
    source = IterableSource(items)
    source.pull(2)
    raise source.error or AssertionError("accepted")


def test_what_is_not_iterable_is_named_by_its_type() -> None:
    with pytest.raises(TypeError, match="iterable of Task objects, not int"):
        IterableSource(42)  # type: ignore[arg-type]
