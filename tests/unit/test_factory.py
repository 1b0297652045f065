"""``@task``: binding, checking, and what a decorated function looks like."""

from __future__ import annotations

import functools
import inspect
import pickle
import pydoc
import random
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, Literal, Optional, Protocol, TypeVar, Union

import pytest

from cotality.parallel import Task
from cotality.parallel.errors import ArgumentError, ReferenceMisuse
from cotality.workflow import Limit, RetryPolicy, TaskFactory, Workflow, task

T = TypeVar("T")
SECRET = "a secret value"


def bound(node: Task[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return node.positional, dict(node.arguments)


def run(node: Task[Any]) -> Any:
    flow = Workflow(backend="serial")
    flow.add(node)
    return flow.run()[node]


# Binding -------------------------------------------------------------------------------------------------------------


@task
def plain(a: int, b: str = "b", *, c: float = 1.0) -> tuple[Any, ...]:
    """What it does."""
    return a, b, c


@task
def only(a: Any, b: Any = 2, /, c: Any = 3, *args: Any, d: Any = 4, **kwargs: Any) -> Any:
    return a, b, c, args, d, kwargs


@task
def words(self: Any, args: Any, given: Any, first: Any = 1, missing: Any = 2, kwargs: Any = 3, bind: Any = 4) -> Any:
    return self, args, given, first, missing, kwargs, bind


@task
def rest(*numbers: int, **named: str) -> Any:
    return numbers, named


def test_defaults_that_were_not_given_do_not_travel() -> None:
    assert bound(plain(1)) == ((), {"a": 1})
    assert bound(plain(1, c=2.0)) == ((), {"a": 1, "c": 2.0})
    assert bound(plain(1, "b")) == ((), {"a": 1, "b": "b"})
    assert run(plain(1, c=2.0)) == (1, "b", 2.0)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((1,), {}),
        ((1, 5), {}),
        ((1, 5, 6), {}),
        ((1, 5, 6, 7, 8), {"d": 9, "e": 10}),
        ((1,), {"c": 6}),
        ((1,), {"a": 5, "b": 6}),
        ((1,), {"args": 5, "kwargs": 6, "self": 7}),
    ],
)
def test_arguments_of_every_kind(args: Any, kwargs: Any) -> None:
    assert run(only(*args, **kwargs)) == only.call(*args, **kwargs)


def test_parameters_may_have_any_name() -> None:
    assert run(words(self=1, args=2, given=3)) == (1, 2, 3, 1, 2, 3, 4)
    assert run(words(1, 2, 3, bind=9, missing=8)) == (1, 2, 3, 1, 8, 3, 9)


def test_a_sentinel_default_keeps_its_identity() -> None:
    sentinel = object()

    @task
    def function(value: Any = sentinel) -> bool:
        return value is sentinel

    assert run(function())
    assert not run(function(None))


def test_annotations_of_args_and_kwargs_are_those_of_each() -> None:
    assert run(rest(1, 2, a="x")) == ((1, 2), {"a": "x"})
    with pytest.raises(ArgumentError, match=r"'numbers\[1\]' must be int, not str"):
        rest(1, "x")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="'a' must be str, not int"):
        rest(a=1)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"'numbers\[0\]' must be int"):
        rest(named_text().output)  # type: ignore[arg-type]


@task
def named_text() -> str:
    return "x"


def test_a_name_of_a_positional_only_parameter_among_the_keywords() -> None:
    @task
    def function(a: int, /, **kwargs: str) -> Any:
        return a, kwargs

    assert run(function(1, a="x")) == (1, {"a": "x"})
    with pytest.raises(ArgumentError, match="must be str, not int"):
        function(1, a=2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda: plain(), "missing 1 required positional argument: 'a'"),
        (lambda: plain(1, "b", 3.0), "takes from 1 to 2 positional arguments but 3 were given"),
        (lambda: plain(1, d=5), "unexpected keyword argument 'd'"),
        (lambda: plain(1, a=5), "multiple values for argument 'a'"),
        (lambda: plain.options(validate="off")(), "missing 1 required positional argument: 'a'"),
        (lambda: plain.options(validate="full")(1, d=SECRET), "unexpected keyword argument 'd'"),
    ],
)
def test_a_call_that_can_not_be(call: Any, problem: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value).startswith("in task plain: ")
    assert problem in str(caught.value)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("validate", ["fast", "full"])
def test_a_wrong_type_names_everything_but_the_value(validate: Any) -> None:
    with pytest.raises(ArgumentError) as caught:
        plain.options(validate=validate)(SECRET)  # type: ignore[arg-type]
    error = caught.value
    assert str(error) == "in task plain: argument 'a' must be int, not str"
    assert error.__cause__ is None
    assert error.__context__ is None
    assert not getattr(error, "__notes__", ())
    assert SECRET not in "".join(traceback.format_exception(error))


