"""Whether values and results fit annotations: the only module that speaks with beartype.

An answer is yes, no or *unknown*, and what is unknown never blocks: a type variable, a name that can not be resolved, a
protocol that can not be checked at run time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from typing import IO, Annotated, Any, BinaryIO, Final, Protocol, TextIO, TypeVar, Union, cast, get_args, get_origin

from cotality.parallel.building import UNKNOWN, Wire, hints_of, result_hint

__all__ = ["UNKNOWN", "Tester", "describe", "fits", "fits_fully", "hints_of", "misfit", "wire_hint"]


class Tester:
    """beartype, imported when it is first needed, with an int as good as a float."""

    @staticmethod
    @cache
    def _conf() -> Any:
        from beartype import BeartypeConf

        return BeartypeConf(is_pep484_tower=True, is_color=False)

    @classmethod
    def decorate(cls, function: Callable[..., Any], hints: dict[str, Any]) -> Callable[..., Any]:
        """The function with its arguments checked."""
        if not hints:
            return function
        from beartype import beartype

        function.__annotations__ = hints
        return beartype(conf=cls._conf())(function)

    @classmethod
    def knows(cls, hint: Any) -> bool:
        """Whether values can be checked against this annotation, and it says anything."""
        if hint is UNKNOWN or hint is Any or hint is object or _is_open(hint):
            return False
        try:
            cls.accepts(None, hint)
        except Exception:
            return False
        return True

    @classmethod
    def accepts(cls, value: object, hint: Any) -> bool:
        from beartype.door import is_bearable

        return is_bearable(value, hint, conf=cls._conf())


def fits(value: object, hint: Any) -> bool:
    """Whether a value fits an annotation; of a container one item is looked at."""
    try:
        return not Tester.knows(hint) or Tester.accepts(value, hint)
    except Exception:
        # The value's own code: it can not be looked at.
        return True


def fits_fully(value: Any, hint: Any) -> bool:
    """Whether a value and everything in its built-in containers fit an annotation."""
    hint = _bare(hint)
    if not fits(value, hint):
        return False
    arguments, origin = get_args(hint), get_origin(hint)
    if not arguments:
        return True
    if _is_union(hint):
        return any(fits_fully(value, arm) for arm in arguments)
    if isinstance(value, tuple) and origin is tuple and Ellipsis not in arguments:
        return all(map(fits_fully, value, arguments))
    if not _is_standard(origin):
        return True
    if isinstance(value, dict) and issubclass(origin, Mapping) and len(arguments) == 2:
        return all(fits_fully(k, arguments[0]) and fits_fully(v, arguments[1]) for k, v in value.items())
    if isinstance(value, (list, tuple, set, frozenset)) and issubclass(origin, Iterable):
        return all(fits_fully(item, arguments[0]) for item in value)
    return True


def misfit(template: Any, hint: Any, check: Callable[[Any, Any], bool] = fits) -> str | None:
    """What does not fit an annotation, in words and without its value; None if all of it does, or may.

    Parameters:
        template: An argument, with wires in the place of references.
        hint: The annotation that it falls under.
        check: How values are checked.
    """
    hint = _bare(hint)
    if hint is UNKNOWN or hint is Any or hint is object:
        # Where nothing is asked for nothing is looked at, or a list that holds itself would be without end.
        return None
    if type(template) is Wire:
        produced = wire_hint(template)
        if _may_be(produced, hint):
            return None
        return f"the {template.kind} of {template.task.name}, which is {describe(produced)}"
    arguments, origin = get_args(hint), get_origin(hint)
    if _is_union(hint):
        by_arm = [misfit(template, arm, check) for arm in arguments]
        return None if None in by_arm else by_arm[0]
    if isinstance(template, (list, tuple, set, frozenset, dict)) and _holds_wires(template):
        return _misfit_inside(template, origin or hint, arguments, check)
    return None if check(template, hint) else _described(template, origin, arguments, check)


def _misfit_inside(template: Any, origin: Any, arguments: Any, check: Callable[[Any, Any], bool]) -> str | None:
    if _is_no(template, origin):
        return type(template).__qualname__
    name = type(template).__qualname__
    if isinstance(template, dict):
        inner = arguments[-1] if len(arguments) == 2 else UNKNOWN
        found = next((found for item in template.values() if (found := misfit(item, inner, check))), None)
        return found and f"a {name} one of whose values is {found}"
    if origin is tuple and Ellipsis not in arguments:
        hints = list(arguments) if len(arguments) == len(template) else [UNKNOWN] * len(template)
    else:
        hints = [arguments[0] if arguments else UNKNOWN] * len(template)
    for place, (item, hint) in enumerate(zip(template, hints, strict=True)):
        found = misfit(item, hint, check)
        if found:
            return f"a {name} whose item {place} is {found}"
    return None


def _is_no(container: Any, kind: Any) -> bool:
    """Whether a container is clearly not of a class, whatever is in it."""
    return isinstance(kind, type) and not _is_open(kind) and not isinstance(container, kind)


def _described(value: Any, origin: Any, arguments: Any, check: Callable[[Any, Any], bool]) -> str:
    name = type(value).__qualname__
    if type(value).__module__ == "numpy" and not hasattr(value, "__len__"):
        return f"NumPy's {name}, of which .item() is a plain value"
    if not isinstance(origin, type) or not isinstance(value, origin):
        return name
    found = _misfit_inside(value, origin, arguments, check) if type(value) in (list, tuple, dict) else None
    return found or f"a {name} with something else in it"


def _holds_wires(container: Any) -> bool:
    items = container.values() if isinstance(container, dict) else container
    return any(type(item) is Wire or (isinstance(item, (list, tuple, dict, set)) and item) for item in items)


def wire_hint(wire: Wire) -> Any:
    """What a wire is annotated to carry."""
    function = getattr(wire.task, "callback_function", None)
    if wire.kind != "output" or function is None:
        return UNKNOWN
    hint = result_hint(function)
    for item, key in wire.path:
        hint = _item_hint(_bare(hint), key) if item else _attribute_hint(_bare(hint), key)
    return hint


def _item_hint(hint: Any, key: Any) -> Any:
    arguments, origin = get_args(hint), get_origin(hint)
    if (
        origin is tuple
        and isinstance(key, int)
        and Ellipsis not in arguments
        and -len(arguments) <= key < len(arguments)
    ):
        return arguments[key]
    if origin in (list, tuple) and isinstance(key, int):
        return arguments[0]
    if _is_standard(origin) and issubclass(origin, Mapping) and len(arguments) == 2:
        return arguments[1]
    return UNKNOWN


def _is_standard(kind: Any) -> bool:
    """Whether a generic class is one of Python's own, whose parameters are known to be those of its items."""
    return isinstance(kind, type) and kind.__module__ in ("builtins", "collections", "collections.abc")


