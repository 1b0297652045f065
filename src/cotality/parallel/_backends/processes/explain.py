"""Finds what exactly in a value can not be pickled, for the error message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from types import FunctionType
from typing import Any

from cotality.parallel._backends.processes.codec import dump

DEEPEST = 20
MOST_TRIED = 200


def culprit(value: object, path: str) -> str:
    """The innermost part that can not be pickled, as ``path.to.it (its type)``."""
    try:
        for _ in range(DEEPEST):
            for step, part in _parts(value):
                if not picklable(part):
                    value, path = part, path + step
                    break
            else:
                break
    except Exception:
        # Looking into a value runs its own code, which may raise; what was found so far is true.
        pass
    return f"{path} (of type {type(value).__qualname__})"


def picklable(value: object) -> bool:
    """Whether pickle or cloudpickle can write it."""
    try:
        dump(value)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return False
    return True


def _parts(value: object) -> Iterator[tuple[str, Any]]:
    return islice(_all_parts(value), MOST_TRIED)


def _all_parts(value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        # A key may be as secret as a value; only names are shown.
        for key, part in value.items():
            yield (f"[{key!r}]" if isinstance(key, str) and key.isidentifier() else "[…]"), part
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield f"[{index}]", part
    elif isinstance(value, (set, frozenset)):
        for part in value:
            yield "{…}", part
    elif isinstance(value, FunctionType):
        names = value.__code__.co_freevars
        for name, cell in zip(names, value.__closure__ or (), strict=True):
            yield f".{name}", cell.cell_contents
        for name in value.__code__.co_names:
            if name in value.__globals__:
                yield f".{name}", value.__globals__[name]
    else:
        bound = getattr(value, "__self__", None)
        if bound is not None and not isinstance(value, type):
            yield ".__self__", bound
        state = getattr(value, "__dict__", None)
        if isinstance(state, dict):
            for name, part in state.items():
                yield f".{name}", part