def test_references_hide_no_wrong_value_and_no_value_is_shown() -> None:
    @task
    def function(a: list[int], b: int) -> None: ...

    source = task(lambda: 1)()
    with pytest.raises(ArgumentError, match=r"'a' must be list\[int\], not a list whose item 1 is str") as caught:
        function([source.output, SECRET], source.output)  # type: ignore[list-item]
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(ArgumentError, match="'b' must be int, not str"):
        function([source.output], SECRET)  # type: ignore[arg-type]


def test_a_task_where_its_output_belongs() -> None:
    for call in (lambda: plain(plain(1)), lambda: rest(plain(1)), lambda: only(1, 2, 3, plain(1))):
        with pytest.raises(ReferenceMisuse, match=r"pass its \.output"):
            call()  # type: ignore[no-untyped-call]
    with pytest.raises(ReferenceMisuse, match=r"pass its \.outputs"):
        only(Workflow().map(plain, [1]))


# Annotations ---------------------------------------------------------------------------------------------------------


def test_an_annotation_that_can_not_be_resolved_concerns_its_parameter_alone() -> None:
    @task
    def function(a: "Nowhere", b: int) -> "Nowhere":  # type: ignore[name-defined]  # noqa: F821, UP037
        return a, b

    assert run(function(SECRET, 1)) == (SECRET, 1)
    with pytest.raises(ArgumentError, match="'b' must be int"):
        function(SECRET, "x")
    assert run(plain(function(1, 2).output[1])) == (2, "b", 1.0)


def test_an_annotation_may_name_what_comes_later() -> None:
    @task
    def function(a: Later) -> None: ...

    function(Later())
    with pytest.raises(ArgumentError, match="must be Later, not int"):
        function(1)  # type: ignore[arg-type]


class Later:
    pass


class NotAtRunTime(Protocol):
    def method(self) -> int: ...


def unknown(value: Any) -> Any:
    """Its annotation says nothing."""
    return value


def producer(hint: Any) -> Task[Any]:
    def produce() -> Any: ...

    produce.__annotations__["return"] = hint
    return task(produce)()


def consumer(hint: Any) -> TaskFactory[Any, Any]:
    def consume(x: Any) -> Any: ...

    consume.__annotations__["x"] = hint
    return task(consume)


@pytest.mark.parametrize(
    ("produced", "asked"),
    [
        (str, int),
        (float, int),
        (list[str], list[int]),
        (list[int], tuple[int, ...]),
        (dict[str, int], dict[str, str]),
        (int, list[int]),
        (Later, int),
        (str, int | None),
        (str | bytes, int),
        (type(None), int),
    ],
)
def test_wires_that_can_not_fit_are_refused(produced: Any, asked: Any) -> None:
    with pytest.raises(ArgumentError, match=r"argument 'x' must be .*, not the output of .*produce, which is"):
        consumer(asked)(producer(produced).output)


@pytest.mark.parametrize(
    ("produced", "asked"),
    [
        (int, int),
        (bool, int),
        (int, float),
        (int, complex),
        (list[int], Sequence[float]),
        (list[int], Iterable[int]),
        (tuple[int, ...], Sequence[float]),
        (tuple[int, int], Sequence[float | None]),
        (list[dict[str, int]], list[Mapping[str, float]]),
        (list[int], list[float]),
        (dict[str, int], Mapping[str, float]),
        (int | None, int),
        (Optional[int], int),  # noqa: UP045
        (int | str, int),
        (int, int | None),
        (Union[int, str], Union[str, int]),  # noqa: UP007
        (object, int),
        (Any, int),
        (list, list[int]),
        (list[Any], list[int]),
        (T, int),
        (list[T], list[int]),  # type: ignore[valid-type]
        (int, T),
        ("Nowhere", int),
        (int, "Nowhere"),
        (Literal[1], int),
        (Later, NotAtRunTime),
        (Later, object),
        (None, None),
    ],
)
def test_wires_that_may_fit_are_never_blocked(produced: Any, asked: Any) -> None:
    consumer(asked)(producer(produced).output)


