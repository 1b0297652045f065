"""References to what a task will give, and what becomes of them among the arguments of another task.

A user holds a :class:`Reference`. Where one is given to a task it is replaced by a :class:`Wire`, which says the same
and does nothing else, or, where it stands for all that another task gives and is an argument of its own, by that very
task: most are like that, and a million wires that need not be made are as many objects that the garbage collector need
not look at. So the references alive at any moment are those that somebody holds, mostly none; and while there is none,
no argument has to be searched for any.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, TypeAlias

from cotality.parallel._data.atoms import ATOMS
from cotality.parallel._data.outcome import Outcome
from cotality.parallel._data.task_errors import ReferenceMisuse

Step: TypeAlias = tuple[bool, Any]
"""``(True, key)`` for ``[key]`` and ``(False, name)`` for ``.name``."""

VALUE, OUTCOME = "output", "outcome"
"""What of its task a reference stands for. A map has the same two for all of its items together."""

alive: set[int] = set()
"""Which references somebody holds, by their ids. Empty, it says that no argument can hold any."""


class Wire:
    """A reference among the arguments of a task."""

    __slots__ = ("kind", "path", "task")

    def __init__(self, task: Any, kind: str = VALUE, path: tuple[Step, ...] = ()) -> None:
        self.task: Any = task
        self.kind: str = kind
        self.path: tuple[Step, ...] = path

    @property
    def is_whole(self) -> bool:
        """Whether it stands for all that its task gives."""
        return not self.path and self.kind == VALUE

    def to(self, item: bool, key: Any) -> Wire:
        """A wire to a part of what this one carries."""
        return Wire(self.task, self.kind, (*self.path, (item, key)))

    def follow(self, value: Any) -> Any:
        """From the task's value to the part of it that is meant."""
        for item, key in self.path:
            value = value[key] if item else getattr(value, key)
        return value

    def __repr__(self) -> str:
        return f"<{self.kind} of {self.task.name}>"


class Reference:
    """Stands for a result that does not exist yet, so that it can be given to another task.

    It allows ``[key]``, ``.attribute`` and, where the result is a tuple of fixed length, unpacking. Whatever would
    need the value itself raises a :class:`~cotality.parallel.errors.ReferenceMisuse`.

    Example:
        >>> from cotality.parallel import Task
        >>> Task(divmod, {}, positional=(7, 2)).output[0]
        <reference to the output of divmod, at [0]>
    """

    __slots__ = ("__weakref__", "_source")

    _source: Any

    def __init__(self, source: Any) -> None:
        # A wire, or the task or map all of whose output is meant.
        _set_source(self, source)
        alive.add(id(self))

    def __del__(self, forget: Callable[[int], None] = alive.discard) -> None:
        forget(id(self))

    def __getitem__(self, key: Any) -> Reference:
        if isinstance(key, Reference):
            raise ReferenceMisuse(f"{self!r} can not be indexed by another reference: do it inside a task")
        return Reference(wire_of(self).to(True, key))

    def __getattr__(self, name: str) -> Reference:
        if name.startswith("_"):
            raise AttributeError(f"{self!r} has no attribute {name!r}: names with an underscore are not passed on")
        return Reference(wire_of(self).to(False, name))

    def __iter__(self) -> Iterator[Reference]:
        from cotality.parallel._data.hints import arity_of

        wire = wire_of(self)
        arity = None if wire.path or wire.kind != VALUE else arity_of(wire.task)
        if arity is None:
            raise ReferenceMisuse(
                f"{self!r} can not be iterated: how many items it has is not known before the task has run. "
                "Use flow.map for a task per item, or annotate the function to return a tuple of fixed length"
            )
        return iter([self[index] for index in range(arity)])

    def __repr__(self) -> str:
        wire = wire_of(self)
        steps = "".join(f"[{key!r:.40}]" if item else f".{key}" for item, key in wire.path)
        return f"<reference to the {wire.kind} of {wire.task.name}{', at ' if steps else ''}{steps}>"

    def __hash__(self) -> int:
        return object.__hash__(self)


_set_source: Any = Reference.__dict__["_source"].__set__
"""Sets the only attribute there is; for users, references can not be changed."""


def _refuse(name: str, what: str) -> Callable[..., NoReturn]:
    def refuse(self: Reference, *_: object) -> NoReturn:
        raise ReferenceMisuse(
            f"{self!r} {what}: its value exists only when the task has run. "
            "Pass it to another task and do it there, or read run[task] after the run"
        )

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


_REFUSED = {
    "has no truth value": "bool",
    "has no length": "len contains",
    "can not be called": "call",
    "can not be awaited": "await",
    "can not be compared": "eq ne lt le gt ge",
    "can not be formatted": "format",
    "can not be computed with": (
        "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and or xor radd rsub rmul rmatmul rtruediv "
        "rfloordiv rmod rdivmod rpow rlshift rrshift rand ror rxor iadd isub imul neg pos abs invert int float complex "
        "index round trunc floor ceil"
    ),
    "can not be changed": "setitem delitem setattr delattr",
    "can not be pickled": "reduce_ex",
    "can not be copied": "copy deepcopy",
    "is no context": "enter exit aenter aexit",
    "can not be iterated": "next aiter anext reversed",
}
for _what, _names in _REFUSED.items():
    for _name in _names.split():
        setattr(Reference, f"__{_name}__", _refuse(f"__{_name}__", _what))


