"""Functions by their name: how a decorated one, whose name leads to what it was decorated to, travels all the same."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

LONGEST_CHAIN = 32
_ORIGIN = "__cotality_origin__"


def let_be_made_anew(made: Callable[..., Any], maker: Callable[[Any], Any], source: Callable[..., Any]) -> None:
    """Let a function that no name leads to travel as the names of what makes it and of what it is made of.

    Parameters:
        made: What ``maker(source)`` gives.
        maker: Makes another one that does the same.
        source: What it is made of.
    """
    setattr(made, _ORIGIN, (maker, source))


def origin_of(function: FunctionType) -> tuple[FunctionType, Any] | None:
    """What makes such a function, and of what; None for any other."""
    return getattr(function, _ORIGIN, None)


def depth_under_its_name(function: Callable[..., Any]) -> int | None:
    """How many decorations stand between a function and what its name gives; None if its name does not lead to it."""
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    for depth in range(LONGEST_CHAIN):
        if found is function:
            return depth
        found = getattr(found, "__wrapped__", None)
        if found is None:
            break
    return None


def named(module: str, qualname: str, depth: int) -> Any:
    """What such a name leads to.

    Raises:
        BaseException: whatever its module raises when it is imported.
    """
    __import__(module)
    found: Any = sys.modules[module]
    for part in qualname.split("."):
        found = getattr(found, part)
    for _ in range(depth):
        found = found.__wrapped__
    return found


class ByName:
    """A function in a pickle that its name leads to, by way of what decorates it."""

    def __init__(self, function: FunctionType, depth: int) -> None:
        self._name = function.__module__, function.__qualname__, depth

    @staticmethod
    def of(function: FunctionType) -> FunctionType | ByName:
        """What stands for a function in a pickle: itself, where pickle knows what to do."""
        depth = depth_under_its_name(function)
        return ByName(function, depth) if depth else function

    def __reduce__(self) -> Any:
        return named, self._name