def test_wires_in_containers_and_to_parts() -> None:
    text, number = producer(str), producer(int)
    numbers = consumer(list[int])
    numbers([1, number.output])
    for wrong in ([1, text.output], (1, number.output), {"a": number.output}):
        with pytest.raises(ArgumentError):
            numbers(wrong)
    with pytest.raises(ArgumentError, match="must be int, not list"):
        consumer(int)([number.output])
    with pytest.raises(ArgumentError, match="must be int, not dict"):
        consumer(int)({"a": number.output})
    consumer(dict[str, list[int]])({"a": [number.output]})
    with pytest.raises(ArgumentError):
        consumer(dict[str, list[int]])({"a": [text.output]})
    both = producer(tuple[int, str])
    consumer(str)(both.output[1])
    with pytest.raises(ArgumentError, match="must be str"):
        consumer(str)(both.output[0])
    with pytest.raises(ArgumentError, match="must be str"):
        consumer(str)(producer(dict[str, int]).output["a"])
    consumer(tuple[int, str])((number.output, text.output))
    with pytest.raises(ArgumentError):
        consumer(tuple[int, str])((text.output, number.output))


def test_validation_off_fast_and_full() -> None:
    bad: Any = [1] * 500 + ["x"] + [1] * 500

    @task(validate="full")
    def fully(numbers: list[int]) -> int:
        return len(numbers)

    with pytest.raises(ArgumentError, match=r"must be list\[int\], not a list whose item 500 is str"):
        fully(bad)
    with pytest.raises(ArgumentError):
        run(fully(task(lambda: bad)().output))
    off = fully.options(validate="off")
    assert run(off(bad)) == 1001
    assert run(off(task(lambda: bad)().output)) == 1001
    assert run(off("abc")) == 3  # type: ignore[arg-type]
    with pytest.raises(ArgumentError):
        fully.options(validate="fast")(["x"])  # type: ignore[list-item]
    nested = consumer(dict[str, list[tuple[int, str]]]).options(validate="full")
    nested({"a": [(1, "x")], "b": []})
    with pytest.raises(ArgumentError):
        nested({"a": [(1, "x")] * 50 + [(1, 2)]})


def test_one_random_item_in_the_fast_mode() -> None:
    random.seed(1)

    def many() -> None:
        for _ in range(1000):
            consumer(list[int])([1, "x"])

    with pytest.raises(ArgumentError):
        many()


# How it looks --------------------------------------------------------------------------------------------------------


def test_it_looks_like_the_function() -> None:
    assert plain.__name__ == "plain"
    assert plain.__qualname__ == "plain"
    assert plain.__module__ == __name__
    assert plain.__doc__ == "What it does."
    assert str(inspect.signature(plain)) == "(a: 'int', b: 'str' = 'b', *, c: 'float' = 1.0) -> 'tuple[Any, ...]'"
    assert inspect.unwrap(plain)(1) == (1, "b", 1.0)
    assert "What it does." in pydoc.render_doc(plain)
    assert repr(plain) == "<task plain>"
    assert repr(plain(1)) == "<Task plain(a=…)>"
    assert pickle.loads(pickle.dumps(plain)) is plain


@pytest.mark.parametrize(
    "made", [functools.partial(divmod, 7), type("Callable", (), {"__call__": lambda self, x: x})()]
)
def test_callables_that_are_no_functions(made: Any) -> None:
    factory = task(made)
    assert repr(factory).startswith("<task ")
    assert run(factory(2)) in ((3, 1), 2)


def test_functions_written_in_c() -> None:
    assert run(task(max)(1, 2)) == 2
    assert run(task(divmod)(7, 2)) == (3, 1)
    with pytest.raises(ArgumentError):
        task(divmod)(7)  # type: ignore[call-arg]


class Base(Generic[T]):
    def __init__(self, factor: int) -> None:
        self.factor = factor

    @task
    def method(self, number: int) -> int:
        return self.factor * number

    @staticmethod
    @task
    def static(number: int) -> int:
        return number

    @task(name="renamed")
    @classmethod
    def of_class(cls, number: int) -> str:
        return f"{cls.__name__} {number}"

    @classmethod
    @task
    def below(cls, *numbers: int) -> str:
        return f"{cls.__name__} {numbers}"


class Derived(Base[int]):
    pass


def test_methods() -> None:
    assert run(Base(3).method(2)) == 6
    assert run(Derived(3).method.options(retries=1)(2)) == 6
    assert Base(3).method.call(2) == 6
    assert run(Base.method(Base(4), 2)) == 8
    assert run(Base.static(2)) == run(Base(1).static(2)) == 2
    assert run(Derived.of_class(1)) == "Derived 1"
    assert run(Derived(1).of_class(2)) == "Derived 2"
    assert Derived.of_class.call(3) == "Derived 3"
    assert run(Derived.of_class.options(retries=1)(4)) == "Derived 4"
    assert pickle.loads(pickle.dumps(Derived.of_class.options(retries=1))).call(5) == "Derived 5"
    assert Derived.of_class(1).name == "renamed"
    assert Base(1).method(1).name == "Base.method"
    with pytest.raises(ArgumentError, match=r"in task Base\.method: argument 'number' must be int, not str"):
        Base(1).method("x")  # type: ignore[arg-type]