Place: TypeAlias = str | int
"""Which argument of a task: its name, or its position."""
Wired: TypeAlias = tuple[Place, ...] | dict[Place, Any]
"""Which arguments of a task hold wires. As a tuple: each is the task all of whose result it stands for. As a dict: what
each holds, with wires in the place of references."""


def as_references(value: Any) -> Any:
    """What :func:`weave` gave, with references again in the place of the wires."""
    return fill(value, Reference)


def wire_of(reference: Reference) -> Wire:
    """What takes the place of a reference."""
    source = reference._source
    return source if type(source) is Wire else Wire(source)


def source_of(reference: Reference) -> Any:
    """The task or map all of whose output a reference stands for; a wire, if it stands for something else."""
    return reference._source


def weave(value: Any) -> tuple[Any, list[Wire]]:
    """A value with wires in the place of its references, and the wires; the value itself where it has none.

    Raises:
        ReferenceMisuse: a task stands where its output belongs, or a reference is a key of a dict.
    """
    if type(value) is Reference:
        wire = wire_of(value)
        return wire, [wire]
    wires: list[Wire] = []
    if not _holds_reference(value):
        return value, wires

    def swap(leaf: Any) -> Any:
        if type(leaf) is not Reference:
            return leaf
        wires.append(wire_of(leaf))
        return wires[-1]

    return rebuild(value, swap), wires


def wires_in(value: Any) -> list[Wire]:
    """The wires in what :func:`weave` gave."""
    if type(value) is Wire:
        return [value]
    return [node for node in _walk(value) if type(node) is Wire]


def fill(value: Any, lookup: Callable[[Wire], Any]) -> Any:
    """What :func:`weave` gave, with values in the place of the wires."""
    if type(value) is Wire:
        return lookup(value)
    return rebuild(value, lambda leaf: lookup(leaf) if type(leaf) is Wire else leaf)


# Walking ---------------------------------------------------------------------------------------------------------

_BARREN: Final = ATOMS | {bytearray}


def _holds_reference(value: Any) -> bool:
    found = False
    for node in _walk(value):
        if type(node) is Reference:
            found = True
        elif getattr(type(node), "__node__", False):
            raise ReferenceMisuse(f"a task was given where its output belongs: pass its .output ({node.name})")
    return found


def _parts(value: Any) -> list[Any] | None:
    """What a value of a kind that is rebuilt consists of; None for all others."""
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return list(value)
    if kind is dict:
        return list(value.values())
    if kind in (Reference, Wire, Outcome):
        # An outcome is what has been, and names its task.
        return None
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and not hasattr(kind, "__node__"):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return None


def _walk(value: Any) -> Iterator[Any]:
    """Every part of a value, itself included, each container once: a list may hold itself."""
    seen: set[int] = set()
    pending = [value]
    while pending:
        node = pending.pop()
        kind = type(node)
        if kind in _BARREN:
            continue
        yield node
        parts = _parts(node)
        if parts is None or id(node) in seen:
            continue
        seen.add(id(node))
        if kind is dict and any(type(key) is Reference for key in node):
            raise ReferenceMisuse("a reference can not be a key of a dict: its value is not known yet")
        if not _BARREN.issuperset(map(type, parts)):
            pending.extend(reversed(parts))


def rebuild(root: Any, swap: Callable[[Any], Any]) -> Any:
    """A copy of exact lists, tuples, sets, frozensets and dicts, of named tuples and dataclasses, with leaves swapped.

    Not recursive, and safe for containers that hold themselves.
    """
    done: dict[int, Any] = {}
    pending: list[tuple[Any, bool]] = [(root, False)]
    while pending:
        node, ready = pending.pop()
        key = id(node)
        if ready:
            _assemble(node, done)
            continue
        if key in done:
            continue
        parts = _parts(node)
        if parts is None:
            done[key] = swap(node)
            continue
        if type(node) in (list, dict, set):
            # There before its parts are, for one of them may be this very container.
            done[key] = type(node)()
        pending.append((node, True))
        pending.extend((part, False) for part in reversed(parts) if id(part) not in done)
    return done[id(root)]


def _assemble(node: Any, done: dict[int, Any]) -> None:
    kind = type(node)
    parts = [done[id(part)] for part in _parts(node) or ()]
    made: Any = done.get(id(node))
    if kind is list:
        made.extend(parts)
    elif kind is set:
        made.update(parts)
    elif kind is dict:
        made.update(zip(node, parts, strict=True))
    elif kind in (tuple, frozenset):
        done[id(node)] = kind(parts)
    elif isinstance(node, tuple):
        done[id(node)] = kind._make(parts)
    else:
        twin = done[id(node)] = copy.copy(node)
        for field, part in zip(dataclasses.fields(node), parts, strict=True):
            if hasattr(node, field.name):
                object.__setattr__(twin, field.name, part)


Reference.__module__ = "cotality.parallel"
