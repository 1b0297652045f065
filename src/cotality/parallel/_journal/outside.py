"""What a function takes from its module: the globals that its code names, as far as they are the same elsewhere."""

from __future__ import annotations

import dis
import os
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, Final
from uuid import UUID

from cotality.parallel._data.atoms import ATOMS
from cotality.parallel._data.names import LONGEST_CHAIN

_ABSENT: Final = object()
_PLAIN: Final = ATOMS | {Decimal, UUID, date, datetime, time, timedelta}
_CONTAINERS: Final = frozenset({tuple, list, set, frozenset})
_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep
_INSTALLED: Final = tuple(f"{os.sep}{folder}-packages{os.sep}" for folder in ("site", "dist"))


def globals_of(function: FunctionType) -> dict[str, Any]:
    """What stands for each global of a function, by its name.

    A value stands for itself, a function of the user's for its code; that one is not asked for its own globals. What
    may be another one in the next process though nobody changed it is left out: connections, generators of random
    numbers, other objects.
    """
    found = {}
    for name in _names(function.__code__):
        value = function.__globals__.get(name, _ABSENT)
        kind = type(value)
        inner = _undecorated(value)
        if type(inner) is FunctionType:
            found[name] = _facts_of(inner)
        elif kind is BuiltinFunctionType:
            found[name] = ("builtin", value.__qualname__)
        elif issubclass(kind, ModuleType):
            found[name] = ("module", value.__name__)
        elif issubclass(kind, type) or _is_plain(value):
            found[name] = value
    return found


@lru_cache(1024)
def _names(code: CodeType) -> tuple[str, ...]:
    """Those that a code looks up outside, also within the functions and classes that it makes."""
    found = {each.argval for each in dis.get_instructions(code) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            found.update(_names(inner))
    # What Python itself writes there, such as __name__ and __file__, says where the module is and not what it does.
    return tuple(sorted(name for name in found if not name.startswith("__")))


def _undecorated(value: Any) -> Any:
    for _ in range(LONGEST_CHAIN):
        try:
            value = vars(value)["__wrapped__"]
        except Exception:
            # There is none. What stands in for something else raises whatever that does.
            break
    return value


def _facts_of(function: FunctionType) -> tuple[Any, ...]:
    code = function.__code__
    if code.co_filename.startswith(("<frozen ", _LIBRARY)) or any(part in code.co_filename for part in _INSTALLED):
        return ("installed", function.__module__, function.__qualname__)
    defaults = (function.__defaults__, function.__kwdefaults__)
    return ("function", function.__qualname__, code, defaults if _is_plain(defaults) else None)


def _is_plain(value: Any) -> bool:
    try:
        if type(value) is dict:
            return _is_plain((*value.keys(), *value.values()))
        if type(value) in _CONTAINERS:
            return ATOMS.issuperset(map(type, value)) or all(map(_is_plain, tuple(value)))
    except RuntimeError:
        # It holds itself, or a task is just changing it.
        return False
    # By their types only: what stands in for something else may raise anything when it is asked what it is.
    kind = type(value)
    return kind in _PLAIN or issubclass(kind, PurePath) or (issubclass(kind, Enum) and _is_plain(value.value))