def test_below_classmethod() -> None:
    assert run(Derived.below(1, 2)) == "Derived (1, 2)"
    if sys.version_info < (3, 13):
        assert Derived.below.call(3) == run(Derived.below.options(retries=1)(3)) == "Derived (3,)"
    else:
        for lost in (lambda: Derived.below.call(3), lambda: Derived.below.options(retries=1)):
            with pytest.raises(TypeError, match="put @task above @classmethod"):
                lost()


def test_call_is_the_plain_function() -> None:
    assert plain.call(1) == (1, "b", 1.0)
    with pytest.raises(TypeError):
        plain.call()  # type: ignore[call-arg]


def test_options_add_up_and_leave_the_first_factory_alone() -> None:
    limit = Limit("x", concurrency=1)
    policy = RetryPolicy(attempts=2)
    changed = plain.options(name="other", retries=policy).options(timeout=5, limits=[limit], tags=("a",))
    node = changed(1)
    assert node.name == "other"
    assert (node.options.retry, node.options.timeout, node.options.limits) == (policy, 5, (limit,))
    assert plain(1).name == "plain"
    assert plain(1).options.timeout is None
    assert changed.options(retries=0)(1).options.retry is None
    assert changed.call(1) == (1, "b", 1.0)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"retires": 3}, TypeError),
        ({"retries": -1}, ValueError),
        ({"retries": 1.5}, TypeError),
        ({"retries": True}, TypeError),
        ({"timeout": 0}, ValueError),
        ({"timeout": "5"}, TypeError),
        ({"backend": "thread"}, ValueError),
        ({"backend": 5}, TypeError),
        ({"limits": Limit("x", concurrency=1)}, TypeError),
        ({"limits": ["x"]}, TypeError),
        ({"tags": "x"}, TypeError),
        ({"name": ""}, TypeError),
        ({"name": 5}, TypeError),
        ({"validate": "some"}, ValueError),
    ],
)
def test_bad_options_fail_at_decoration(options: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(options))):
        task(**options)
    with pytest.raises(error):
        plain.options(**options)


def test_what_can_not_be_a_task() -> None:
    async def generator() -> Any:
        yield 1

    with pytest.raises(TypeError, match="async generator"):
        task(generator)
    with pytest.raises(TypeError, match="inside of @staticmethod"):
        task(staticmethod(lambda: 1))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a task already"):
        task(plain)
    with pytest.raises(TypeError, match="needs a function"):
        task(5)  # type: ignore[call-overload]


def test_a_hostile_argument_is_not_asked() -> None:
    class Hostile:
        def __bool__(self) -> bool:
            raise RuntimeError

        __eq__ = __len__ = __repr__ = __str__ = __bool__  # type: ignore[assignment]
        __hash__ = None  # type: ignore[assignment]

    hostile = Hostile()
    assert run(only(hostile, [hostile]))[0] is hostile
    with pytest.raises(ArgumentError, match=r"must be int, not .*Hostile"):
        plain(hostile)  # type: ignore[arg-type]


def test_names_of_nested_functions_are_readable() -> None:
    @task
    def inner(x: int) -> int:
        return x

    assert inner(1).name == "test_names_of_nested_functions_are_readable.inner"
    assert run(inner(1)) == 1


@pytest.mark.parametrize("hint", [list, dict, Any, list[Any], tuple[Any, ...], Sequence, None])
@pytest.mark.parametrize("alive", [False, True])
def test_a_task_in_a_container_is_not_taken_for_its_output(hint: Any, alive: bool) -> None:
    def count(items):  # type: ignore[no-untyped-def]
        return len(items)

    if hint is not None:
        count.__annotations__["items"] = hint
    counting = task(count)
    other = task(len)("abc")
    given: Any = {"a": other} if hint is dict else (other,) if hint == tuple[Any, ...] else [other, 1]
    reference = other.output if alive else None
    with pytest.raises(ReferenceMisuse, match=r"pass its \.output \(len\)"):
        counting(given)
    del reference


def test_a_task_given_to_gather_is_not_taken_for_its_output() -> None:
    with pytest.raises(ReferenceMisuse, match=r"pass its \.output \(len\)"):
        Workflow().gather(task(len)("abc"))  # type: ignore[arg-type]


def test_a_scalar_of_numpy_is_told_how_to_become_a_number() -> None:
    numpy = pytest.importorskip("numpy")
    with pytest.raises(ArgumentError, match=r"must be int, not NumPy's int64, of which \.item\(\) is a plain value"):
        plain(numpy.int64(3))