def _attribute_hint(hint: Any, name: str) -> Any:
    if dataclasses.is_dataclass(hint) or hasattr(hint, "_fields"):
        from typing import get_type_hints

        try:
            return get_type_hints(hint).get(name, UNKNOWN)
        except Exception:
            return UNKNOWN
    return UNKNOWN


_verdicts: dict[tuple[Any, Any], bool] = {}


def _may_be(produced: Any, hint: Any) -> bool:
    """Whether what is produced may fit; only a clear no is a no."""
    if any(known is UNKNOWN or known is Any or known is object for known in (produced, hint)):
        return True
    try:
        known = _verdicts.get((produced, hint))
    except TypeError:
        return True
    if known is None:
        known = _verdicts[produced, hint] = _decide(_bare(produced), _bare(hint))
    return known


def _decide(produced: Any, hint: Any) -> bool:
    if any(known is Any or known is object or _is_open(known) for known in (produced, hint)):
        return True
    if _is_union(produced):
        # One of its arms may be what comes; whether it is, its value will show.
        return any(_decide(_bare(arm), hint) for arm in get_args(produced))
    if _is_union(hint):
        return any(_decide(produced, _bare(arm)) for arm in get_args(hint))
    if (produced, hint) in ((int, float), (int, complex), (float, complex)):
        return True
    inner, asked = get_args(produced), get_args(hint)
    if not inner and asked and isinstance(produced, type) and _is_kind_of(produced, get_origin(hint)):
        # What its items are it does not say, but for a few.
        first, *others = asked
        return produced not in _ITEMS or bool(others) or _decide(_ITEMS[produced], _bare(first))
    if len(inner) == len(asked) and _have_the_same_parameters(get_origin(produced), get_origin(hint)):
        return all(
            part is wanted or _decide(_bare(part), _bare(wanted)) for part, wanted in zip(inner, asked, strict=True)
        )
    if get_origin(produced) is tuple and get_origin(hint) is not tuple and len(asked) == 1:
        # beartype has it that a tuple[int, ...] is no Sequence[int].
        kind = get_origin(hint)
        items = [part for part in inner if part is not Ellipsis]
        return not isinstance(kind, type) or (
            issubclass(tuple, kind) and all(_decide(_bare(i), asked[0]) for i in items)
        )
    from beartype.door import is_subhint

    try:
        # The other way round it is wider than asked for, and may still fit.
        return is_subhint(produced, _with_tower(hint)) or is_subhint(hint, produced)
    except Exception:
        return True


