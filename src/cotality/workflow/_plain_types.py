"""Which arguments are plainly right, so that nobody has to look at them any closer.

To look at the type of a value takes a tenth of what a full check takes, and most arguments are of the very class that
their annotation names.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import UnionType
from typing import Any, Union, get_args, get_origin

_TOWER: dict[Any, frozenset[type]] = {float: frozenset({float, int}), complex: frozenset({complex, float, int})}
"""What is as good as a number that has a fraction."""


def kinds_of(hint: Any) -> frozenset[type] | None:
    """The types of which every value fits an annotation; None if there is more to it than a class."""
    if get_origin(hint) in (Union, UnionType):
        arms = [kinds_of(arm) for arm in get_args(hint)]
        return None if None in arms else frozenset[type]().union(*(arm for arm in arms if arm is not None))
    if not isinstance(hint, type) or any("__orig_bases__" in vars(base) for base in hint.__mro__):
        return None
    return _TOWER.get(hint, frozenset({hint}))


def all_plain(parameters: Iterable[inspect.Parameter], names: dict[str, str]) -> str:
    """An expression that says of the arguments of a call whether all are plainly right.

    Parameters:
        parameters: Those of the function.
        names: By parameter, what holds the types that are plainly right. What is not there may be anything.
    """
    tests = []
    for parameter in parameters:
        kinds, given = names.get(parameter.name), parameter.name
        if kinds is None:
            continue
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            tests.append(f"(not {given} or {kinds}.issuperset(map(type, {given})))")
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            tests.append(f"(not {given} or {kinds}.issuperset(map(type, {given}.values())))")
        else:
            tests.append(f"type({given}) in {kinds}")
    return " and ".join(tests) or "True"
