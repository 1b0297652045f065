"""A run of a workflow without a clock, a thread or a worker: what ``_loop`` does, with the time in the test's hands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cotality.parallel import Mapped, Outcome, Task
from cotality.parallel._data.messages import NOT_STARTED, AnyCall, Ending, Planned
from cotality.parallel._data.ordering import in_order
from cotality.parallel._data.task import called_by
from cotality.parallel._scheduling.delivery import Delivery
from cotality.parallel._scheduling.graph_plan import GraphPlan
from cotality.parallel._scheduling.ranks import Durations

Node = Task[Any] | Mapped[Any]


def plan_of(
    *nodes: Node,
    kept: Iterable[Node] | None = None,
    failure: str | int | float = "finish",
    wanted: Sequence[Node] | None = None,
    ordered: bool = True,
    durations: Durations | None = None,
    lane_of: Callable[[Task[Any]], Any] = lambda task: task.options.backend or "main",
    chains: bool = False,
) -> GraphPlan:
    """A plan of these and what they need; by default they are kept."""
    ordered_nodes = in_order(nodes)
    delivery = None if wanted is None else Delivery([n for n in ordered_nodes if n in wanted], ordered=ordered)
    plan = GraphPlan(
        ordered_nodes,
        kept=set(nodes if kept is None else kept),
        lane_of=lane_of,
        failure=failure,
        delivery=delivery,
        durations=durations,
        stand_in=lambda ticket, task, error, attempts, place: (
            error if isinstance(error, Exception) else ValueError(error)
        ),
    )
    for lane in plan.lanes.values():
        lane.chains = chains
    return plan


def called(planned: Planned, **times: Any) -> Ending:
    """How the attempt ends if it is really called."""
    call = planned[1]
    try:
        value = call.callback_function(*call.positional, **call.arguments)
    except Exception as error:
        return failed(planned, error, **times)
    return succeeded(planned, value, **times)


def succeeded(planned: Planned, value: Any = None, *, started: float = 100.0, ended: float = 101.0) -> Ending:
    return planned, None, value, started, ended, "worker"


def failed(planned: Planned, error: BaseException, *, started: float = 100.0, ended: float = 101.0) -> Ending:
    return planned, error, None, started, ended, "worker"


def came_back(planned: Planned) -> Ending:
    return planned, NOT_STARTED, None, 0.0, 0.0, "worker"


def take(plan: GraphPlan, most: int = 1000, *, lane: Any = "main", window: int = 1000, now: float = 100.0) -> Any:
    return plan.take(lane, most, window, now)


def run_batch(batch: Sequence[Planned]) -> list[Ending]:
    """A batch as a worker runs it: a task may need the result of the one before it."""
    made: Any = NOT_STARTED
    endings = []
    for planned in batch:
        call = planned[1]
        given = given_to(call, made)
        made = NOT_STARTED
        if given is None:
            endings.append(came_back(planned))
            continue
        positional, arguments = given
        try:
            made = called_by(call)(*positional, **arguments)
        except Exception as error:
            endings.append(failed(planned, error))
        else:
            endings.append(succeeded(planned, made))
    return endings


def given_to(call: AnyCall, before: Any) -> tuple[list[Any], dict[str, Any]] | None:
    """The arguments of a call behind one that has given this; None if it needs that and there is nothing."""
    positional, arguments = [*call.positional], dict(call.arguments)
    for place in call.wired or ():
        if before is NOT_STARTED:
            return None
        if isinstance(place, int):
            positional[place] = before
        else:
            arguments[place] = before
    return positional, arguments


def finish(plan: GraphPlan, *, window: int = 1000, now: float = 100.0) -> list[Outcome[Any]]:
    """Run to the end, really calling everything; the outcomes that were handed out."""
    outcomes: list[Outcome[Any]] = []
    for _ in range(100_000):
        if plan.done:
            plan.graph.cancel_rest()
            return outcomes
        endings = []
        plan.advance(window, now)
        for lane in list(plan.lanes):
            endings += run_batch(take(plan, lane=lane, window=window, now=now))
        if not endings and not plan.done:
            now += plan.patience(now) or 0.0
        handed = plan.settle(endings, now)
        plan.consumed(len(handed))
        outcomes += handed
    raise AssertionError("does not come to its end")


def value_of(plan: GraphPlan, node: Node) -> Any:
    return plan.graph.values[plan.graph.tickets[node]]


def state_of(plan: GraphPlan, node: Node) -> str:
    return plan.records.state_of(plan.graph.tickets[node])


def error_of(plan: GraphPlan, node: Node) -> Exception:
    return plan.records.errors[plan.graph.tickets[node]]
