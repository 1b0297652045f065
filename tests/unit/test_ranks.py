"""Which of the due tasks comes first: the one with the longest way to the end, by what has been learnt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cotality.parallel import Task
from cotality.parallel._data.task_options import Options
from cotality.parallel._scheduling.ranks import FIRST_LOOK, PAUSE, SECONDS_A_NODE, SHORTEST_SECONDS, Durations
from tests.unit.graph_engine import came_back, failed, plan_of, succeeded, take

SHORT, LONG = Options(name="short"), Options(name="long")


def a_task(options: Options, *inputs: Task[Any]) -> Task[Any]:
    return Task(max, {}, positional=tuple(task.output for task in inputs), options=options)


def known(**seconds: float) -> Durations:
    durations = Durations()
    for name, length in seconds.items():
        durations.learn(a_task(Options(name=name)), length)
    return durations


def taken(plan: Any) -> list[int]:
    return [ticket for ticket, _call in take(plan)]


def in_turn(tasks: Iterable[Task[Any]], durations: Durations) -> list[int]:
    return taken(plan_of(*tasks, durations=durations))


def test_the_longest_way_to_the_end_comes_first() -> None:
    lone, head = a_task(SHORT), a_task(SHORT)
    behind = a_task(LONG, head)
    # By seconds, not by steps: three short ones behind each other are less than one long one.
    other = a_task(SHORT)
    chain = a_task(SHORT, a_task(SHORT, other))
    plan = plan_of(lone, head, behind, other, chain, durations=known(short=1.0, long=10.0))
    tickets = plan.graph.tickets
    assert taken(plan) == [tickets[head], tickets[other], tickets[lone]]


def test_nothing_is_put_before_another_as_long_as_nothing_is_known() -> None:
    lone, head = a_task(SHORT), a_task(SHORT)
    assert in_turn([lone, head, a_task(LONG, head)], Durations()) == [0, 1]


def test_an_order_is_not_looked_for_where_it_can_gain_nothing() -> None:
    lone, head = a_task(SHORT), a_task(SHORT)
    nodes = [lone, head, a_task(LONG, head)]
    assert in_turn(nodes, known(short=1.0)) == [0, 1], "all alike"
    tiny = SHORTEST_SECONDS / 10
    assert in_turn(nodes, known(short=tiny, long=2 * tiny)) == [0, 1], "too short"


def test_durations_are_learnt_while_tasks_run_and_reorder_what_is_due() -> None:
    first = [a_task(SHORT) for _ in range(FIRST_LOOK - 1)] + [a_task(LONG)]
    gate = a_task(SHORT)
    lone = a_task(SHORT).after(gate)
    head = a_task(SHORT).after(gate)
    behind = a_task(LONG, head)
    durations = Durations()
    plan = plan_of(*first, gate, lone, head, behind, durations=durations)
    tickets = plan.graph.tickets
    planned = take(plan)
    for each in planned:
        length = 10.0 if plan.graph.nodes[each[0]].name == "long" else 1.0
        plan.settle([succeeded(each, 1, started=100.0, ended=100.0 + length)], now=110.0)
    assert taken(plan) == [tickets[head], tickets[lone]]
    assert durations.expected(behind) == 10.0


def test_a_new_name_changes_the_order_as_soon_as_it_is_known() -> None:
    first = [a_task(SHORT) for _ in range(FIRST_LOOK)]
    news = a_task(LONG)
    gate = a_task(SHORT)
    lone = a_task(SHORT).after(gate)
    head = a_task(LONG).after(gate)
    plan = plan_of(*first, news, gate, lone, head)
    tickets = plan.graph.tickets
    planned = {each[0]: each for each in take(plan)}
    plan.settle([succeeded(planned[tickets[task]], 1) for task in first], now=110.0)
    plan.settle([succeeded(planned[tickets[news]], 1, started=100.0, ended=110.0)], now=110.0)
    plan.settle([succeeded(planned[tickets[gate]], 1)], now=110.0)
    assert taken(plan) == [tickets[head], tickets[lone]]


def test_an_order_stays_for_a_while_in_a_large_graph() -> None:
    nodes = [a_task(Options(name=f"{number % 4}")) for number in range(4_000)]
    plan = plan_of(*nodes, a_task(SHORT, nodes[0]))
    ranks, planned = plan._ranks, take(plan, 4)
    assert ranks is not None
    endings = [succeeded(each, 1, started=100.0, ended=101.0 + each[0]) for each in planned]
    assert not ranks.learn(endings[:1], 100.0), "of one name nothing can be told"
    assert ranks.learn(endings[1:2], 100.0)
    assert not ranks.learn(endings[2:3], 100.0 + 8_000 * SECONDS_A_NODE), "it would take as long as what it is to save"
    assert ranks.learn(endings[3:], 100.0 + 8_002 * PAUSE * SECONDS_A_NODE)


def test_an_order_is_found_sooner_again_where_less_is_left() -> None:
    """What names come last matters most: nothing is left that could fill the gaps."""
    nodes = [a_task(Options(name="early")) for _ in range(3_990)]
    last = [a_task(Options(name=f"{number}"), nodes[0]) for number in range(4)]
    plan = plan_of(*nodes, *last, a_task(SHORT, last[0]))
    ranks = plan._ranks
    assert ranks is not None
    plan.settle([succeeded(each, 1) for each in take(plan, 4_000)], now=100.0)
    endings = [succeeded(each, 1, started=100.0, ended=101.0 + each[0]) for each in take(plan)]
    assert ranks.learn(endings[:1], 100.0)
    assert not ranks.learn(endings[1:2], 100.0 + 3_000 * PAUSE * SECONDS_A_NODE)
    assert ranks.learn(endings[2:3], 100.0 + 4_010 * PAUSE * SECONDS_A_NODE)


def test_what_is_not_known_is_not_put_off() -> None:
    # Where it is long, putting it off would cost most; and when the first of them has ended it is known.
    short, new = a_task(SHORT), a_task(Options(name="new"))
    long_ones = [a_task(LONG, short), a_task(LONG, new)]
    assert in_turn([short, new, *long_ones], known(short=1.0, long=10.0)) == [1, 0]


def test_a_new_order_leaves_first_what_has_come_back() -> None:
    short, gate = a_task(SHORT), a_task(SHORT)
    long = a_task(LONG, gate)
    plan = plan_of(short, long, durations=known(short=1.0, long=10.0))
    tickets, ranks = plan.graph.tickets, plan._ranks
    assert ranks is not None
    planned = {each[0]: each for each in take(plan)}
    plan.settle([came_back(planned[tickets[short]]), succeeded(planned[tickets[gate]], 1)], now=102.0)
    plan._lanes.rank(ranks)
    assert taken(plan) == [tickets[short], tickets[long]]


def test_a_failure_teaches_nothing() -> None:
    durations = Durations()
    lone = a_task(LONG)
    plan = plan_of(lone, a_task(SHORT, lone), durations=durations)
    (planned,) = take(plan)
    plan.settle([failed(planned, ValueError())], now=101.0)
    assert durations.expected(lone) == 0.0
