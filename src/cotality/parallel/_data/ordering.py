"""From tasks to everything they need, in an order in which they could run."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any, TypeAlias

from cotality.parallel._data.mapped import Mapped
from cotality.parallel._data.reference import Wire
from cotality.parallel._data.task import Task
from cotality.parallel._data.task_errors import CycleError

Node: TypeAlias = Task[Any] | Mapped[Any]


def wires_of(node: Node) -> list[Wire]:
    """The wires that lead into a node."""
    if type(node) is Mapped:
        return [source for source in node.sources if type(source) is Wire]
    return node.wires()  # type: ignore[union-attr]


def is_wired(node: Node) -> bool:
    """Whether a node needs any other; asked of every node, so it must be quick for those that do not."""
    return bool(node.predecessors or type(node) is Mapped or node.wired or node.wired is None)  # type: ignore[union-attr]


def needs_of(node: Node) -> Sequence[Node]:
    """The nodes that a node waits for; one may be there more than once."""
    sources: Sequence[Node] | None = node.sources() if type(node) is Task else None
    if sources is None:
        lent = node.lent if type(node) is Mapped else ()
        sources = [wire.task for wire in (*wires_of(node), *lent)]
    return [*sources, *node.predecessors] if node.predecessors else sources


def are_in_order(nodes: Iterable[Node]) -> bool:
    """Whether each node stands behind all that it needs: then nothing has to be looked for."""
    seen: set[Node] = set()
    for node in nodes:
        if is_wired(node) and not seen.issuperset(needs_of(node)):
            return False
        seen.add(node)
    return True


def in_order(roots: Iterable[Node], known: Container[Node] = ()) -> list[Node]:
    """These nodes and all that they need, each behind what it needs; without those that are known.

    Raises:
        CycleError: some wait for each other in a circle; names them.
    """
    ordered: dict[Node, None] = {}
    begun: set[Node] = set()
    # What is last in it is looked at first: so the first root comes first in the order, and the first need of a node.
    pending = [*roots][::-1]
    while pending:
        node = pending[-1]
        missing: list[Node] = []
        if node not in begun:
            if node in known:
                pending.pop()
                continue
            if is_wired(node):
                begun.add(node)
                for need in needs_of(node):
                    if need not in ordered and need not in known:
                        if need in begun:
                            raise CycleError(_circle([other for other in pending if other in begun], need))
                        missing.append(need)
        if missing:
            pending += missing[::-1]
        else:
            # All that it needs is there; it may be there itself, if others that were looked at before need it.
            ordered[pending.pop()] = None
    return list(ordered)


def _circle(path: list[Node], start: Node) -> str:
    names = [node.name for node in path[path.index(start) :]][::-1]
    shown = names if len(names) <= 12 else [*names[:6], "…", *names[-6:]]
    return f"tasks wait for each other in a circle: {' → '.join([*shown, shown[0]])}"
