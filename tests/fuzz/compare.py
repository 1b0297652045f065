"""Whether a run has come to what it must."""

from __future__ import annotations

from typing import Any

from cotality.parallel import Outcome
from cotality.parallel._scheduling.expansion import NOT_BEGUN
from cotality.parallel._scheduling.graph_plan import GraphPlan
from tests.fuzz.programs import Expected, Made, plain

FOR_EVER = 1 << 30


def check_states(made: list[Made], plan: GraphPlan) -> None:
    """Compare the state of every task, map and item."""
    for each in made:
        _check(plan, plan.graph.tickets[each.node], each.expected)


def _check(plan: GraphPlan, ticket: int, expected: Expected) -> None:
    found, error = plan.records.state_of(ticket), plan.records.errors.get(ticket)
    assert found == expected.state, (plan.graph.nodes[ticket], ticket, found, expected.state, error)
    if expected.items is not None:
        items = plan.maps.by_ticket[ticket].items
        assert len(items) == len(expected.items), (plan.graph.nodes[ticket], len(items), len(expected.items))
        for item, each in zip(items, expected.items, strict=True):
            _check(plan, item, each)


def check_kept(made: list[Made], plan: GraphPlan) -> None:
    """Compare the results that are kept."""
    for each in made:
        if each.kept and each.expected.good:
            value = plan.graph.values[plan.graph.tickets[each.node]]
            found = plain(value.open() if hasattr(value, "open") else value)
            assert found == plain(each.expected.value), (each.node, found, plain(each.expected.value))


def check_uses(plan: GraphPlan) -> None:
    """Nothing is held but what somebody may still read."""
    graph = plan.graph
    assert all(graph.uses[ticket] > 0 for ticket in graph.values)
    assert all(uses == 0 or uses >= FOR_EVER for uses in graph.uses), graph.uses


def check_successes(made: list[Made], plan: GraphPlan) -> None:
    """Of a run that may have ended before its time: what has ended has ended as it must."""
    for each in made:
        _check_successes(plan, plan.graph.tickets[each.node], each.expected)


def _check_successes(plan: GraphPlan, ticket: int, expected: Expected) -> None:
    found = plan.records.state_of(ticket)
    assert found in (expected.state, "cancelled", "skipped"), (plan.graph.nodes[ticket], found, expected.state)
    expansion = plan.maps.by_ticket.get(ticket)
    if expansion is not None and expected.items is not None:
        for item, each in zip(expansion.items, expected.items, strict=False):
            if item != NOT_BEGUN:
                _check_successes(plan, item, each)


def check_handed(outcomes: list[Outcome[Any]], wanted: list[Made], *, ordered: bool) -> None:
    """Whether a stream has handed out what it was asked for, each once."""
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
