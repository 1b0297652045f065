"""What the annotations of a function say, each resolved on its own: one that can not be resolved concerns no other."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Annotated, Any, Final, ForwardRef, get_args, get_origin
from weakref import WeakKeyDictionary

UNKNOWN: Final = object()
"""Stands for an annotation that is missing or can not be resolved. What is unknown never blocks."""

_known: WeakKeyDictionary[Callable[..., Any], dict[str, Any]] = WeakKeyDictionary()


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function by parameter, and ``"return"``; without those that can not be resolved."""
    function = inspect.unwrap(function)
    try:
        known = _known.get(function)
    except TypeError:
        return {}
    if known is None:
        resolved = {name: _resolve(hint, function) for name, hint in _annotations(function).items()}
        known = {name: hint for name, hint in resolved.items() if hint is not UNKNOWN}
        if len(known) == len(resolved):
            # What could not be resolved may be later, when its module is loaded to the end.
            _known[function] = known
    return known


def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        from annotationlib import Format, get_annotations

        try:
            return get_annotations(function, format=Format.FORWARDREF)
        except Exception:
            return {}
    return dict(getattr(function, "__annotations__", None) or {})


def _resolve(hint: Any, function: Callable[..., Any]) -> Any:
    if isinstance(hint, ForwardRef):
        hint = hint.__forward_arg__
    if isinstance(hint, str):
        if not isinstance(function, FunctionType):
            return UNKNOWN
        try:
            outer = inspect.getclosurevars(function).nonlocals if function.__closure__ else {}
            hint = eval(hint, function.__globals__, dict(outer))
        except Exception:
            return UNKNOWN
    if _has_forward(hint):
        return UNKNOWN
    return type(None) if hint is None else hint


def _has_forward(hint: Any) -> bool:
    """Whether a name that can not be resolved is somewhere inside."""
    return isinstance(hint, (str, ForwardRef)) or (
        get_origin(hint) is not None
        and not _is_literal(hint)
        and any(_has_forward(part) for part in get_args(_plain(hint)))
    )


def _is_literal(hint: Any) -> bool:
    return getattr(get_origin(hint), "_name", "") == "Literal"


def _plain(hint: Any) -> Any:
    """A hint without what ``Annotated`` adds to it, which may be anything."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def result_hint(function: Callable[..., Any]) -> Any:
    """What a call of this gives, once awaited; ``UNKNOWN`` where nothing says."""
    hint = _plain(hints_of(function).get("return", UNKNOWN))
    if getattr(get_origin(hint), "__name__", "") in ("Coroutine", "Awaitable"):
        return get_args(hint)[-1]
    return hint


def arity_of(task: Any) -> int | None:
    """How many items the result of a task has, where its annotation says so."""
    function = getattr(task, "callback_function", None)
    hint = result_hint(function) if function is not None else UNKNOWN
    if get_origin(hint) is tuple:
        arguments = get_args(hint)
        return None if Ellipsis in arguments else len(arguments)
    fields = getattr(hint, "_fields", None)
    return len(fields) if isinstance(fields, tuple) else None
