"""What the run of a workflow remembers: the way between its plan, its journal and the caches of its tasks."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

from cotality.parallel._caches import CACHE
from cotality.parallel._data.journal import Journal
from cotality.parallel._data.memory import ELSEWHERE
from cotality.parallel._data.messages import Ending
from cotality.parallel._data.reference import OUTCOME, Wire
from cotality.parallel._data.sealed import Sealed
from cotality.parallel._data.task import Task, is_gathering, task_of
from cotality.parallel._data.task_errors import NoStableContent
from cotality.parallel._data.wording import summary_of
from cotality.parallel._journal.content import digest
from cotality.parallel._journal.keys import Kind, Known, in_order
from cotality.parallel._journal.values import CALL, STAMP, Found, Stored
from cotality.parallel._memory import JOURNAL, Remembering
from cotality.parallel._observers.log import warn
from cotality.parallel._scheduling.calls import NO_VALUES
from cotality.parallel._scheduling.graph_plan import GraphPlan
from cotality.parallel._scheduling.inputs import call_of
from cotality.parallel._scheduling.records import PENDING, SUCCEEDED


class _Unfindable(Exception):
    """What a task takes from another one can not be recognised again, so neither can what it gives."""


class FlowMemory(Remembering):
    """Remembers the tasks of a workflow.

    Parameters:
        settings: The journal; None: there are only caches.
        plan: The plan of the run.
    """

    def __init__(self, settings: Journal | None, plan: GraphPlan) -> None:
        super().__init__(settings, self._token_of_wire)
        self._plan = plan
        self._graph = plan.graph
        self._facts: dict[int, bytes] = {}
        """What the entries of results say, by ticket. A stamp stands for a result in the keys of those that take it."""
        self._stamps: dict[int, bytes] = {}
        """What stands for the results that have no entry."""
        self._calls: dict[int, bytes] = {}
        self._as_calls = False
        """Whether wires stand for the calls they come from, and not for results."""
        self._unfindable: set[str] = set()
        self._errors = 0
        """How many tasks had not succeeded when claims were last let go of."""

    # Before a task runs ----------------------------------------------------------------------------------------------

    def recall(self, ticket: int) -> Any:
        """The result of a task that could run now; None if it has to run; ``ELSEWHERE`` if another run makes it.

        Raises:
            Exception: its arguments can not be recognised again, or its ``key=`` has failed.
        """
        task: Task[Any] = self._graph.nodes[ticket]
        options = task.options
        if options.cache is None and (self._journal is None or not options.journal):
            return None
        keys = self._keys
        kind = keys.kind_of(task)
        try:
            if task.wired:
                own = self._own_of(ticket, task)
                content = kind.key_of(own + self._taken_of(task))
            else:
                own = keys.arguments_of(task, task.positional, task.arguments)
                content = kind.key_of(own)
        except _Unfindable as error:
            self._tell_unfindable(task, error)
            return None
        # One that another run makes is asked for more than once.
        found = None if ticket in self._known else self._find(ticket, task, kind, own, content)
        if found is not None and self._journal is not None:
            return self._found(ticket, task, kind, found, self._journal.store, JOURNAL)
        if options.cache is None:
            return None
        return self._ask_cache(ticket, task, (content, self._call(ticket, task, kind, own), kind))

    def _ask_cache(self, ticket: int, task: Task[Any], known: Known) -> Any:
        held = self._caches.ask(ticket, task, known)
        if held is None or held is ELSEWHERE:
            return held
        key, _, kind = known
        return self._found(ticket, task, kind, (key, held.facts), held, CACHE)

    def _found(self, ticket: int, task: Task[Any], kind: Kind, found: Found, keeper: Any, where: str) -> Stored:
        self._facts[ticket] = found[1]
        if self._known:
            self._known.pop(ticket, None)
        stored = Stored(keeper, *found, kind.name)
        kind.resumed += 1
        if self.tells:
            now = monotonic()
            self._news.append(((ticket, task), None, stored, now, now, where))
        return stored

    def _call(self, ticket: int, task: Task[Any], kind: Kind, own: bytes) -> bytes:
        call = self._calls.get(ticket)
        if call is None:
            self._as_calls = True
            try:
                call = self._calls[ticket] = kind.call_of(own + self._taken_of(task))
            finally:
                self._as_calls = False
        return call

    def _own_of(self, ticket: int, task: Task[Any]) -> bytes:
        """What stands for the arguments of a task that takes something from others, but for that; or for what its
        ``key=`` makes of all of them."""
        if task.options.key is not None:
            call = call_of(self._graph, ticket)
            return self._keys.arguments_of(task, call.positional, call.arguments)
        return self._keys.own_of(task)

    def _taken_of(self, task: Task[Any]) -> bytes:
        """What stands for the rest."""
        if not task.wired or task.options.key is not None:
            return b""
        sources = task.sources()
        if sources is not None and len(sources) == 1:
            # Most are like that.
            return b"@" + self._of_value(self._graph.tickets[sources[0]])
        return self._tokens_of(task)

    def _tokens_of(self, task: Task[Any]) -> bytes:
        templates = dict(task.wiring())
        return b"".join([self._keys.token(task, place, templates[place]) for place in in_order(templates)])

    def _tell_unfindable(self, task: Task[Any], error: _Unfindable) -> None:
        if task.name not in self._unfindable:
            self._unfindable.add(task.name)
            warn(
                "journal.not_kept",
                f"what it takes can not be recognised again, so it will run again: {error}",
                task=task.name,
            )

    def may_follow(self, ticket: int, child: int) -> bool:
        """Whether a task may be sent along behind another one: whether it can not be there already."""
        options = self._graph.nodes[child].options
        return options.cache is None and (ticket in self._known or not options.journal)

    # What wires stand for --------------------------------------------------------------------------------------------

    def _token_of_wire(self, wire: Wire) -> bytes:
        ticket = self._graph.tickets[wire.task]
        # A stamp or a call is as long as any other.
        found = b"@" + self._of_value(ticket) if wire.kind != OUTCOME else b"?" + self._of_outcome(ticket)
        return found + self._content.token(wire.path) if wire.path else found

    def _of_value(self, ticket: int) -> bytes:
        facts = self._facts.get(ticket)
        if self._as_calls:
            call = facts[CALL] if facts is not None else self._calls.get(ticket)
            if call is not None:
                return call
        elif facts is not None:
            return facts[STAMP]
        elif ticket in self._stamps:
            return self._stamps[ticket]
        expansion = self._plan.maps.by_ticket.get(ticket)
        if expansion is not None:
            found = digest(*map(self._of_value, expansion.items))
            return found if self._as_calls else self._stamps.setdefault(ticket, found)
        node = self._graph.nodes[ticket]
        if is_gathering(node):
            return digest(self._keys.own_of(node), self._tokens_of(node))
        if self._as_calls:
            return digest(node.name.encode())
        try:
            stamp = self._stamps[ticket] = digest(b"value", self._content.token(self._graph.value_of(ticket)))
        except NoStableContent as error:
            raise _Unfindable(f"the result of {node.name}: {error}") from None
        return stamp

    def _of_outcome(self, ticket: int) -> bytes:
        expansion = self._plan.maps.by_ticket.get(ticket)
        if expansion is not None:
            return digest(*map(self._of_outcome, expansion.items))
        records = self._graph.records
        if records.state[ticket] == SUCCEEDED:
            return self._of_value(ticket)
        error = records.errors.get(ticket)
        return digest(records.state_of(ticket).encode(), b"" if error is None else summary_of(error).encode())

    # When it has run -------------------------------------------------------------------------------------------------

    def record(self, endings: Sequence[Ending], now: float) -> None:
        claimed, errors = self._caches.claimed, len(self._graph.records.errors)
        if claimed and errors != self._errors:
            # Also one without an ending, as its inputs could not be put together.
            self._errors = errors
            state = self._graph.records.state
            self._caches.let_go([ticket for ticket in claimed if state[ticket] not in (PENDING, SUCCEEDED)])
        for (ticket, call), failure, value, _started, _ended, _worker in endings:
            if failure is None and type(value) not in NO_VALUES:
                self._remember(ticket, task_of(call), value)
        if self._journal is not None:
            self._journal.write_when_due(now)

    def _remember(self, ticket: int, task: Task[Any], value: Any) -> None:
        if self._graph.records.state[ticket] != PENDING:
            return
        if (
            self._journal is not None
            and ticket not in self._known
            and task.options.journal
            and ticket in self._plan.ahead
        ):
            # It was sent along behind the one whose result it takes, which is known only now.
            try:
                kind, own = self._keys.kind_of(task), self._own_of(ticket, task)
                self._find(ticket, task, kind, own, kind.key_of(own + self._taken_of(task)))
            except Exception as error:
                warn("journal.not_kept", f"it will run again: {summary_of(error)}", task=task.name)
        claimed = ticket in self._caches.claimed
        if ticket not in self._known and not claimed:
            return
        if isinstance(value, Sealed):
            try:
                value = value.open()
            except KeyboardInterrupt:
                raise
            except BaseException:
                # Whoever needs it is told.
                if claimed:
                    self._caches.let_go([ticket])
                return
        facts = self._keep(ticket, value)
        if claimed:
            kept = self._caches.keep(ticket, value)
            # The next run with this journal will find the result there first.
            facts = kept if facts is None else facts
        if facts is not None:
            self._facts[ticket] = facts

    def close(self) -> None:
        # It leads back here, and from here to all results: they would stay until the garbage is collected.
        self._content.of_wire = None
        super().close()