_ITEMS: Final[dict[type, type]] = {str: str, bytes: int, bytearray: int, range: int}
"""What the items of classes are that have no parameters."""


def _is_kind_of(produced: type, kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(produced, kind)


def _have_the_same_parameters(produced: Any, hint: Any) -> bool:
    """Whether two generic classes mean the same by as many parameters, and the first is one of the second."""
    if produced is hint:
        return produced is not None
    if produced in (tuple, enumerate) or hint is tuple or not (_is_standard(produced) and _is_standard(hint)):
        return False
    return issubclass(produced, hint)


def _with_tower(hint: Any) -> Any:
    """A hint in which an int is as good as a float, wherever it asks for one."""
    if hint in (float, complex):
        return int | float if hint is float else int | float | complex
    arguments = get_args(hint)
    if not arguments or any(isinstance(part, list) for part in arguments):
        return hint
    wider = tuple(map(_with_tower, arguments))
    if _is_union(hint):
        return cast(Any, Union)[wider]
    return hint.copy_with(wider) if hasattr(hint, "copy_with") else get_origin(hint)[wider]


def _bare(hint: Any) -> Any:
    """A hint without what ``Annotated`` adds."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return hint


def _is_union(hint: Any) -> bool:
    from types import UnionType

    return get_origin(hint) in (Union, UnionType)


def holds_anything(hint: Any) -> bool:
    """Whether an annotation is that of a container and does not say what is in it."""
    kind = get_origin(hint) or hint
    if not isinstance(kind, type) or not issubclass(kind, Collection) or issubclass(kind, (str, bytes, bytearray)):
        return False
    return all(inner in (Any, object, ...) or _is_open(inner) for inner in get_args(hint))


def _is_open(hint: Any) -> bool:
    """Whether an annotation can not be decided: it has type variables, or is a protocol without run-time checks."""
    if isinstance(hint, (TypeVar, str)) or hint is UNKNOWN:
        return True
    if (get_origin(hint) or hint) in (IO, TextIO, BinaryIO):
        # The files that there are do not say that they are that.
        return True
    if isinstance(hint, type) and getattr(hint, "_is_protocol", False):
        return not getattr(hint, "_is_runtime_protocol", False) and hint is not cast(Any, Protocol)
    return any(
        _is_open(part) for part in get_args(hint) if part is not Ellipsis and not isinstance(part, (list, tuple))
    )


def describe(hint: Any) -> str:
    """An annotation as people write it."""
    if isinstance(hint, type) and not get_args(hint):
        return hint.__qualname__
    return str(hint).replace("typing.", "")
