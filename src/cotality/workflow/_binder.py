"""From the arguments of a call to those of a task: bound, checked, and without the defaults.

Binding is done by a function that is generated with the very parameters of the user's, and which beartype checks. So
one call of it binds, checks and complains as Python does. It is made when a task is first made: until then an
annotation may name what comes later in its module, and beartype need not be imported.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeAlias, Union

from cotality.parallel import Reference
from cotality.workflow._hints import UNKNOWN, Tester, hints_of, holds_anything
from cotality.workflow._plain_types import all_plain, kinds_of

Bound: TypeAlias = tuple[dict[str, Any], tuple[Any, ...]]
"""The arguments by name, and those by position."""

_POSITIONAL_ONLY, _EITHER = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
_ARGS, _KEYWORD_ONLY, _KWARGS = (
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.KEYWORD_ONLY,
    inspect.Parameter.VAR_KEYWORD,
)


_UNION: Any = Union
"""Made of what is only known at run time, which a type checker has no word for."""


class Missing:
    """Stands for a default that was not given. Defaults do not travel: a sentinel would lose its identity."""


MISSING = Missing()


class Binder:
    """Binds and checks the arguments of one function.

    Parameters:
        function: The user's function.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name: str = getattr(function, "__qualname__", type(function).__qualname__).replace("<locals>.", "")
        try:
            parameters = list(signature_of(function).parameters.values())
        except (TypeError, ValueError):
            # Some that are written in C do not say what they take.
            parameters = [inspect.Parameter("args", _ARGS), inspect.Parameter("kwargs", _KWARGS)]
        self._parameters = parameters
        self.hints: dict[str, Any] = {name: hint for name, hint in hints_of(function).items() if name != "return"}
        self._hints_at: dict[str | int, Any] = {}
        self.unchecked: Callable[..., Bound] = _generate(self.name, parameters)
        hints = [self.hints.get(parameter.name, UNKNOWN) for parameter in parameters]
        self.loose: bool = any(not Tester.knows(hint) or holds_anything(hint) for hint in hints)
        """Whether there are parameters that take anything, or something with anything in it, as far as is known."""
        self.checked: Callable[..., Any] = self._checking(self._lenient_hints())

    def _checking(self, hints: dict[str, Any]) -> Callable[..., Any]:
        """Binds and checks, by beartype where it is not plain that everything is right."""
        checked = Tester.decorate(_generate(self.name, self._parameters), hints)
        kinds = {name: known for name, hint in hints.items() if (known := kinds_of(hint)) is not None}
        return _generate(self.name, self._parameters, kinds, checked) if hints and len(kinds) == len(hints) else checked

    def _lenient_hints(self) -> dict[str, Any]:
        """The annotations, by which a reference is as good as a value, as is nothing where there is a default."""
        hints = {}
        for parameter in self._parameters:
            hint = self.hints.get(parameter.name, UNKNOWN)
            if Tester.knows(hint):
                accepted = (hint, Reference) if parameter.default is parameter.empty else (hint, Reference, Missing)
                hints[parameter.name] = _UNION[accepted]
        return hints

    def hint_at(self, place: str | int) -> Any:
        """The annotation that an argument of a task falls under, by its name or position."""
        known = self._hints_at.get(place)
        if known is None:
            known = self._hints_at[place] = self._find_hint(place)
        return known

    def _find_hint(self, place: str | int) -> Any:
        if isinstance(place, int):
            places = [p for p in self._parameters if p.kind in (_POSITIONAL_ONLY, _EITHER)]
            if place < len(places):
                return self.hints.get(places[place].name, UNKNOWN)
            place = next((p.name for p in self._parameters if p.kind is _ARGS), "")
        elif not any(p.name == place and p.kind in (_EITHER, _KEYWORD_ONLY) for p in self._parameters):
            place = next((p.name for p in self._parameters if p.kind is _KWARGS), "")
        return self.hints.get(place, UNKNOWN)

    def name_at(self, place: str | int) -> str:
        """What to call an argument in a message."""
        if isinstance(place, str):
            return place
        places = [p.name for p in self._parameters if p.kind in (_POSITIONAL_ONLY, _EITHER)]
        if place < len(places):
            return places[place]
        rest = next((p.name for p in self._parameters if p.kind is _ARGS), "args")
        return f"{rest}[{place - len(places)}]"


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """What a function takes, whether or not its annotations can be evaluated.

    Raises:
        TypeError, ValueError: it does not say.
    """
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def _generate(
    name: str,
    parameters: list[inspect.Parameter],
    kinds: dict[str, frozenset[type]] | None = None,
    checked: Callable[..., Any] | None = None,
) -> Callable[..., Bound]:
    """A function with these parameters that returns its arguments.

    Parameters:
        name: What it is called in what Python says about wrong arguments.
        parameters: The parameters.
        kinds: By parameter, the types of what is plainly right.
        checked: Called instead where something else is given.
    """
    taken = {parameter.name for parameter in parameters}
    given, first, missing, otherwise = (_unused(word, taken) for word in ("given", "first", "missing", "otherwise"))
    names: dict[str, Any] = {missing: MISSING, otherwise: checked}
    rest = next((p.name for p in parameters if p.kind is _ARGS), None)
    keywords = next((p.name for p in parameters if p.kind is _KWARGS), None)
    lines = [f"def bind({_declaration(parameters, missing)}):"]
    if kinds is not None:
        holders = {parameter: _unused("kinds", taken) for parameter in kinds}
        names |= {holder: kinds[parameter] for parameter, holder in holders.items()}
        lines.append(f"    if not ({all_plain(parameters, holders)}): return {otherwise}({_passed_on(parameters)})")
    lines += [f"    {given} = {{}}", f"    {first} = ()"]
    either = [p for p in parameters if p.kind is _EITHER]
    for parameter in parameters:
        if parameter.kind is _POSITIONAL_ONLY:
            lines += _unless_missing(parameter, missing, f"{first} += ({parameter.name},)")
    named = [p for p in parameters if p.kind in (_EITHER, _KEYWORD_ONLY)]
    if rest is not None and either:
        # What comes behind them by position can only be given by position if they are, too.
        lines.append(f"    if {rest}: {first} += ({', '.join(p.name for p in either)},)")
        lines.append("    else:")
        for parameter in either:
            put = f"{given}[{parameter.name!r}] = {parameter.name}"
            lines += ["    " + line for line in _unless_missing(parameter, missing, put)]
        named = [p for p in named if p.kind is _KEYWORD_ONLY]
    for parameter in named:
        lines += _unless_missing(parameter, missing, f"{given}[{parameter.name!r}] = {parameter.name}")
    if rest is not None:
        lines.append(f"    {first} += {rest}")
    if keywords is not None:
        lines.append(f"    {given}.update({keywords})")
    lines.append(f"    return {given}, {first}")
    exec("\n".join(_merged(lines, given)), names)
    bind: Callable[..., Bound] = names["bind"]
    # Only this one: the other must stay a name that beartype can write a function with.
    bind.__qualname__ = name
    return bind


