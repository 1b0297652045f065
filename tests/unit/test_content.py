"""What makes a value, a function or a task the same."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import os
import re
import subprocess
import sys
import threading
import uuid
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotality.parallel import Task
from cotality.parallel._journal.content import Content
from cotality.parallel._journal.keys import Keys
from cotality.parallel.errors import NoStableContent


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Point:
    x: int
    y: Any = None


class Plain:
    def __init__(self, inner: Any) -> None:
        self.inner = inner


Pair = namedtuple("Pair", "left right")


def maker(step: int, default: Any = frozenset({"a", "bc", "d"})) -> Callable[[int], int]:
    def inner(number: int, names: Any = default) -> int:
        return number + step + len({"x", "y", "z"} & set(names))

    return inner


def circle() -> list[Any]:
    made: list[Any] = [1]
    made.append(made)
    return made


def values() -> list[Any]:
    """Each of them other than all others, and the same whenever this is called."""
    import numpy
    import pandas
    import pyarrow

    frame = {"a": [1, 2, None], "b": ["x", None, "z"], "c": [1.5, 2.5, 3.5]}
    return [
        *(0, 1, -1, 10**30, True, False, None, 0.0, 1.0, -0.0, float("inf"), 1j, "", "1", "é", b"1", bytearray(b"1")),
        *([], (), {}, set(), frozenset(), [1], (1,), {1}, [[1]], [1, 1], {"a": 1}, {"a": {"b", "c", "d"}}, {1: "a"}),
        *(["1"], ["1", "2"], ["12"], [("1",), "2"], [("1", "2")], "x" * 5000, list(range(5000)), circle()),
        *(Colour.RED, Colour.BLUE, Colour, Point(1), Point(1, [2]), Point, Pair(1, 2), Plain({"a"}), Plain([1])),
        *(PurePosixPath("a/b"), PurePosixPath("a/c"), Path("a"), decimal.Decimal("1.5"), uuid.UUID(int=3)),
        *(datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1), datetime.timedelta(1), datetime.UTC),
        *(re.compile("a"), re.compile("a", re.I), range(3), slice(1, 2), OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)),
        *(maker(1), maker(2), maker(1, "abc"), partial(maker, 1), partial(maker, 2), len, "abc".upper, os.path.join),
        *(numpy.arange(9), numpy.arange(9)[::2], numpy.arange(9, dtype="i4"), numpy.arange(9).reshape(3, 3)),
        *(numpy.array(["a", None]), numpy.float64(1), numpy.int8(1), numpy.dtype("i4"), numpy.random.default_rng(1)),
        *(pandas.DataFrame(frame), pandas.DataFrame(frame, index=[1, 2, 3]), pandas.DataFrame(frame).a),
        *(pandas.DataFrame(frame).convert_dtypes(), pandas.DataFrame(frame).astype({"b": "category"})),
        *(pandas.date_range("2020", periods=3), pandas.MultiIndex.from_product([[1], [2, 3]]), pandas.Timestamp(0)),
        *(pyarrow.table(frame), pyarrow.table(frame).slice(1), pyarrow.array([1, 2]), pyarrow.array([1, None])),
        *(numpy.rec.array([(1, 2.0)]), numpy.zeros(3_000_000, "u1"), numpy.ones(3_000_000, "u1")),
    ]


def tokens() -> list[bytes]:
    return [Content().token(value) for value in values()]


def test_every_value_has_a_token_of_its_own_that_is_always_the_same() -> None:
    found = tokens()
    shown = [repr(value)[:60] for value in values()]
    alike = [one for place, one in enumerate(shown) if found.count(found[place]) > 1]
    assert not alike
    assert tokens() == found


def test_tokens_are_the_same_in_every_process_whatever_the_seed_of_its_hashes() -> None:
    code = "from tests.unit import test_content as t; print(b''.join(t.tokens()).hex())"
    root = Path(__file__).parents[2]
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
            capture_output=True,
            check=True,
            text=True,
            cwd=root,
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {b"".join(tokens()).hex() + "\n"}


def test_how_a_value_came_to_be_is_no_content() -> None:
    import numpy
    import pandas
    import pyarrow

    shared = [1]
    fortran = numpy.asfortranarray(numpy.arange(6).reshape(2, 3))
    frame = pandas.DataFrame({"a": [1], "b": [2]})
    grown = pandas.DataFrame({"a": [1]})
    grown["b"] = [2]
    chunked = pyarrow.concat_tables([pyarrow.table({"a": [1]}), pyarrow.table({"a": [2]})])
    for one, other in [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([shared, shared], [[1], [1]]),
        (fortran, numpy.arange(6).reshape(2, 3)),
        (frame, grown),
        (chunked, pyarrow.table({"a": [0, 1, 2]}).slice(1)),
        (sys.intern("some text"), "".join(["some ", "text"])),
    ]:
        assert Content().token(one) == Content().token(other)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(), st.lists))
def test_equal_values_of_equal_types_and_only_those_have_one_token(value: Any) -> None:
    content = Content()
    assert content.token(value) == content.token([*value] if type(value) is list else value)
    assert content.token(value) != content.token([value])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (threading.Lock(), "it holds a lock, which can not be pickled"),
        ({"deep": [Plain(threading.Lock())]}, "it holds a lock"),
        ((number for number in ()), "it holds a generator"),
        (sys.stdout, "it holds a"),
    ],
)
def test_what_has_no_stable_content_is_refused(bad: Any, message: str) -> None:
    with pytest.raises(NoStableContent, match=message):
        Content().token(bad)


CODE = """
def once(number):
    return number + {add}
