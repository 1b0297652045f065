"""What observers may ask of the plan of a workflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from cotality.parallel._data.messages import AnyCall
from cotality.parallel._data.task import Task, task_of
from cotality.parallel._scheduling.graph import is_counted
from cotality.parallel._scheduling.graph_plan import GraphPlan
from cotality.parallel._scheduling.lanes import LaneName
from cotality.parallel._scheduling.records import NEVER
from cotality.parallel._scheduling.survey import name_of_lane


class GraphSurvey:
    """Answers for a workflow.

    Parameters:
        plan: Its plan.
        lane_of: Says on which backend a task runs.
    """

    def __init__(self, plan: GraphPlan, lane_of: Callable[[Task[object]], LaneName]) -> None:
        self._plan = plan
        self._lane_of = lane_of
        self._first = len(plan.graph.nodes)
        self._seen = 0
        self._tasks = 0

    @property
    def total(self) -> int | None:
        nodes = self._plan.graph.nodes
        self._tasks += sum(map(is_counted, nodes[self._seen :]))
        self._seen = len(nodes)
        to_come = self.to_come()
        return None if to_come is None else self._tasks + sum(to_come.values())

    def to_come(self) -> Mapping[str, int] | None:
        if self._plan.graph.followers:
            # There are maps that have not begun.
            return None
        counts: Counter[str] = Counter()
        for expansion in self._plan.maps.open:
            rest = expansion.to_come
            if rest is None:
                return None
            counts[rest[0]] += rest[1]
        return +counts

    def names(self, start: int) -> tuple[Sequence[str], int]:
        nodes = self._plan.graph.nodes
        return [node.name for node in nodes[start:] if is_counted(node)], len(nodes)

    def is_item(self, ticket: int) -> bool:
        # Maps make tasks while the run goes on, behind those that were there.
        return ticket >= self._first

    def place_of(self, ticket: int) -> int | None:
        return self._plan.records.place_of(ticket)

    def ready_at(self, ticket: int) -> float | None:
        ready = self._plan.records.ready[ticket]
        return None if ready == NEVER else ready

    def backend_of(self, call: AnyCall) -> str:
        return name_of_lane(self._lane_of(task_of(call)))

    def counts(self) -> Mapping[str, int]:
        return self._plan.graph.counts()
