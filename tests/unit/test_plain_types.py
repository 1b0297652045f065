"""What is plainly right is what a full check would pass, and nothing else is."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, Protocol, TypedDict, TypeVar, Union

import pytest
from beartype.vale import Is

from cotality.parallel.errors import ArgumentError
from cotality.workflow import task
from cotality.workflow._hints import Tester
from cotality.workflow._plain_types import kinds_of

T = TypeVar("T")


class Plain: ...


class Under(Plain): ...


class Counts(list[int]): ...


class Box(Generic[T]): ...


class Named(NamedTuple):
    x: int


class Colour(enum.Enum):
    RED = 1


class Row(TypedDict):
    x: int


class Sized(Protocol):
    def __len__(self) -> int: ...


HINTS: list[Any] = [
    *(int, float, complex, str, bytes, bool, type(None), object, list, dict, tuple, type),
    *(Plain, Under, Counts, Box, Box[int], Named, Colour, Row, Sized),
    *(list[int], dict[str, int], tuple[int, ...], Sequence[int], Callable[..., Any], type[int], Literal[1, "a"]),
    *(int | None, Optional[str], Union[int, str], Union[list[int], None], float | Plain),  # noqa: UP007, UP045
    *(Annotated[int, "said"], Annotated[int, Is[lambda number: number > 1]], Any),
]
VALUES: list[Any] = [
    *(1, 2, 1.5, 1j, "a", b"a", True, None, object(), [], [1], ["a"], {}, {"a": 1}, {"x": 1}, (), (1,), ("a",), int),
    *(Plain(), Under(), Counts(), Counts([1]), Counts(["a"]), Box(), Named(1), Colour.RED, len),  # type: ignore[list-item]
]


@pytest.mark.parametrize("hint", HINTS, ids=repr)
def test_what_is_plainly_right_passes_the_full_check(hint: Any) -> None:
    kinds = kinds_of(hint) or frozenset()
    for value in VALUES:
        assert type(value) not in kinds or Tester.accepts(value, hint), type(value)


def test_of_which_annotations_more_is_to_be_known_than_a_class() -> None:
    assert kinds_of(int | None) == {int, type(None)}
    assert kinds_of(float) == {float, int}
    assert all(kinds_of(hint) is None for hint in (list[int], Counts, Box, Literal[1], Annotated[int, "said"], T))


@task
def every(first: int, /, second: float, *rest: str, key: bytes | None = None, **others: bool) -> None: ...


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((1, 2.0), {}),
        ((True, 2), {}),
        ((1,), {"second": 2}),
        ((1, 2, "a", "b"), {}),
        ((1, 2), {"key": b"a", "x": True, "y": False}),
        ((1, 2, "a"), {"key": None, "x": True}),
    ],
)
def test_whatever_is_right_is_bound_as_by_a_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    made = every(*args, **kwargs)

    def as_called(first: int, /, second: float, *rest: str, **others: Any) -> Any:
        return (first, second, *rest), others

    assert as_called(*made.positional, **made.arguments) == as_called(*args, **kwargs)


@pytest.mark.parametrize(
    ("args", "kwargs", "wrong"),
    [
        (("1", 2.0), {}, "first"),
        ((1, "2"), {}, "second"),
        ((1, 2.0, "a", 1), {}, "rest"),
        ((1, 2.0), {"key": "a"}, "key"),
        ((1, 2.0), {"x": True, "y": 1}, "y"),
        ((1,), {}, "second"),
    ],
)
def test_whatever_is_wrong_is_named(args: tuple[Any, ...], kwargs: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ArgumentError, match=wrong):
        every(*args, **kwargs)


def test_parameters_may_have_any_name() -> None:
    @task
    def odd(kinds: int, otherwise: int, given: int = 0, *, first: int = 1, missing: int = 2) -> None: ...

    assert odd(1, 2, missing=3).arguments == {"kinds": 1, "otherwise": 2, "missing": 3}
    with pytest.raises(ArgumentError, match="otherwise"):
        odd(1, "2")  # type: ignore[arg-type]
