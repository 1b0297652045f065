"""What others have given takes the place of the wires among the arguments of a task."""

from __future__ import annotations

from functools import partial
from typing import Any

from cotality.parallel._data.reference import OUTCOME, Place, Wire, fill
from cotality.parallel._data.sealed import Sealed
from cotality.parallel._data.task import Call, Task
from cotality.parallel._scheduling.graph import Graph
from cotality.parallel._scheduling.records import DROPPED


def call_of(graph: Graph, ticket: int, behind: int | None = None, *, sealed: bool = False) -> Task[Any] | Call:
    """A task as a backend gets it: itself, or a call with values where it has wires.

    Parameters:
        graph: Where it and its inputs are.
        ticket: Its ticket.
        behind: The one whose value is not there yet, for a task that is sent along behind it.
        sealed: Whether it is for a worker that takes results as they came from others.

    Raises:
        Exception: a part of a value that is asked for is not there.
    """
    task: Task[Any] = graph.nodes[ticket]
    wired = task.look() if task.wired is None else task.wired
    if not wired:
        return task
    arguments = dict(task.arguments)
    positional = list(task.positional)
    values, inputs = graph.values, graph.inputs_of(ticket)
    # Most take nothing but all that others give, each once: then it is enough to know their tickets, of which there
    # are as many; to have that checked would take a fifth of the time.
    known = type(wired) is tuple and len(wired) == len(inputs)
    open_places: list[Place] = []
    value: Any
    for place, held in zip(wired, inputs) if known else _wiring_of(graph, task):  # noqa: B905
        if type(held) is not int:
            value = fill(held, partial(look_up, graph, sealed=sealed))
        elif held == behind:
            open_places.append(place)
            continue
        else:
            value = values.get(held, DROPPED)
            if value is DROPPED or isinstance(value, Sealed):
                value = graph.result_of(held, sealed=sealed)
        if type(place) is int:
            positional[place] = value
        else:
            arguments[place] = value  # type: ignore[index]
    call = Call(task, task.checked or task.callback_function, tuple(positional), arguments)
    if open_places:
        call.wired = tuple(open_places)
    return call


def _wiring_of(graph: Graph, task: Task[Any]) -> list[tuple[Place, Any]]:
    """The arguments of a task that hold wires, and the ticket of the one all of whose result each takes, or what else
    it holds."""
    return [
        (place, graph.tickets[held.task] if type(held) is Wire and held.is_whole else held)
        for place, held in task.wiring()
    ]


def look_up(graph: Graph, wire: Wire, *, sealed: bool = False) -> Any:
    """What a wire carries.

    Parameters:
        graph: Where that is.
        wire: The wire.
        sealed: Whether a result may stay sealed.

    Raises:
        Exception: it was dropped, or the part of it that is meant does not exist.
    """
    source = graph.tickets[wire.task]
    if wire.kind == OUTCOME:
        return wire.follow(graph.outcome_for(source))
    value = graph.result_of(source, sealed=sealed and not wire.path)
    return wire.follow(value) if wire.path else value