def _merged(lines: list[str], given: str) -> list[str]:
    """The same with the arguments that are always there in one display, which is the faster way to make a dict."""
    put = f"    {given}["
    always = [line for line in lines if line.startswith(put)]
    pairs = ", ".join(line.removeprefix(put).replace("] = ", ": ", 1) for line in always)
    return [
        f"    {given} = {{{pairs}}}" if line == f"    {given} = {{}}" else line for line in lines if line not in always
    ]


def _unless_missing(parameter: inspect.Parameter, missing: str, statement: str) -> list[str]:
    if parameter.default is parameter.empty:
        return [f"    {statement}"]
    return [f"    if {parameter.name} is not {missing}: {statement}"]


def _declaration(parameters: list[inspect.Parameter], missing: str) -> str:
    parts: list[str] = []
    starred = False
    for index, parameter in enumerate(parameters):
        default = "" if parameter.default is parameter.empty else f"={missing}"
        if parameter.kind is _ARGS:
            starred = True
        elif parameter.kind is _KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        prefix = "*" if parameter.kind is _ARGS else "**" if parameter.kind is _KWARGS else ""
        parts.append(f"{prefix}{parameter.name}{default}")
        following = parameters[index + 1].kind if index + 1 < len(parameters) else None
        if parameter.kind is _POSITIONAL_ONLY and following is not _POSITIONAL_ONLY:
            parts.append("/")
    return ", ".join(parts)


def _passed_on(parameters: list[inspect.Parameter]) -> str:
    """The arguments, as they are given to another function with the same parameters."""
    prefixes: dict[Any, str] = {_ARGS: "*{0}", _KWARGS: "**{0}", _KEYWORD_ONLY: "{0}={0}"}
    return ", ".join(prefixes.get(parameter.kind, "{0}").format(parameter.name) for parameter in parameters)


def _unused(word: str, taken: set[str]) -> str:
    while word in taken:
        word = f"_{word}"
    taken.add(word)
    return word
