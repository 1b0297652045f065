"""A run of a workflow by workers that are simulated: thousands of programs in a minute, in every order of ends."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from cotality.parallel import Outcome
from cotality.parallel._data.messages import Planned
from cotality.parallel._scheduling.graph_plan import GraphPlan
from tests.unit.graph_engine import came_back, run_batch


def run(plan: GraphPlan, chance: Random) -> list[Outcome[Any]]:
    """Run to the end, in an order that chance decides; the outcomes that were handed out."""
    handed: list[Outcome[Any]] = []
    waiting: list[Outcome[Any]] = []
    flying: list[Sequence[Planned]] = []
    window = chance.choice([1, 2, 3, 10, 1000])
    now = 100.0
    for _ in range(20_000):
        if plan.done:
            handed += waiting
            waiting += plan.settle((), now)
            if not waiting:
                return handed
            continue
        plan.advance(window, now)
        for name, lane in list(plan.lanes.items()):
            lane.chains = name == "processes"
            batch = plan.take(name, chance.randint(1, 6), window, now)
            flying += [batch] if lane.chains and batch else [[planned] for planned in batch]
        chance.shuffle(flying)
        some = chance.randint(1, len(flying)) if flying else 0
        endings = []
        for batch in flying[:some]:
            # A worker may die before it comes to all of them.
            done = chance.randint(0, len(batch)) if chance.random() < 0.1 else len(batch)
            endings += run_batch(batch[:done]) + [came_back(planned) for planned in batch[done:]]
        flying = flying[some:]
        if not endings and not plan.done:
            now += plan.patience(now) or 0.0
        waiting += plan.settle(endings, now)
        taken = chance.randint(0, len(waiting)) if flying else len(waiting)
        plan.consumed(taken)
        handed, waiting = handed + waiting[:taken], waiting[taken:]
    raise AssertionError("does not come to its end")
