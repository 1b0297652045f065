"""Whether a run has come to what it must."""

from __future__ import annotations

from typing import Any

from cotality.parallel import Outcome
from tests.fuzz.programs import Expected, Made, plain


def check_states(made: list[Made], execution: Any) -> None:
    """Compare the state of every task, map and item, and the results that are kept."""
    graph, maps = execution.plan.graph, execution.plan.maps
    for each in made:
        _check(graph, maps, graph.tickets[each.node], each.expected)
        if each.kept and each.expected.good and graph.tickets[each.node] in graph.values:
            found = graph.values[graph.tickets[each.node]]
            found = found.open() if hasattr(found, "open") else found
            assert plain(found) == plain(each.expected.value), (each.node, plain(found), plain(each.expected.value))


def check_kept(made: list[Made], plan: Any) -> None:
    for each in made:
        if each.kept and each.expected.good:
            assert plan.graph.tickets[each.node] in plan.graph.values, each.node


def _check(graph: Any, maps: Any, ticket: int, expected: Expected) -> None:
    state = graph.records.state_of(ticket)
    assert state == expected.state, (
        graph.nodes[ticket],
        ticket,
        state,
        expected.state,
        graph.records.errors.get(ticket),
    )
    if expected.items is not None:
        items = maps.by_ticket[ticket].items
        assert len(items) == len(expected.items), (graph.nodes[ticket], len(items), len(expected.items))
        for item, each in zip(items, expected.items, strict=True):
            _check(graph, maps, item, each)


def check_uses(plan: Any) -> None:
    """Nothing is held but what somebody may still read."""
    graph = plan.graph
    assert all(graph.uses[ticket] > 0 for ticket in graph.values), [t for t in graph.values if graph.uses[t] <= 0]
    assert all(uses == 0 or uses >= 1 << 30 for uses in graph.uses), [
        (t, u, graph.nodes[t]) for t, u in enumerate(graph.uses) if u and u < 1 << 30
    ]


def check_handed(outcomes: list[Outcome[Any]], wanted: list[Made], ordered: bool) -> None:
    """Whether a stream has handed out what it was asked for, each once."""
    indices = [outcome.index for outcome in outcomes]
    assert len(indices) == len(set(indices))
    expected: list[Any] = []
    for made in wanted:
        if made.is_map:
            expected += [item.outcome() for item in made.expected.items or ()] + made.expected.rest()
        else:
            expected.append(made.expected.outcome())
    found = [plain(outcome) for outcome in outcomes]
    if ordered:
        assert found == expected, (found, expected)
    else:
        assert sorted(map(repr, found)) == sorted(map(repr, expected)), (found, expected)
