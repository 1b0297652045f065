"""What makes a task the same: its function, its arguments by their content, and which results it takes.

A *key* is sixteen bytes of all three. A *call* is eight bytes of what the user would call the same, whatever became of
the function's code and of the results that it takes: it is only used to say why a task runs again.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, TypeAlias

from cotality.parallel._data.atoms import ATOMS
from cotality.parallel._data.reference import Place
from cotality.parallel._data.task import Task, name_of
from cotality.parallel._data.task_errors import NoStableContent
from cotality.parallel._journal.content import FORMAT, Content, digest, named


class Function(NamedTuple):
    """What is known of a function.

    Parameters:
        name: Where it is defined.
        digest: What it does: its code, its defaults, its globals and what it has closed over; or its version, where it
            has one.
    """

    name: str
    digest: bytes


class Kind:
    """What all tasks of one function and one set of options have in common.

    Parameters:
        function: What is known of the function.
        name: What the tasks are called.
        held: What is kept for as long as this is, so that nothing else has the same id.
    """

    __slots__ = ("_call", "_held", "_key", "function", "name", "resumed")

    def __init__(self, function: Function, name: str, held: Any) -> None:
        self.function = function
        self.name = name
        self.resumed = 0
        """How many of them did not have to run."""
        self._held = held
        # To go on from there costs half of what it costs to begin anew.
        self._key = blake2b(function.digest, digest_size=16)
        self._call = blake2b(function.name.encode() + b"\0", digest_size=8)

    def key_of(self, arguments: bytes) -> bytes:
        """The key of a call."""
        key = self._key.copy()
        key.update(arguments)
        return key.digest()

    def call_of(self, arguments: bytes) -> bytes:
        """What the user would call the same call."""
        call = self._call.copy()
        call.update(arguments)
        return call.digest()


Known: TypeAlias = tuple[bytes, bytes, Kind]
"""A task as it can be found again: its key, its call and its kind."""


class Keys:
    """Makes the keys of one run.

    Parameters:
        content: Makes tokens of arguments.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        self._kinds: dict[tuple[int, int], Kind] = {}
        """By the ids of function and options."""

    @property
    def kinds(self) -> Iterable[Kind]:
        """Those that were asked for."""
        return self._kinds.values()

    def kind_of(self, task: Task[Any]) -> Kind:
        """What is known of a task and all that are like it.

        Raises:
            NoStableContent: something that it has closed over can not be recognised again.
        """
        function, options = task.callback_function, task.options
        kind = self._kinds.get((id(function), id(options)))
        if kind is None:
            by_code = options.cache is None or options.cache.by == "code"
            found = Function(_place_of(function), self._digest_of(function, options.version, by_code=by_code))
            kind = self._kinds[id(function), id(options)] = Kind(found, task.name, (function, options))
        return kind

    def _digest_of(self, function: Callable[..., Any], version: Any, *, by_code: bool) -> bytes:
        if version is not None or not by_code:
            return digest(_place_of(function).encode(), b"\0", marshal.dumps(version, FORMAT))
        try:
            return digest(self._content.token(function))
        except NoStableContent as error:
            raise NoStableContent(
                f"the function {name_of(function)} can not be recognised again: {error}; give it a version=, or "
                "journal=False"
            ) from None

    def arguments_of(self, task: Task[Any], positional: Sequence[Any], keywords: Mapping[str, Any]) -> bytes:
        """What stands for arguments of a task, or for what its ``key=`` makes of them.

        Raises:
            NoStableContent: one of them can not be recognised again; names it.
        """
        key = task.options.key
        if key is not None:
            positional, keywords = (key(*positional, **keywords),), {}
        plain = ATOMS.issuperset(map(type, keywords.values()))
        if plain and (not positional or ATOMS.issuperset(map(type, positional))):
            # Most are like that.
            items = list(keywords.items())
            if len(items) > 1:
                items.sort()
            written: Any = positional, items
            return marshal.dumps(written, FORMAT)
        places: list[tuple[str | int, Any]] = [*enumerate(positional), *sorted(keywords.items())]
        return b"".join([marshal.dumps(place, FORMAT) + self.token(task, place, value) for place, value in places])

    def own_of(self, task: Task[Any]) -> bytes:
        """The same for what a task without ``key=`` has of its own, and the places of what it takes from others."""
        places = in_order(task.look())
        positional, keywords = task.positional, dict(task.arguments)
        for place in places:
            if isinstance(place, str):
                keywords[place] = None
            else:
                positional = (*positional[:place], None, *positional[place + 1 :])
        return self.arguments_of(task, positional, keywords) + marshal.dumps(places, FORMAT)

    def token(self, task: Task[Any], place: str | int, value: Any) -> bytes:
        try:
            return self._content.token(value)
        except NoStableContent as error:
            what = repr(place) if isinstance(place, str) else f"{place + 1}"
            raise NoStableContent(
                f"argument {what} of {task.name} can not be recognised again: {error}; give the task a key=, or "
                "journal=False"
            ) from None


def again(key: bytes, number: int) -> bytes:
    """The key of the second, third, … task of one run with such a key: each of them runs."""
    return digest(key, number.to_bytes(8, "big"))


def in_order(places: Iterable[Place]) -> list[Place]:
    """Always the same: the order of keyword arguments is no content."""
    return sorted(places, key=str)


def _place_of(function: Any) -> str:
    for _ in range(8):
        if hasattr(function, "__qualname__"):
            return named(function)
        function = getattr(function, "func", type(function))
    return named(type(function))
