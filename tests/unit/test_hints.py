"""What annotations are held against nobody, and what is: the same that a type checker accepts, and more."""

from __future__ import annotations

import io
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, BinaryIO, Generic, NamedTuple, TextIO, TypeVar

import pytest

from cotality.parallel.errors import ArgumentError
from cotality.workflow import task

T = TypeVar("T")
V = TypeVar("V")


class Point(NamedTuple):
    x: int
    name: str


class Caller:
    def __call__(self, number: int) -> str:
        return str(number)


class Table(dict[str, list[T]]):
    pass


class Turned(dict[str, T], Generic[V, T]):
    pass


class Hostile:
    def __len__(self) -> int:
        raise RuntimeError("not now")

    def __iter__(self) -> Iterator[int]:
        raise RuntimeError("not now")

    def __contains__(self, item: object) -> bool:
        return False


def producer(hint: Any) -> Any:
    def produce() -> Any: ...

    produce.__annotations__ = {"return": hint}
    return task(produce)


def consumer(hint: Any, **options: Any) -> Any:
    def consume(value: Any) -> Any: ...

    consume.__annotations__ = {"value": hint}
    return task(**options)(consume)


@pytest.mark.parametrize(
    ("produced", "asked"),
    [
        (str, Sequence[str]),
        (str, Iterable[object]),
        (bytes, Collection[int]),
        (range, Sequence[float]),
        (Point, tuple[int, str]),
        (Point, Sequence[object]),
        (Caller, Callable[[int], str]),
        (io.TextIOWrapper, TextIO),
        (io.BytesIO, IO[bytes]),
        (enumerate[str], Iterable[tuple[int, str]]),
        (dict[str, tuple[int, ...]], Mapping[str, Iterable[float]]),
        (Counter[str], Mapping[str, int]),
        (OrderedDict[str, int], Mapping[str, float]),
    ],
)
def test_a_wire_that_a_type_checker_accepts_is_accepted(produced: Any, asked: Any) -> None:
    consumer(asked)(producer(produced)().output)
    consumer(list[asked])([producer(produced)().output, producer(produced)().output])
    consumer(Mapping[str, asked])({"a": producer(produced)().output})


@pytest.mark.parametrize(
    ("produced", "asked"),
    [
        (str, Sequence[int]),
        (range, Iterable[str]),
        (str, list[str]),
        (Point, list[int]),
        (dict[str, tuple[int, ...]], Mapping[str, Iterable[str]]),
        (dict[str, int], Mapping[int, int]),
        (Caller, Mapping[str, int]),
    ],
)
def test_a_wire_that_can_not_fit_is_refused(produced: Any, asked: Any) -> None:
    with pytest.raises(ArgumentError, match="must be"):
        consumer(asked)(producer(produced)().output)


@pytest.mark.parametrize(
    "asked", [Iterable[int], Collection[int], Sequence[int], Mapping[str, int], list[Sequence[int]]]
)
def test_references_in_a_list_are_not_looked_into(asked: Any) -> None:
    output = producer(Any)().output
    for options in ({}, {"validate": "full"}):
        made = consumer(list[asked], **options)([output, output])
        assert len(made.wires()) == 2


@pytest.mark.parametrize(
    ("produced", "key", "asked"),
    [
        (Counter[str], "a", int),
        (Table[int], "a", list[int]),
        (Turned[int, str], "a", str),
        (defaultdict[str, list[int]], "a", list[int]),
    ],
)
def test_a_part_of_a_mapping_is_what_its_class_says(produced: Any, key: Any, asked: Any) -> None:
    consumer(asked)(producer(produced)().output[key])


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        (io.BytesIO(), BinaryIO),
        (io.StringIO(), IO[str]),
        (Counter("ab"), Counter[str]),
        (Hostile(), Collection[int]),
    ],
)
@pytest.mark.parametrize("validate", ["fast", "full"])
def test_a_value_that_a_type_checker_accepts_is_accepted(value: Any, asked: Any, validate: Any) -> None:
    consumer(asked, validate=validate)(value)
