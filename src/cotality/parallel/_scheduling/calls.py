"""From a task that is due to the call that a backend gets."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from cotality.parallel._data.around import with_function
from cotality.parallel._data.asking import ask
from cotality.parallel._data.mapped import Mapped
from cotality.parallel._data.messages import AnyCall, Planned
from cotality.parallel._data.reference import Reference
from cotality.parallel._data.task import Call, Task, gathered
from cotality.parallel._data.task_errors import ReferenceMisuse
from cotality.parallel._scheduling.graph import Graph
from cotality.parallel._scheduling.inputs import call_of
from cotality.parallel._scheduling.lanes import Lane, Lanes


class Calls:
    """Makes the calls of one run.

    Parameters:
        graph: Where the inputs are.
        lanes: Where tasks run.
    """

    def __init__(self, graph: Graph, lanes: Lanes) -> None:
        self._graph = graph
        self._lanes = lanes
        self._bulky: set[int] = set()
        """The functions, by their ids, whose results are more than a number or a text: worth keeping sealed."""
        self.ahead: set[int] = set()
        """Those that were sent along behind the one whose result they need."""

    def make(self, ticket: int, task: Task[Any], lane: Lane, behind: int | None = None) -> Planned:
        """A task with its inputs.

        Parameters:
            ticket: Its ticket.
            task: The task.
            lane: Where it will run.
            behind: The ticket of the task in the same batch whose result it needs and which has none yet.

        Raises:
            Exception: a part of an input is not there; nothing is held for this task any more.
        """
        graph = self._graph
        call: AnyCall = task
        if task.wired != ():
            try:
                call = call_of(graph, ticket, behind, sealed=lane.chains)
            except Exception:
                graph.took_inputs(ticket)
                raise
            if behind is None and call is not task:
                graph.took_inputs(ticket)
        policy = task.options.retry
        if policy is not None and policy.on_result is not None:
            call = with_function(call, partial(ask, call.callback_function, policy.on_result))
        bulky = lane.keeps or (lane.chains and id(task.callback_function) in self._bulky)
        if bulky and self._is_for_workers_only(ticket, lane):
            if isinstance(call, Task):
                call = Call(task, task.callback_function, task.positional, task.arguments)
            call.sealed = True
        return ticket, call

    def learn(self, task: Task[Any]) -> None:
        """Take note that a task has given more than a number or a text."""
        self._bulky.add(id(task.callback_function))

    def _is_for_workers_only(self, ticket: int, lane: Lane) -> bool:
        """Whether nobody needs a task's result but tasks on the same lane, each of them as a whole."""
        dependents = self._graph.dependents_of(ticket)
        if not dependents or self._graph.uses[ticket] != len(dependents):
            return False
        return all(self._runs_on(self._graph.nodes[child], lane) for child in dependents)

    def _runs_on(self, node: Any, lane: Lane) -> bool:
        return type(node) is Task and node.callback_function is not gathered and self._lanes.of(node) is lane

    def next_behind(self, ticket: int, lane: Lane) -> int | None:
        """The only task that waits for this one, if its worker can go on with it without asking back."""
        # One that only comes after this one must not run if this one fails, and would miss no value that bars it.
        child = self._graph.next_of(ticket)
        # Ahead, it went along behind an attempt that failed, and is not back yet: it would run twice.
        if child is None or child in self.ahead:
            return None
        task = self._graph.nodes[child]
        if not self._runs_on(task, lane) or task.options.limits:
            return None
        return child if type(task.wired) is tuple or task.sources() is not None else None

    def make_behind(self, ticket: int, task: Task[Any], lane: Lane, before: int) -> Planned:
        """A task that is sent along behind the one whose result it needs; as it is, where it needs nothing else."""
        if (
            task.options.plain
            and type(task.wired) is tuple
            and self._graph.takes_nothing_but(ticket, before)
            and not lane.keeps
            and id(task.callback_function) not in self._bulky
        ):
            planned: Planned = ticket, task
        else:
            planned = self.make(ticket, task, lane, before)
        self.ahead.add(ticket)
        return planned


NO_VALUES: Final = frozenset({Task, Mapped, Reference})
"""What no task can give: it is something that has not run."""


def gave_a_task(value: Any) -> ReferenceMisuse:
    """The error of a task that gave such a thing."""
    if type(value) is not Task:
        return ReferenceMisuse(f"a task must give a value, and this one gave {value!r}, which nobody runs")
    return ReferenceMisuse(
        f"a task must give a value, and this one gave a task that nobody runs: call {value.name}.call(…) in it instead"
    )
