"""The arguments of many calls as they travel: by column.

Written and read at a third of the cost of as many dicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from types import FunctionType
from typing import Any, NamedTuple, TypeAlias

Links: TypeAlias = tuple[int, bytes, bytes]
"""Which column holds what the task before gives, for which calls it does, and of which the result is kept for the
next one. Where it does nothing stands in the column."""


class Columns(NamedTuple):
    """The arguments of calls that name the same parameters.

    Parameters:
        names: The names. Where there are none, all is given by position; None: each task is an item of its own, and the
            columns hold its parts.
        columns: For each of them the values of all calls; where there are no names and no links, the one column holds
            the row of each call.
        links: Which of them take the result of the one before; None: none.
    """

    names: tuple[str, ...] | None
    columns: list[list[Any]]
    links: Links | None = None


def by_column(arguments: list[dict[str, Any]]) -> Columns | None:
    """Arguments by column; None unless all have the same names in the same order."""
    names = tuple(arguments[0])
    if sum(map(len, arguments)) != len(names) * len(arguments):
        return None
    if not names:
        return Columns(names, [[()] * len(arguments)])
    if set(map(type, names)) != {str}:
        return None
    if len(names) > 1 and set(map(tuple, arguments)) != {names}:
        return None
    try:
        return Columns(names, [[each[name] for each in arguments] for name in names])
    except KeyError:
        return None


def rows_of(names: tuple[str, ...], columns: list[list[Any]]) -> Iterable[tuple[Any, ...]]:
    """The values of each call, as long as they stand in the columns: they may be cut while this goes on."""
    return zip(*columns, strict=False) if names else columns[0]


def call_of_row(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """What takes the values of these parameters by position; the function itself wherever that is the same call."""
    if not names:
        return function
    if type(function) is FunctionType:
        code = function.__code__
        if not code.co_posonlyargcount and names == code.co_varnames[: min(len(names), code.co_argcount)]:
            return function
    return partial(_call_by_name, function, names)


def _call_by_name(function: Callable[..., Any], names: tuple[str, ...], /, *values: Any) -> Any:
    return function(**dict(zip(names, values, strict=True)))
