"""What a stream hands to its consumer: the outcomes of the tasks it was asked for, as they come or in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from cotality.parallel._data.mapped import Mapped
from cotality.parallel._data.ordering import Node
from cotality.parallel._data.outcome import Outcome
from cotality.parallel._scheduling.expansion import NOT_BEGUN, Expansion
from cotality.parallel._scheduling.graph import Graph
from cotality.parallel._scheduling.maps import Maps
from cotality.parallel._scheduling.records import PENDING


class Delivery:
    """The outcomes of one stream.

    Parameters:
        wanted: The tasks, and the maps whose items, are asked for, in the order of the plan.
        ordered: Whether outcomes come in that order, a map's items where the map stands.
    """

    def __init__(self, wanted: Sequence[Node], *, ordered: bool) -> None:
        self._order = list(wanted)
        self.wanted: set[Node] = set(wanted)
        self._ordered = ordered
        self._at = 0
        self._item = 0
        self._handed: deque[Expansion | None] = deque()

    def ended(self, tickets: Sequence[int], graph: Graph, maps: Maps) -> list[Outcome[Any]]:
        """What may be handed out now that these have ended."""
        if self._ordered:
            return self._in_order(graph, maps)
        outcomes = []
        for ticket in tickets:
            expansion = maps.item_of.get(ticket)
            node = graph.nodes[ticket]
            if expansion is not None and expansion.mapped in self.wanted:
                outcomes.append(self._hand_out(ticket, expansion, graph, maps))
            elif node in self.wanted and (type(node) is not Mapped or _speaks_for_itself(ticket, graph, maps)):
                outcomes.append(self._hand_out(ticket, None, graph, maps))
        return outcomes

    def _in_order(self, graph: Graph, maps: Maps) -> list[Outcome[Any]]:
        outcomes = []
        state = graph.records.state
        while self._at < len(self._order):
            node = self._order[self._at]
            ticket = graph.tickets[node]
            expansion = maps.by_ticket.get(ticket)
            if expansion is not None:
                items = expansion.items
                while self._item < len(items) and self._has_ended(items[self._item], state):
                    outcomes.append(self._hand_out(items[self._item], expansion, graph, maps))
                    self._item += 1
                if self._item < len(items):
                    break
            if state[ticket] == PENDING:
                break
            if expansion is None or _speaks_for_itself(ticket, graph, maps):
                outcomes.append(self._hand_out(ticket, None, graph, maps))
            self._at += 1
            self._item = 0
        return outcomes

    @staticmethod
    def _has_ended(item: int, state: bytearray) -> bool:
        return item != NOT_BEGUN and state[item] != PENDING

    def _hand_out(self, ticket: int, expansion: Expansion | None, graph: Graph, maps: Maps) -> Outcome[Any]:
        self._handed.append(expansion)
        outcome = graph.records.outcome(ticket, graph.nodes[ticket], graph.value_of(ticket))
        if expansion is not None or type(graph.nodes[ticket]) is not Mapped:
            graph.release(ticket)
        maps.drop(ticket)
        return outcome

    def consumed(self, count: int) -> None:
        """The consumer has taken so many of the outcomes that it was handed."""
        for _ in range(count):
            expansion = self._handed.popleft()
            if expansion is not None:
                expansion.unconsumed -= 1

    @property
    def unconsumed(self) -> int:
        """How many outcomes were handed out and not consumed."""
        return len(self._handed)


def _speaks_for_itself(ticket: int, graph: Graph, maps: Maps) -> bool:
    """Whether a map has something to say beyond its items: it never began, or some of them never will be."""
    expansion = maps.by_ticket.get(ticket)
    return expansion is None or not expansion.is_complete
