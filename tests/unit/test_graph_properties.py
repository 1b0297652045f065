"""What every run of a workflow obeys: random graphs, failures, retries and durations, with simulated workers."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cotality.parallel import Limit, Mapped, Outcome, Reference, RetryPolicy, Task
from cotality.parallel._data.messages import NOT_STARTED, Ending, Planned
from cotality.parallel._data.task import called_by
from cotality.parallel._data.task_options import Options
from cotality.parallel._scheduling.graph_plan import GraphPlan
from cotality.parallel.building import gather
from tests.unit.graph_engine import given_to, plan_of

LIMITS = (Limit("few", concurrency=2), Limit("slow", per_second=3), Limit("both", concurrency=3, per_second=2))
ATTEMPTS = 3


class Deed:
    """What a task does here: it notes what it was given and gives its own number."""

    def __init__(self, number: Any) -> None:
        self.number = number

    def __call__(self, *inputs: Any) -> Any:
        return self.number


class World:
    """Simulated workers, a clock, and a log of what has started and ended."""

    def __init__(self, chance: Random, plan: GraphPlan, chains: Sequence[str]) -> None:
        self.chance = chance
        self.plan = plan
        self.now = 100.0
        self._count = 0
        self._events: list[Any] = []
        self._queues: dict[Any, deque[list[Planned]]] = defaultdict(deque)
        self._free: Counter[Any] = Counter()
        self._workers = chance.randint(1, 3)
        self._chains = chains
        self._known: set[Any] = set()
        self.running: dict[int, float] = {}
        self.attempts: Counter[int] = Counter()
        self.starts: dict[str, list[float]] = defaultdict(list)
        self._of_limit: Counter[str] = Counter()
        self.handed: list[Outcome[Any]] = []

    # As a backend does it

    def submit(self, lane: Any, batch: list[Planned]) -> None:
        self._queues[lane].append(batch)
        self._start_next(lane)

    def _start_next(self, lane: Any) -> None:
        while self._free[lane] and self._queues[lane]:
            self._free[lane] -= 1
            self._start(lane, self._queues[lane].popleft())

    def _start(self, lane: Any, batch: list[Planned], made: Any = NOT_STARTED) -> None:
        """Begin with the next task of a batch; the one before it has given this."""
        ticket, call = batch[0]
        arguments = given_to(call, made)
        if arguments is None:
            self._push(self.now, lane, batch, (batch[0], NOT_STARTED, None, 0.0, 0.0, "worker"))
            return
        given = arguments[0]
        self._check_start(ticket, given)
        self.attempts[ticket] += 1
        self.running[ticket] = self.now
        duration = self.chance.choice([0.0, 0.01, 0.4, 1.7])
        how = self.chance.choice(["value"] * 6 + ["error", "death"])
        failure = None if how == "value" else ValueError(ticket)
        value = None if failure else called_by(call)(*given)
        ending = batch[0], failure, value, self.now, self.now + duration, "worker"
        self._push(self.now + duration, lane, batch, ending, dies=how == "death")

    def _push(self, at: float, lane: Any, batch: list[Planned], ending: Ending, *, dies: bool = False) -> None:
        self._count += 1
        heapq.heappush(self._events, (at, self._count, lane, batch, ending, dies))

    def _check_start(self, ticket: int, given: list[Any]) -> None:
        task = self.plan.graph.nodes[ticket]
        assert self.attempts[ticket] < ATTEMPTS
        assert ticket not in self.running
        retried = task.options.retry is not None
        assert retried or not self.attempts[ticket], "started twice"
        for place, template in task.wiring():
            value = given[place]
            wire, value = (template[0], value[0]) if isinstance(template, list) else (template, value)
            producer = getattr(wire.task, "callback_function", None)
            if wire.kind == "output" and isinstance(producer, Deed):
                assert value == producer.number
        for limit in task.options.limits:
            self._of_limit[limit.name] += 1
            self.starts[limit.name].append(self.now)
            assert limit.concurrency is None or self._of_limit[limit.name] <= limit.concurrency

    def _end(self, ticket: int) -> None:
        del self.running[ticket]
        for limit in self.plan.graph.nodes[ticket].options.limits:
            self._of_limit[limit.name] -= 1

    # As the run loop does it

    def turn(self) -> None:
        plan = self.plan
        window = self.chance.randint(1, 8)
        plan.advance(window, self.now)
        for name, lane in list(plan.lanes.items()):
            if name not in self._known:
                self._known.add(name)
                self._free[name] = self._workers
                lane.chains = name in self._chains
                lane.workers = self._workers if lane.chains else 0
            while self._free[name] and (batch := plan.take(name, self.chance.randint(1, 5), window, self.now)):
                if lane.chains:
                    self.submit(name, batch)
                else:
                    for planned in batch:
                        self.submit(name, [planned])
        endings: list[Ending] = []
        if not plan.done:
            patience = plan.patience(self.now)
            assert patience is not None or self._events, "waits for nothing"
            until = self._events[0][0] if self._events else self.now + (patience or 0.0)
            self.now = max(self.now, until if patience is None else min(until, self.now + patience))
            while self._events and self._events[0][0] <= self.now and self.chance.random() < 0.8:
                endings += self._next_event()
        if plan.look_at is not None and self.now >= plan.look_at:
            assert plan.expired(list(self.running.items()), self.now) == []
        handed = plan.settle(endings, self.now)
        plan.consumed(len(handed))
        self.handed += handed

    def _next_event(self) -> list[Ending]:
        _at, _count, lane, batch, ending, dies = heapq.heappop(self._events)
        ticket = ending[0][0]
        if ending[1] is not NOT_STARTED:
            self._end(ticket)
        endings = [ending]
        rest = batch[1:]
        if dies:
            endings += [(planned, NOT_STARTED, None, 0.0, 0.0, "worker") for planned in rest]
            rest = []
        if rest:
            self._start(lane, rest, ending[2] if ending[1] is None else NOT_STARTED)
        else:
            self._free[lane] += 1
            self._start_next(lane)
        return endings


def _options(chance: Random, lanes: Sequence[str]) -> Options:
    given: dict[str, Any] = {"backend": chance.choice(lanes)}
    if chance.randint(0, 3) == 0:
        given["retries"] = RetryPolicy(attempts=ATTEMPTS, wait=chance.choice([0, 0.3, 5]), jitter=0)
    if chance.randint(0, 2) == 0:
        given["limits"] = chance.sample(LIMITS, chance.randint(0, 2))
    if chance.randint(0, 5) == 0:
        given["timeout"] = 1000
    return Options().updated(given)


def _task(chance: Random, number: Any, inputs: list[Any], lanes: Sequence[str]) -> Task[Any]:
    made = Task(Deed(number), {}, positional=tuple(inputs), options=_options(chance, lanes))
    sources = made.sources()
    if not sources or chance.random() < 0.5:
        return made
    # As a factory makes it.
    positional, places = [*inputs], tuple(place for place in made.look() if isinstance(place, int))
    for place, source in zip(places, sources, strict=True):
        positional[place] = source
    return Task.bound(made.callback_function, {}, tuple(positional), made.options, None, places)


def _graph(chance: Random, count: int, lanes: Sequence[str]) -> list[Any]:
    nodes: list[Any] = []
    for number in range(count):
        earlier = chance.sample(nodes, min(len(nodes), chance.randint(0, 3)))
        references: list[Any] = []
        for node in earlier:
            kind = chance.choice(["value", "value", "value", "outcome"])
            if isinstance(node, Mapped):
                references.append(node.outputs if kind == "value" else node.outcomes)
            else:
                references.append(node.output if kind == "value" else node.outcome)
        what = chance.choice(["task"] * 6 + ["gather", "map", "follow"])
        followed = [node for node in earlier if isinstance(node, Mapped)]
        if what == "gather":
            made: Any = gather(*references)
        elif what == "map":
            size = chance.randint(0, 5)
            made = Mapped(lambda item, n=number: _task(chance, (n, repr(item)[:9]), [item], lanes), (range(size),))
        elif what == "follow" and followed:
            made = Mapped(lambda item, n=number: _task(chance, (n, "of a map"), [item], lanes), (followed[0].outputs,))
        else:
            wired = [[reference] if chance.random() < 0.5 else reference for reference in references]
            made = _task(chance, number, wired, lanes)
        if nodes and chance.randint(0, 4) == 0:
            made.after(chance.choice(nodes))
        nodes.append(made)
    return nodes


@settings(max_examples=400, deadline=None)
@example(seed=378, count=6, lanes=("processes",), ordered=False, failure="finish")
@given(
    seed=st.integers(0, 1 << 32),
    count=st.integers(1, 12),
    lanes=st.sampled_from([("threads",), ("processes",), ("threads", "processes", "serial")]),
    ordered=st.booleans(),
    failure=st.sampled_from(["finish", "finish", "fail_fast", 2, 0.3]),
)
def test_what_every_run_obeys(seed: int, count: int, lanes: tuple[str, ...], ordered: bool, failure: Any) -> None:
    chance = Random(seed)
    nodes = _graph(chance, count, lanes)
    wanted = chance.sample(nodes, chance.randint(0, count)) if chance.random() < 0.6 else None
    plan = plan_of(*nodes, failure=failure, wanted=wanted, ordered=ordered)
    world = World(chance, plan, chains=("processes",))
    for _ in range(5000):
        if plan.done:
            break
        world.turn()
    else:
        raise AssertionError("hangs")
    stopped = plan.failure is not None
    plan.graph.cancel_rest()
    _check_records(plan, world, stopped=stopped)
    _check_rates(world)
    if wanted is not None:
        _check_delivery(plan, world, wanted, ordered=ordered, stopped=stopped)


def _check_records(plan: GraphPlan, world: World, *, stopped: bool) -> None:
    records, graph = plan.records, plan.graph
    assert not graph.unfinished
    for ticket in range(len(records.state)):
        outcome = graph.records.outcome(ticket, graph.nodes[ticket], graph.values.get(ticket))
        assert (outcome.error is None) == (outcome.state == "succeeded")
        assert stopped or outcome.state != "cancelled"
        if outcome.state == "skipped":
            assert not world.attempts[ticket]
            assert outcome.first_cause
    if not stopped:
        assert not world.running
        # Nothing is held but what somebody may still read.
        assert all(graph.uses[ticket] > 0 for ticket in graph.values)
        assert all(uses == 0 or uses >= 1 << 30 for uses in graph.uses), graph.uses


def _check_rates(world: World) -> None:
    for limit in LIMITS:
        starts = sorted(world.starts[limit.name])
        if limit.per_second is not None:
            for first, last in zip(starts, starts[limit.starts :], strict=False):
                assert last - first >= limit.seconds - 1e-9


def _check_delivery(plan: GraphPlan, world: World, wanted: list[Any], *, ordered: bool, stopped: bool) -> None:
    indices = [outcome.index for outcome in world.handed]
    assert len(indices) == len(set(indices))
    tickets = plan.graph.tickets
    order: list[int] = []
    for node in sorted(wanted, key=lambda node: tickets[node]):
        expansion = plan.maps.by_ticket.get(tickets[node])
        if expansion is not None:
            order += expansion.items
        elif type(node) is not Mapped:
            order.append(tickets[node])
    if not stopped:
        assert set(order) <= set(indices)
    if ordered:
        shown = [index for index in indices if index in set(order)]
        assert shown == [index for index in order if index in set(indices)]
    for outcome in world.handed:
        if isinstance(outcome.task, Task) and outcome.state == "succeeded":
            assert not isinstance(outcome.value, Reference)
            if isinstance(outcome.task.callback_function, Deed):
                assert outcome.value == outcome.task.callback_function.number
