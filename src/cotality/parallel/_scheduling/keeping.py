"""How long a run keeps what the functions of its maps have made: a map may be endless, and what it makes large.

Such a function may have kept a task, to wire later ones to it. So the result of one that it made beside an item stays
as long as somebody can name that task; what it found outside, as long as there may be more items.
"""

from __future__ import annotations

from collections import ChainMap, deque
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, ref

from cotality.parallel._data.mapped import Mapped
from cotality.parallel._data.ordering import Node, needs_of
from cotality.parallel._data.task import gathered
from cotality.parallel._scheduling.expansion import NOT_BEGUN, Expansion
from cotality.parallel._scheduling.graph import Graph
from cotality.parallel._scheduling.records import SUCCEEDED, Gone


class Keeping:
    """What the maps of a run have made and use.

    Parameters:
        graph: Where it is.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.item_of: dict[int, Expansion] = {}
        """The map that an item belongs to."""
        self._beside: dict[int, Expansion] = {}
        """The map that something was made for beside its items."""
        self._gone: dict[tuple[str, bool], Gone] = {}
        """What stands for those that nobody needs any more, of which there are few kinds."""
        self._dropped: WeakKeyDictionary[Node, int] = WeakKeyDictionary()
        """The tickets of those, as far as somebody has kept them."""
        self.known = ChainMap(graph.tickets, self._dropped)
        self._watched: dict[int, ref[Node]] = {}
        self._nameless: deque[int] = deque()
        """Those that nobody can name any more. The last who could may have been in any thread."""

    def add(self, expansion: Expansion, node: Node) -> None:
        """Something that an item of this map needs and that is not part of the run yet."""
        (ticket,) = self._graph.add([node])
        self._beside[ticket] = expansion

    def recall(self, need: Node) -> None:
        """One that was let go of is asked for after all."""
        ticket = self._dropped.pop(need, None)
        if ticket is not None:
            self._graph.tickets[need], self._graph.nodes[ticket] = ticket, need

    def borrow(self, expansion: Expansion, need: Node) -> bool:
        """Keep what an item of this map uses; whether it was not kept for it before."""
        ticket = self._graph.tickets[need]
        if ticket in expansion.borrowed or ticket in self.item_of:
            return False
        expansion.borrowed.add(ticket)
        self._graph.uses[ticket] += 1
        return True

    def drop(self, ticket: int) -> None:
        """Let go of an item that has succeeded, and of what was made beside it."""
        if self._graph.records.state[ticket] != SUCCEEDED or self.item_of.pop(ticket, None) is None:
            return
        node = self._let_go(ticket)
        if not self._beside:
            return
        pending = [node]
        while pending:
            used_up = {need for need in needs_of(pending.pop()) if self._is_used_up(need)}
            pending += [self._let_go(self._graph.tickets[need]) for need in used_up]

    def _let_go(self, ticket: int) -> Any:
        graph = self._graph
        node: Any = graph.nodes[ticket]
        kind = node.name, type(node) is not Mapped and node.callback_function is not gathered
        graph.nodes[ticket] = self._gone.setdefault(kind, Gone(*kind))
        del graph.tickets[node]
        self._dropped[node] = ticket
        if ticket in self._beside and ticket not in self._watched:
            self._watched[ticket] = ref(node, self._when_nameless(ticket))
        return node

    def _when_nameless(self, ticket: int) -> Callable[[ref[Node]], None]:
        # Of the queue alone: what is called would else hold this, which holds it, and all results with it.
        nameless = self._nameless
        return lambda _: nameless.append(ticket)

    def _is_used_up(self, need: Node) -> bool:
        """Whether something was made beside an item, and nothing that there is needs it."""
        ticket = self._graph.tickets.get(need, NOT_BEGUN)
        expansion = self._beside.get(ticket)
        if expansion is None or self._graph.records.state[ticket] != SUCCEEDED:
            return False
        return self._graph.uses[ticket] == (ticket in expansion.borrowed)

    def forget(self) -> None:
        """Let go of the results of what nobody can name any more."""
        while self._nameless:
            ticket = self._nameless.popleft()
            del self._watched[ticket]
            expansion = self._beside.pop(ticket)
            if ticket in expansion.borrowed:
                expansion.borrowed.remove(ticket)
                self._graph.release(ticket)