@keep
def helper(number, least={least}):
    return once(number)
def outer(number):
    class Inner:
        size = K
    return helper(number), [J[each] for each in range(2)], handle, os.path.join, Thing.UNUSED, __name__, Missing
"""


def outer(add: int = 1, least: int = 0, **names: Any) -> bytes:
    space: dict[str, Any] = {
        "os": os,
        "Thing": Plain,
        "keep": lru_cache,
        "K": 1,
        "J": [1, {"a": Path("b")}],
        "UNUSED": 1,
    }
    space |= {"__name__": "notebook", "handle": threading.Lock(), **names}
    exec(CODE.format(add=add, least=least), space)
    return Content().token(space["outer"])


def test_a_function_is_known_by_the_globals_that_it_names() -> None:
    assert outer() == outer()
    for same in ({"handle": threading.Lock()}, {"UNUSED": 2}, {"add": 2}, {"handle": [threading.Lock()]}):
        assert outer(**same) == outer(), same
    others = [{"K": 2}, {"J": [1, {"a": Path("c")}]}, {"least": 1}, {"os": re}, {"Thing": Point}, {"handle": 3}]
    found = [outer(), *(outer(**other) for other in others)]
    assert len(set(found)) == len(found)


class Lock(enum.Enum):
    ONE = threading.Lock()


class Unbound:
    """As a stand-in for a request is, where there is none."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_globals_that_nothing_can_be_said_of_are_left_out() -> None:
    for odd in (Unbound(), Lock.ONE, [Unbound()], {"a": Lock.ONE}):
        assert outer(handle=odd) == outer()


def test_globals_that_hold_themselves_or_are_functions_that_name_each_other() -> None:
    assert outer(J=circle()) == outer(J=circle())
    assert outer(handle=os.path.join) == outer(handle=os.path.join) != outer(handle=os.path.split)


def test_something_endlessly_deep_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(NoStableContent, match="nested too deeply"):
        Content().token(deep)


def test_a_large_array_that_many_tasks_hold_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy

    content = Content()
    array = numpy.zeros(1_000_000)
    first = content.token(array)
    monkeypatch.setattr(content.bulk, "digest", lambda data: pytest.fail("looked at again"))
    assert content.token(array) == first


# Functions -----------------------------------------------------------------------------------------------------------


def made(body: str, **space: Any) -> Callable[..., Any]:
    exec(body, {"__name__": "pipeline", **space}, space)
    function: Callable[..., Any] = space["f"]
    return function


def key(function: Callable[..., Any], /, *positional: Any, **arguments: Any) -> bytes:
    keys = Keys(Content())
    task = Task(function, arguments, positional=positional)
    return keys.kind_of(task).key_of(keys.arguments_of(task, positional, arguments))


def test_a_function_is_its_name_its_code_its_defaults_and_what_it_has_closed_over() -> None:
    one = "def f(a, b=1):\n    return a + b\n"
    assert key(made(one), 1) == key(made("\n\n" + one + "# elsewhere\n"), 1)
    others = [
        "def f(a, b=2):\n    return a + b\n",
        "def f(a, b=1):\n    return a - b\n",
        "def f(a, b=1):\n    return a + b + 0\n",
        "def f(a, b=1):\n    return a.real + b\n",
        "def f(a, *, b=1):\n    return a + b\n",
        "def f(a, b=1):\n    return (lambda: a + b)()\n",
        "def f(a, b=1):\n    return (lambda: a - b)()\n",
    ]
    found = [key(made(body), 1) for body in [one, *others]]
    assert len(set(found)) == len(found)
    assert key(maker(1), 1) == key(maker(1), 1) != key(maker(2), 1)


def test_the_order_of_keyword_arguments_is_no_content() -> None:
    function = made("def f(**options): return options\n")
    assert key(function, a=1, b=2) == key(function, b=2, a=1) != key(function, a=2, b=1)


def test_a_closure_that_can_not_be_recognised_says_which_function() -> None:
    with pytest.raises(NoStableContent, match=r"the function maker.inner can not be recognised again: it holds a lock"):
        key(maker(threading.Lock()), 1)  # type: ignore[arg-type]
