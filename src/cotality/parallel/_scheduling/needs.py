"""What each task of a run has waited for, as numbers; found when somebody asks."""

from __future__ import annotations

from cotality.parallel._data.mapped import Mapped
from cotality.parallel._data.ordering import wires_of
from cotality.parallel._scheduling.expansion import NOT_BEGUN, Expansion
from cotality.parallel._scheduling.graph import Graph
from cotality.parallel._scheduling.maps import Maps


def all_needs(graph: Graph, maps: Maps) -> list[tuple[int, ...]]:
    """By ticket, the tickets of those that a node has waited for.

    A map needs its items. They need what the map goes through; where that is another map they need its item at their
    place, so that no circle comes about and no item seems to wait for all of them.
    """
    needs = [tuple(dict.fromkeys((*graph.inputs_of(t), *_before(graph, node)))) for t, node in enumerate(graph.nodes)]
    for expansion in maps.by_ticket.values():
        begun, followed = _sources(graph, expansion)
        for place, item in enumerate(expansion.items):
            if item != NOT_BEGUN:
                beside = tuple(other.items[place] for other in followed if place < len(other.items))
                needs[item] += begun + beside
        needs[expansion.ticket] = (*begun, *(item for item in expansion.items if item != NOT_BEGUN))
    return needs


def _before(graph: Graph, node: object) -> list[int]:
    """Those that it only comes after."""
    known = graph.tickets
    return [known[other] for other in getattr(node, "predecessors", ()) if other in known]


def _sources(graph: Graph, expansion: Expansion) -> tuple[tuple[int, ...], list[Expansion]]:
    """What a map waited for until it began, and the maps that it follows item by item."""
    mapped: Mapped[object] = expansion.mapped
    followed = [upstream.expansion for upstream in expansion.upstreams]
    passed = {other.ticket for other in followed}
    taken = [graph.tickets[wire.task] for wire in wires_of(mapped) if wire.task in graph.tickets]
    begun = dict.fromkeys((*taken, *_before(graph, mapped)))
    return tuple(ticket for ticket in begun if ticket not in passed), followed
