"""The parameters of a workflow on the command line: texts, as what the function that makes it is annotated with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, NoReturn, Union, get_args, get_origin
from uuid import UUID

from cotality.parallel.building import hints_of
from cotality.workflow._binder import signature_of
from cotality.workflow._exits import Unusable

_MAKERS: Final[dict[Any, Callable[[str], Any]]] = {
    **{kind: kind for kind in (int, float, Path, Decimal, UUID)},
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
}


def texts_of(given: Sequence[str]) -> dict[str, list[str]]:
    """The texts that were given for each parameter."""
    parameters: dict[str, list[str]] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name.isidentifier():
            # The value may be a secret.
            raise Unusable(f"--param {name + '=…' * bool(equals)!r} is not NAME=VALUE")
        parameters.setdefault(name, []).append(value)
    return parameters


def converted(function: Callable[..., Any], name: str, given: dict[str, list[str]]) -> dict[str, Any]:
    """The arguments of a function, from their texts.

    Raises:
        Unusable: one is not of its type, or they are not what the function takes.
    """
    hints = hints_of(function)
    arguments = {parameter: _convert(parameter, texts, hints.get(parameter, str)) for parameter, texts in given.items()}
    try:
        signature_of(function).bind(**arguments)
    except TypeError as error:
        raise Unusable(f"{name} {signature_of(function)}: {error}; give --param NAME=VALUE") from None
    return arguments


def _convert(name: str, texts: list[str], hint: Any) -> Any:
    """Texts as a value of a type: each is an item of a list, and of what is no list the last one counts.

    Raises:
        Unusable: it is none.
    """
    origin, text = get_origin(hint), texts[-1]
    if origin in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        if len(kinds) == 1:
            return None if text.lower() == "none" else _convert(name, texts, kinds[0])
    if origin is list:
        return [_convert(name, [text], *get_args(hint)) for text in texts]
    if origin is Literal:
        by_text = {str(value): value for value in get_args(hint)}
        return by_text[text] if text in by_text else _refuse(name, f"one of {', '.join(by_text)}")
    if hint is bool:
        known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        return known[text.lower()] if text.lower() in known else _refuse(name, "true or false")
    if isinstance(hint, type) and issubclass(hint, Enum):
        members = hint.__members__
        return members[text] if text in members else _refuse(name, f"one of {', '.join(members)}")
    if hint in _MAKERS:
        try:
            return _MAKERS[hint](text)
        except (ValueError, ArithmeticError):
            _refuse(name, f"of type {hint.__name__}")
    if hint in (str, Any, object):
        return text
    raise Unusable(f"parameter {name} can not be given as text: it is annotated with {hint}")


def _refuse(name: str, wanted: str) -> NoReturn:
    raise Unusable(f"parameter {name} must be {wanted}")
