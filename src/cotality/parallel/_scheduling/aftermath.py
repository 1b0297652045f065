"""What follows when tasks have ended: for maps, for the run as a whole, for its consumer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from cotality.parallel._data.events import Note
from cotality.parallel._data.outcome import Outcome
from cotality.parallel._scheduling.delivery import Delivery
from cotality.parallel._scheduling.graph import Graph, is_counted
from cotality.parallel._scheduling.maps import Maps
from cotality.parallel._scheduling.records import FAILED, NEVER, SKIPPED
from cotality.parallel._scheduling.tolerance import Tolerance


class Aftermath:
    """Looks after the ends of one run.

    Parameters:
        graph: Where tasks end.
        maps: Whose items they may be.
        tolerance: How many failures the run bears.
        delivery: What is handed to the consumer while the run goes on; None: nothing.
    """

    def __init__(self, graph: Graph, maps: Maps, tolerance: Tolerance, delivery: Delivery | None) -> None:
        self._graph = graph
        self._maps = maps
        self._tolerance = tolerance
        self._delivery = delivery
        self._tasks = 0
        """How many tasks there are among the nodes that have been looked at."""
        self._looked_at = 0
        self.failed: list[int] = []
        """Those that have failed, in the order in which they did."""
        self.failures: list[int] = []
        """Those of them with which nobody reckoned."""
        self.failure: BaseException | None = None
        """What ends the run before its time."""
        self.outgoing: list[Outcome[Any]] = []
        """The outcomes that may be handed out."""
        self.notes: list[Note] = []
        """What was decided since somebody took them from here."""

    def look(self) -> None:
        """See what follows from those that have ended since the last time."""
        graph, records = self._graph, self._graph.records
        ended, graph.ended = graph.ended, []
        if not ended or (self._delivery is None and not self._maps.by_ticket and not records.errors):
            return
        for ticket in ended:
            self._maps.ended(ticket)
            state = records.state[ticket]
            if state == FAILED:
                self._judge(ticket)
                self._note("failed", ticket)
            elif state == SKIPPED and is_counted(graph.nodes[ticket]):
                self._note("skipped", ticket)
        if self._delivery is not None:
            self.outgoing += self._delivery.ended(ended, graph, self._maps)
        for ticket in ended:
            expansion = self._maps.item_of.get(ticket)
            if expansion is not None and (self._delivery is None or expansion.mapped not in self._delivery.wanted):
                self._maps.drop(ticket)

    def note_cancelled(self, tickets: Iterable[int]) -> None:
        """The run is over, and these had not ended."""
        for ticket in tickets:
            if is_counted(self._graph.nodes[ticket]):
                self._note("cancelled", ticket)

    def _note(self, kind: Literal["failed", "skipped", "cancelled"], ticket: int) -> None:
        records = self._graph.records
        attempts = 0 if records.began[ticket] == NEVER else records.attempts.get(ticket, 1)
        cause, error = records.causes.get(ticket), records.errors[ticket]
        self.notes.append(Note(kind, ticket, self._graph.nodes[ticket].name, attempts, error, first_cause=cause))

    def _judge(self, ticket: int) -> None:
        """Whether a failure ends the run."""
        self.failed.append(ticket)
        expansion = self._maps.item_of.get(ticket)
        if ticket in self._graph.handled or (expansion is not None and self._graph.is_expected(expansion.ticket)):
            return
        self.failures.append(ticket)
        if self.failure is None and self._are_too_many():
            self.failure = self._graph.records.errors[ticket]

    def _are_too_many(self) -> bool:
        more = any(not expansion.exhausted for expansion in self._maps.open)
        return self._tolerance.exceeded(len(self.failures), self._count_tasks(), more=more)

    def _count_tasks(self) -> int:
        """How many tasks there are so far; a map is none, nor is what only puts results together."""
        nodes = self._graph.nodes
        self._tasks += sum(map(is_counted, nodes[self._looked_at :]))
        self._looked_at = len(nodes)
        return self._tasks

    @property
    def unconsumed(self) -> int:
        """How many outcomes were handed out and not consumed."""
        return self._delivery.unconsumed if self._delivery is not None else 0

    def consumed(self, count: int) -> None:
        """The consumer has taken this many of the outcomes that it was handed."""
        if self._delivery is not None:
            self._delivery.consumed(count)
