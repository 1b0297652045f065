"""What came of the run of a workflow, read from its plan when somebody asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cotality.parallel._data.mapped import Mapped
from cotality.parallel._data.ordering import Node
from cotality.parallel._data.outcome import Outcome
from cotality.parallel._data.row import EarlierAttempt, Row
from cotality.parallel._data.task import Task
from cotality.parallel._data.task_errors import UnknownTask
from cotality.parallel._scheduling.expansion import NOT_BEGUN
from cotality.parallel._scheduling.graph import is_counted
from cotality.parallel._scheduling.graph_plan import GraphPlan
from cotality.parallel._scheduling.maps import is_stand_in
from cotality.parallel._scheduling.needs import all_needs
from cotality.parallel._scheduling.records import DROPPED, NEVER, PENDING, SUCCEEDED
from cotality.parallel._scheduling.survey import name_of_lane


class Account:
    """Tells what came of a run.

    Parameters:
        plan: Its plan.
    """

    def __init__(self, plan: GraphPlan) -> None:
        self._plan = plan

    def ticket_of(self, node: Node) -> int:
        """The number of a task or map in this run.

        Raises:
            UnknownTask: it has no part in it.
        """
        try:
            return self._plan.graph.tickets[node]
        except KeyError:
            raise UnknownTask(f"{node.name} is not part of this run") from None

    def outcome(self, ticket: int) -> Outcome[Any]:
        """What a task came to."""
        graph = self._plan.graph
        return graph.records.outcome(ticket, graph.nodes[ticket], graph.value_of(ticket))

    def item_outcomes(self, mapped: Mapped[Any]) -> list[Outcome[Any]]:
        """What the items of a map came to."""
        graph = self._plan.graph
        ticket = self.ticket_of(mapped)
        expansion = self._plan.maps.by_ticket.get(ticket)
        if expansion is None:
            return []
        values = graph.value_of(ticket) if graph.values.get(ticket) else [DROPPED] * len(expansion.items)
        return [
            graph.records.outcome(item, graph.nodes[item], value)
            for item, value in zip(expansion.items, values, strict=False)
            if item != NOT_BEGUN
        ]

    def rows(self, began: float) -> Iterator[Row]:
        """What is known of each task that has ended, as plain data, with times since this one."""
        graph, records = self._plan.graph, self._plan.records
        needs = all_needs(graph, self._plan.maps)
        for ticket, node in enumerate(graph.nodes):
            if records.state[ticket] == PENDING or not is_counted(node):
                continue
            outcome = records.outcome(ticket, node, DROPPED)
            times = (records.ready[ticket], records.began[ticket], records.ended[ticket])
            ready, start, end = (None if at == NEVER else at - began for at in times)
            facts = (outcome.attempts, outcome.worker, ready, start, end, outcome.reason, outcome.first_cause)
            yield Row(
                ticket,
                outcome.name,
                outcome.state,
                *facts,
                graph.inputs_of(ticket),
                needs[ticket],
                outcome.place,
                self._earlier(ticket, began),
            )

    def _earlier(self, ticket: int, began: float) -> tuple[EarlierAttempt, ...]:
        """The attempts of a task before its last one."""
        records = self._plan.records
        return tuple(
            replace(each, start=each.start - began, end=each.end - began)
            for each in records.earlier.get(ticket, ())
            # A run that is over before the next attempt has begun leaves this one as the last.
            if each.start != records.began[ticket]
        )

    def joints(self) -> dict[int, tuple[int, ...]]:
        """What is no task and only joins some, maps and gatherings, with the tickets of what it needed."""
        graph = self._plan.graph
        needs = all_needs(graph, self._plan.maps)
        return {ticket: needs[ticket] for ticket, node in enumerate(graph.nodes) if not is_counted(node)}

    def backends(self) -> list[str]:
        """The names of the backends that its tasks named."""
        return [name_of_lane(name) for name in self._plan.lanes]

    def write_failures(self, path: str | os.PathLike[str], secret: bytes | None) -> int:
        """Write the tasks that have failed, as far as there is a task that could be run again; tells how many."""
        from cotality.parallel._journal.letters import write_failures

        nodes = [self._plan.graph.nodes[ticket] for ticket in self._plan.failed]
        tasks = [node for node in nodes if type(node) is Task and not is_stand_in(node)]
        write_failures(path, tasks, secret)
        return len(tasks)

    def counts(self) -> dict[str, int]:
        """How many tasks ended in which state."""
        return self._plan.graph.counts()

    def has_ended(self, ticket: int) -> bool:
        """Whether a task has come to its end."""
        return self._plan.records.state[ticket] != PENDING

    def has_result(self, ticket: int) -> bool:
        """Whether a task has given a result that is still there."""
        return self._plan.records.state[ticket] == SUCCEEDED and ticket in self._plan.graph.values

    def value(self, ticket: int) -> Any:
        """The result of a task that has one.

        Raises:
            BaseException: whatever opening it raises.
        """
        return self._plan.graph.value_of(ticket)


Account.__module__ = "cotality.parallel"
