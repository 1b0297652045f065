"""Pickles tasks together with all that they need, one behind the other: a chain of a hundred thousand is no deeper
than a single one."""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from cotality.parallel._data.mapped import Mapped
from cotality.parallel._data.names import ByName
from cotality.parallel._data.ordering import Node, in_order
from cotality.parallel._data.reference import Step, Wire, rebuild
from cotality.parallel._data.task import Task

_MAP_FIELDS = ("function", "name", "sources", "lent", "used_up")
_TASK_FIELDS = ("callback_function", "arguments", "positional", "options", "checked", "wired")
_WITH_WIRES = frozenset({"sources", "lent", "arguments", "positional", "wired"})


class _Link:
    """A wire in a pickle: the place of its task among the others takes the place of the task."""

    __slots__ = ("kind", "path", "place")

    def __init__(self, place: int, kind: str, path: tuple[Step, ...]) -> None:
        self.place = place
        self.kind = kind
        self.path = path


class _Twin:
    """Which node of one pickle something is: the function of a map may hold a task that stands in the workflow, too."""

    __slots__ = ("node",)

    def __init__(self) -> None:
        self.node: Any = None


class _Identity:
    """Of a node that may be pickled; each pickle makes a twin of it."""

    __slots__ = ("__weakref__",)

    def __reduce__(self) -> Any:
        return _Twin, ()


_identities: WeakKeyDictionary[Node, _Identity] = WeakKeyDictionary()


class Packed(NamedTuple):
    """A node as it is pickled."""

    is_map: bool
    state: tuple[Any, ...]
    predecessors: tuple[int, ...]
    identity: _Identity | _Twin


def pack(nodes: Sequence[Node]) -> list[Packed]:
    """These nodes, each behind all that it needs, as something that can be pickled.

    Raises:
        KeyError: one needs a node that is not there.
    """
    places = {node: place for place, node in enumerate(nodes)}

    def swap(leaf: Any) -> Any:
        if type(leaf) is Wire:
            return _Link(places[leaf.task], leaf.kind, leaf.path)
        return leaf

    packed = []
    for node in nodes:
        is_map = type(node) is Mapped
        state = tuple(_state_of(node, field, swap) for field in (_MAP_FIELDS if is_map else _TASK_FIELDS))
        predecessors = tuple(places[other] for other in node.predecessors)
        identity = _identities.setdefault(node, _Identity())
        packed.append(Packed(is_map, state, predecessors, identity))
    return packed


def _state_of(node: Node, field: str, swap: Callable[[Any], Any]) -> Any:
    value = getattr(node, field)
    if field not in _WITH_WIRES:
        return ByName.of(value) if type(value) is FunctionType else value
    if isinstance(node, Task):
        # Where nobody has looked for references yet, they are replaced now.
        wiring = node.wiring()
        if not wiring:
            return () if field == "wired" else value
        if field == "wired":
            value = tuple(wiring)
        elif field == "positional":
            value = tuple(dict(wiring).get(place, given) for place, given in enumerate(value))
        else:
            value = {name: dict(wiring).get(name, given) for name, given in value.items()}
    return rebuild(value, swap)


def unpack(packed: Sequence[Packed]) -> list[Node]:
    """What was packed, as new nodes."""
    nodes: list[Node] = []

    def swap(leaf: Any) -> Any:
        return Wire(nodes[leaf.place], leaf.kind, leaf.path) if type(leaf) is _Link else leaf

    for is_map, state, predecessors, identity in packed:
        node: Any = identity.node if type(identity) is _Twin else None
        if node is not None:
            nodes.append(node)
            continue
        node = object.__new__(Mapped if is_map else Task)
        if type(identity) is _Twin:
            identity.node = node
        for field, part in zip(_MAP_FIELDS if is_map else _TASK_FIELDS, state, strict=True):
            setattr(node, field, rebuild(part, swap) if field in _WITH_WIRES else part)
        if not is_map:
            node.wired = dict(node.wired) or ()
        node.predecessors = tuple(nodes[place] for place in predecessors)
        nodes.append(node)
    return nodes


def _last(packed: Sequence[Packed]) -> Node:
    return unpack(packed)[-1]


def _reduce(node: Node) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    return _last, (pack(in_order([node])),)


for _kind in (Task, Mapped):
    copyreg.pickle(_kind, _reduce)  # type: ignore[arg-type]
