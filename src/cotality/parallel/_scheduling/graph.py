"""Which task waits for which, and the results that others still need.

A node has a *ticket*, its number. It *waits* for so many others and is ready when that number is zero. Edges are of two
kinds: a *dependent* needs its producer to succeed, for its value or for the order alone; a *watcher* takes its outcome,
whatever that is. A value is kept until the last who needs it has taken it, so it is counted how many do.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from itertools import chain, compress, repeat
from typing import Any

from cotality.parallel._data.mapped import Mapped
from cotality.parallel._data.ordering import Node, is_wired, wires_of
from cotality.parallel._data.reference import OUTCOME, VALUE
from cotality.parallel._data.sealed import Sealed
from cotality.parallel._data.task import Task, gathered
from cotality.parallel._data.task_errors import ResultNotKept, TaskCancelled, TaskSkipped
from cotality.parallel._scheduling.records import (
    CANCELLED,
    DROPPED,
    FAILED,
    NAMES,
    PENDING,
    SKIPPED,
    SUCCEEDED,
    Gone,
    Records,
)

FOREVER = 1 << 40
"""Added to the number of those who need a value that is to be kept to the end."""


class Graph:
    """The nodes of one run. Nodes may be added while it goes on, behind what they need."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        """By ticket; in the place of an item of a map that has succeeded, something that has its name."""
        self.tickets: dict[Node, int] = {}
        self.records: Records = Records()
        self.values: dict[int, Any] = {}
        # One ticket stands for itself. Most nodes of a large graph have one at each end, and a million lists are as
        # many objects that the garbage collector looks at again and again.
        self.dependents: list[int | list[int] | tuple[()]] = []
        """Those that wait for a node to succeed; nobody does once it has ended."""
        self.uses: list[int] = []
        self._waits: list[int] = []
        self._inputs: list[int | tuple[int, ...]] = []
        """Whose values or outcomes a node takes."""
        self._watchers: dict[int, list[int]] = {}
        self.ready: deque[int] = deque()
        """Those that wait for nothing any more and that nobody has taken from here."""
        self.ended: list[int] = []
        """Those that have ended, however they did, and that nobody has taken from here."""
        self.unfinished: int = 0
        self.followers: dict[int, list[int]] = {}
        """The maps that go through the items of a map, by the ticket of that map, until it begins."""
        self.map_followers: dict[int, list[int]] = {}
        """The same, also after it has begun."""
        self.handled: set[int] = set()
        """Those that have failed while somebody was there to take that as an outcome."""
        self.items: dict[int, Sequence[int]] = {}
        """The items of each map that has ended; behind them the map itself, where they do not tell all of its end."""
        self._outcome_lists: dict[int, list[Any]] = {}
        """What they came to, where somebody has asked."""

    # Building --------------------------------------------------------------------------------------------------------

    def add(self, nodes: Sequence[Node]) -> range:
        """Add nodes, each behind what it needs. Gives their tickets."""
        count = len(nodes)
        self.nodes.extend(nodes)
        self.dependents.extend([()] * count)
        self._inputs.extend([()] * count)
        self.uses.extend([0] * count)
        self._waits.extend([0] * count)
        self.unfinished += count
        tickets = self.records.extend(count)
        self.tickets.update(zip(nodes, tickets, strict=True))
        ready, waits = self.ready, self._waits
        for ticket, node in zip(tickets, nodes, strict=True):
            bars = self._connect(ticket, node) if is_wired(node) else None
            if bars is not None:
                self._skip_from([ticket], *bars)
            elif not waits[ticket]:
                ready.append(ticket)
        return tickets

    def _connect(self, ticket: int, node: Node) -> tuple[str, Exception] | None:
        """Draw the edges into a node; gives why it can not run, if something it needs has failed already."""
        sources = node.sources() if type(node) is Task else None
        if sources is not None and not node.predecessors:
            # Most are like that.
            return self._take_from(sources, ticket)
        bars: tuple[str, Exception] | None = None
        tickets, uses = self.tickets, self.uses
        inputs: dict[int, bool] = {}
        for wire in wires_of(node):
            source = tickets[wire.task]
            inputs[source] = wire.kind == OUTCOME and inputs.get(source, True)
        self._inputs[ticket] = tuple(inputs)
        for source, only_outcome in inputs.items():
            uses[source] += 1
            if only_outcome:
                self._await(source, ticket, self._watchers.setdefault(source, []))
            elif self._follows(node, source):
                # It goes from item to item: it waits for the other map to begin, not to end.
                self._await(source, ticket, self.followers[source])
                self.map_followers.setdefault(source, []).append(ticket)
            else:
                bars = self._depend([source], ticket) or bars
        if type(node) is Mapped:
            self.followers[ticket] = []
            self._lend(ticket, node, inputs)
        for predecessor in node.predecessors:
            source = tickets[predecessor]
            if inputs.get(source, True):
                inputs[source] = False
                bars = self._depend([source], ticket) or bars
        return bars

    def _take_from(self, sources: list[Node], ticket: int) -> tuple[str, Exception] | None:
        """Draw the edges into a task that takes all that these give and needs nothing else."""
        tickets, uses = self.tickets, self.uses
        if len(sources) == 1:
            inputs: tuple[int, ...] = (tickets[sources[0]],)
        else:
            inputs = tuple(dict.fromkeys([tickets[source] for source in sources]))
        self._inputs[ticket] = inputs[0] if len(inputs) == 1 else inputs
        for source in inputs:
            uses[source] += 1
        return self._depend(inputs, ticket)

    def _lend(self, ticket: int, mapped: Mapped[Any], inputs: dict[int, bool]) -> None:
        """Keep what the items of a map will refer to; each of them waits for its own."""
        for wire in mapped.lent:
            source = self.tickets[wire.task]
            if source not in inputs:
                inputs[source] = True
                self.uses[source] += 1
            if wire.kind == OUTCOME and self.records.state[source] == PENDING:
                self._watchers.setdefault(source, [])
        self._inputs[ticket] = tuple(inputs)

    def _follows(self, node: Node, source: int) -> bool:
        """Whether a node is a map that goes through the items of another one, which has not begun, and asks for nothing
        else of it: neither a part of its results, nor what its items came to, nor its end."""
        if type(node) is not Mapped or source not in self.followers or self.records.state[source] != PENDING:
            return False
        other = self.nodes[source]
        if other in node.predecessors or any(wire.task is other for wire in node.lent):
            return False
        return all(wire.kind == VALUE and not wire.path for wire in wires_of(node) if wire.task is other)

    def _depend(self, sources: Iterable[int], ticket: int) -> tuple[str, Exception] | None:
        """Have a node wait for others to succeed; gives why it can not run, if one has failed already."""
        bars: tuple[str, Exception] | None = None
        states, ends = self.records.state, self.dependents
        for source in sources:
            state = states[source]
            if state == PENDING:
                dependents = ends[source]
                if type(dependents) is list:
                    dependents.append(ticket)
                else:
                    ends[source] = ticket if dependents == () else [*self.dependents_of(source), ticket]
                self._waits[ticket] += 1
            elif state != SUCCEEDED:
                bars = self.cause_of(source)
        return bars

    def _await(self, source: int, ticket: int, edges: list[int]) -> None:
        if self.records.state[source] == PENDING:
            edges.append(ticket)
            self._waits[ticket] += 1

    def cause_of(self, ticket: int) -> tuple[str, Exception]:
        """The name and the error of what made this node not succeed in the first place."""
        error = self.records.errors[ticket]
        if self.records.state[ticket] == SKIPPED and isinstance(error.__cause__, Exception):
            error = error.__cause__
        name: str = self.nodes[ticket].name
        return self.records.causes.get(ticket, name), error

    # Running ---------------------------------------------------------------------------------------------------------

    def begun(self, ticket: int) -> list[int]:
        """A map has begun: those that go through its items need not wait for it any more, and are given."""
        followers = self.followers.pop(ticket)
        for follower in followers:
            self._waits[follower] -= 1
            if not self._waits[follower] and self.records.state[follower] == PENDING:
                self.ready.append(follower)
        return followers

    def waits(self, ticket: int) -> int:
        """For how many others a node still waits."""
        return self._waits[ticket]

    def next_of(self, ticket: int) -> int | None:
        """The only node that depends on this one, if it waits for nothing else, and takes its value or outcome."""
        child = self.dependents[ticket]
        # One that was added when something else it needs had failed is skipped already.
        if type(child) is not int or self._waits[child] != 1 or self.records.state[child] != PENDING:
            return None
        inputs = self._inputs[child]
        return child if inputs == ticket or (type(inputs) is tuple and ticket in inputs) else None

    def takes_nothing_but(self, ticket: int, source: int) -> bool:
        """Whether a node takes the value or the outcome of this other one, and of no other."""
        return self._inputs[ticket] == source

    def inputs_of(self, ticket: int) -> tuple[int, ...]:
        """Those whose values or outcomes a node takes."""
        inputs = self._inputs[ticket]
        return (inputs,) if isinstance(inputs, int) else inputs

    def dependents_of(self, ticket: int) -> Sequence[int]:
        """Those that wait for a node to succeed; nobody does once it has ended."""
        dependents = self.dependents[ticket]
        return (dependents,) if isinstance(dependents, int) else dependents

    def result_of(self, source: int, *, sealed: bool) -> Any:
        """What a node has given, for a task that takes it.

        Parameters:
            source: Its ticket.
            sealed: Whether it may stay sealed.

        Raises:
            Exception: it was dropped.
        """
        value = self.values.get(source, DROPPED)
        if value is DROPPED:
            raise ResultNotKept(
                f"the result of {self.nodes[source].name} was dropped before a task that a map made asked for it: "
                "add it to the workflow to keep it"
            )
        if isinstance(value, Sealed) and not (sealed and value.travels):
            value = self.values[source] = value.open()
        return value

    def value_of(self, ticket: int) -> Any:
        """A node's result, opened if it was not; DROPPED if it is not there any more.

        Raises:
            BaseException: whatever opening it raises.
        """
        value = self.values.get(ticket, DROPPED)
        if isinstance(value, Sealed):
            value = self.values[ticket] = value.open()
        return value

    def outcome_for(self, ticket: int) -> Any:
        """What a node came to, for a task that takes it; for a map, the list of what its items came to."""
        if type(self.nodes[ticket]) is not Mapped:
            return self.records.outcome(ticket, self.nodes[ticket], self.value_of(ticket))
        if ticket not in self._outcome_lists:
            # One that never began has no items: it is told by itself why.
            items, given = self.items.get(ticket, (ticket,)), self.value_of(ticket)
            values = chain(() if given is DROPPED else given, repeat(DROPPED))
            self._outcome_lists[ticket] = [
                self.records.outcome(item, self.nodes[item], value) for item, value in zip(items, values, strict=False)
            ]
        return self._outcome_lists[ticket]

    def took_inputs(self, ticket: int) -> None:
        """A node has its inputs: what nobody else needs is dropped."""
        uses = self.uses
        for source in self.inputs_of(ticket):
            if uses[source] == 1:
                self.release(source)
            else:
                uses[source] -= 1

    def release(self, ticket: int, count: int = 1) -> None:
        """So many who need this value need it no more."""
        uses = self.uses
        uses[ticket] -= count
        if not uses[ticket]:
            self.values.pop(ticket, None)
            self._outcome_lists.pop(ticket, None)

    # Ends ------------------------------------------------------------------------------------------------------------

    def succeed(self, ticket: int, value: Any) -> None:
        """A node has given this."""
        self.records.state[ticket] = SUCCEEDED
        self.unfinished -= 1
        self.ended.append(ticket)
        if self.uses[ticket]:
            self.values[ticket] = value
        waits, ready = self._waits, self.ready
        dependents = self.dependents[ticket]
        if dependents != ():
            for dependent in (dependents,) if isinstance(dependents, int) else dependents:
                waits[dependent] -= 1
                if not waits[dependent]:
                    ready.append(dependent)
            self.dependents[ticket] = ()
        if self._watchers:
            self._tell_watchers(ticket)

    def fail(self, ticket: int, error: Exception) -> None:
        """A node has failed for good; whatever needs it is skipped."""
        if self._watchers and self.is_expected(ticket):
            self.handled.add(ticket)
        self.records.state[ticket] = FAILED
        self.records.errors[ticket] = error
        self.unfinished -= 1
        self.ended.append(ticket)
        dependents, self.dependents[ticket] = self.dependents_of(ticket), ()
        self._tell_watchers(ticket)
        self._skip_from(dependents, self.nodes[ticket].name, error)

    def skip(self, ticket: int, cause: str, error: Exception) -> None:
        """A node can not run, for this reason, and nothing that needs it can."""
        self._skip_from([ticket], cause, error)

    def _skip_from(self, tickets: Iterable[int], cause: str, error: Exception) -> None:
        pending = deque(tickets)
        while pending:
            ticket = pending.popleft()
            if self.records.state[ticket] != PENDING:
                continue
            skipped = TaskSkipped(f"{self.nodes[ticket].name} was skipped, because {cause} failed")
            skipped.__cause__ = error
            self.records.state[ticket] = SKIPPED
            self.records.errors[ticket] = skipped
            self.records.causes[ticket] = cause
            self.unfinished -= 1
            self.ended.append(ticket)
            self.took_inputs(ticket)
            pending.extend(self.dependents_of(ticket))
            pending.extend(self.followers.pop(ticket, ()))
            self.dependents[ticket] = ()
            self._tell_watchers(ticket)

    def cancel(self, ticket: int) -> None:
        """The run has ended before this node did."""
        self.records.state[ticket] = CANCELLED
        self.records.errors[ticket] = TaskCancelled(f"{self.nodes[ticket].name} was cancelled: its run ended before")
        self.unfinished -= 1

    def cancel_rest(self) -> list[int]:
        """The run is over: what has not ended never will, and is given."""
        rest = (
            [ticket for ticket, state in enumerate(self.records.state) if state == PENDING] if self.unfinished else []
        )
        for ticket in rest:
            self.cancel(ticket)
        return rest

    def counts(self) -> dict[str, int]:
        """How many tasks ended in which state, as people say it; maps and what only puts results together left out."""
        records = self.records
        counted = [*map(is_counted, self.nodes)]
        counts: Counter[str] = Counter()
        for state, number in Counter(compress(records.state, counted)).items():
            if state == FAILED:
                failed = [ticket for ticket, other in enumerate(records.state) if other == FAILED and counted[ticket]]
                counts.update(map(records.state_of, failed))
            else:
                counts["pending" if state == PENDING else NAMES[state]] = number
        return dict(counts)

    def _tell_watchers(self, ticket: int) -> None:
        for watcher in self._watchers.pop(ticket, ()):
            self._waits[watcher] -= 1
            if not self._waits[watcher] and self.records.state[watcher] == PENDING:
                self.ready.append(watcher)

    def is_expected(self, ticket: int) -> bool:
        """Whether somebody reckons with the failure of this node: takes its outcome, or that of one it would skip."""
        pending, seen = [ticket], {ticket}
        while pending:
            node = pending.pop()
            if node in self._watchers:
                return True
            below = [*self.dependents_of(node), *self.map_followers.get(node, ())]
            fresh = [other for other in below if other not in seen]
            seen.update(fresh)
            pending.extend(fresh)
        return False


def is_counted(node: Any) -> bool:
    """Whether a node is a task of the user's: no map, and nothing that only puts results together."""
    return node.is_task if type(node) is Gone else type(node) is Task and node.callback_function is not gathered
