"""What the calls of a batch are given, where all call the same function with numbers or short texts.

Most batches of many tasks are such, and looked at in one go they cost a tenth: to look at each of a hundred thousand
tasks once more costs 20 ns of 150.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from cotality.parallel._backends.processes.columns import Columns, by_column
from cotality.parallel._backends.processes.loans import LEND_BYTES
from cotality.parallel._data.atoms import ATOMS
from cotality.parallel._data.messages import AnyCall, Planned
from cotality.parallel._data.task import called_by

NUMBERS = frozenset({int, float, bool, type(None), complex})
_TEXT = frozenset({str, bytes})


def is_atom(value: object) -> bool:
    """Whether this is a number or a short text, which needs no pickling."""
    kind = type(value)
    return kind in NUMBERS or (kind in _TEXT and len(value) <= LEND_BYTES)  # type: ignore[arg-type]


def _are_atoms(values: Sequence[Any]) -> bool:
    kinds = set(map(type, values))
    return kinds <= NUMBERS or (
        kinds <= ATOMS and all(type(value) not in _TEXT or len(value) <= LEND_BYTES for value in values)
    )


def columns_of(batch: Sequence[Planned]) -> Columns | None:
    """What the calls of a batch are given; None where it is more than atoms, or they are not alike."""
    first = batch[0][1]
    function = called_by(first)
    # As a rule these two tell of chains. Others travel as what is not alike, which only takes longer.
    if batch[-1][1].wired or batch[len(batch) // 2][1].wired:
        return _linked([call for _ticket, call in batch], function)
    return _rows(batch, function) if first.positional else _columns(batch, function)


def _columns(batch: Sequence[Planned], function: Callable[..., Any]) -> Columns | None:
    """What calls with nothing but keywords are given."""
    arguments: list[Any] = [
        call.arguments
        for _ticket, call in batch
        if call.callback_function is function
        and not call.positional
        and not call.wired
        and type(call.arguments) is dict
    ]
    columns = by_column(arguments) if len(arguments) == len(batch) else None
    if columns is None or (columns.names and not all(map(_are_atoms, columns.columns))):
        return None
    return columns


def _rows(batch: Sequence[Planned], function: Callable[..., Any]) -> Columns | None:
    """What calls with nothing but positional arguments are given."""
    rows = [
        call.positional
        for _ticket, call in batch
        if call.callback_function is function and not call.wired and type(call.arguments) is dict and not call.arguments
    ]
    return Columns((), [rows]) if len(rows) == len(batch) and _are_atoms(list(chain.from_iterable(rows))) else None


def _linked(calls: Sequence[AnyCall], function: Callable[..., Any]) -> Columns | None:
    """What calls are given of which some take, all for the same argument, the result of the one before them."""
    wired: list[Any] = [call.wired for call in calls]
    places = {each for each in wired if each}
    columns = _by_position(calls) or _by_name(calls)
    if columns is None or len(places) > 1 or not all(called_by(call) is function for call in calls):
        return None
    [(place, *others)] = places
    if others:
        return None
    index = place if isinstance(place, int) else (columns.names or ()).index(place)
    follows = bytes(map(bool, wired))
    columns.columns[index] = [
        None if taken else value for taken, value in zip(follows, columns.columns[index], strict=True)
    ]
    if not all(map(_are_atoms, columns.columns)):
        return None
    return columns._replace(links=(index, follows, follows[1:] + b"\0"))


def _by_name(calls: Sequence[AnyCall]) -> Columns | None:
    arguments: list[Any] = [call.arguments for call in calls if not call.positional and type(call.arguments) is dict]
    return by_column(arguments) if len(arguments) == len(calls) else None


def _by_position(calls: Sequence[AnyCall]) -> Columns | None:
    rows = [call.positional for call in calls if type(call.arguments) is dict and not call.arguments]
    if len(rows) != len(calls) or len(set(map(len, rows))) != 1 or not rows[0]:
        return None
    return Columns((), [*map(list, zip(*rows, strict=True))])
