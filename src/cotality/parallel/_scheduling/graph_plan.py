"""The plan of a workflow's run: what is due where, and what follows from how attempts end.

The graph knows what waits for what, the maps make tasks of items, the limits say what may start. This ties them and
keeps, for each *lane* (one of the run's backends), what is due there. Like the other plan it decides and does nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cotality.parallel._data.atoms import ATOMS
from cotality.parallel._data.events import Note
from cotality.parallel._data.mapped import Mapped
from cotality.parallel._data.memory import ASK_SECONDS, ELSEWHERE, GraphMemory
from cotality.parallel._data.messages import NOT_STARTED, Ending, Planned
from cotality.parallel._data.ordering import Node
from cotality.parallel._data.outcome import Outcome
from cotality.parallel._data.task import Task, gathered, task_of
from cotality.parallel._data.task_errors import InternalError
from cotality.parallel._data.task_options import Options
from cotality.parallel._scheduling.aftermath import Aftermath
from cotality.parallel._scheduling.attempts import Attempts
from cotality.parallel._scheduling.calls import NO_VALUES, Calls, gave_a_task
from cotality.parallel._scheduling.delivery import Delivery
from cotality.parallel._scheduling.graph import FOREVER, Graph
from cotality.parallel._scheduling.inputs import call_of
from cotality.parallel._scheduling.lanes import Entry, Lane, LaneName, Lanes, ticket_of
from cotality.parallel._scheduling.maps import Maps
from cotality.parallel._scheduling.ranks import Durations, Ranks, are_worthwhile
from cotality.parallel._scheduling.records import PENDING, Records
from cotality.parallel._scheduling.tolerance import Tolerance

ROUNDS = 100
"""How often maps may go on with items that are over at once, before somebody looks whether the run is to end."""


class GraphPlan:
    """The tasks of one run of a workflow.

    Parameters:
        nodes: All of them, each behind what it needs.
        kept: Those whose results can be read after the run.
        lane_of: Says on which backend a task runs.
        failure: See :class:`Tolerance`.
        durations: How long tasks take, as far as earlier runs have shown; learns more.
        delivery: What is handed to the consumer while the run goes on; None: nothing.
        stand_in: Called with the ticket, the task, the error, the number of attempts and the place in its map of each
            task that failed for good; returns the error that stands for its result.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        *,
        kept: set[Node],
        lane_of: Callable[[Task[Any]], LaneName],
        failure: str | int | float,
        durations: Durations | None = None,
        delivery: Delivery | None,
        stand_in: Callable[[int, Task[Any], BaseException, int, int | None], Exception],
    ) -> None:
        graph = Graph()
        self.graph: Graph = graph
        self.records: Records = graph.records
        self._stand_in = stand_in
        streaming = delivery.wanted if delivery is not None else set()
        self.maps: Maps = Maps(graph, streaming)
        self._lanes = Lanes(lane_of)
        self._calls = Calls(graph, self._lanes)
        self._aftermath = Aftermath(graph, self.maps, Tolerance(failure), delivery)
        self._attempts = Attempts()
        self._limits, self._retries = self._attempts.limits, self._attempts.retries
        self.in_flight: int = 0
        """How many attempts the backends have."""
        self._slack = 1
        """How much wider the window of maps is than they are given."""
        self._more = False
        """Whether maps have more to do that waits for nothing."""
        self.arrivals: int = 0
        """How often something has come to be due; a lane that was asked before may have it."""
        self.memory: GraphMemory | None = None
        """Who knows results of tasks without running them; None: nobody."""
        self.remember: Callable[[], GraphMemory] | None = None
        """Makes one when the first task has a cache."""
        self._elsewhere: list[int] = []
        """Those that somebody else runs."""
        self._ask_at = 0.0
        graph.add(nodes)
        for ticket in map(graph.tickets.__getitem__, kept - streaming):
            graph.uses[ticket] += FOREVER
        for node in streaming:
            graph.uses[graph.tickets[node]] += type(node) is not Mapped
        # One of each kind: its lane, and a limit that contradicts another one is found here, before anything runs.
        for task in _one_of_each_kind(nodes):
            if task.callback_function is not gathered:
                self._lanes.of(task)
                self._limits.declare(task.options.limits)
        self._ranks = Ranks(graph, Durations() if durations is None else durations) if are_worthwhile(graph) else None
        if self._ranks is not None and self._ranks.known:
            self._lanes.rank(self._ranks)

    @property
    def lanes(self) -> dict[LaneName, Lane]:
        """The backends that tasks run on; others may join, as maps make tasks."""
        return self._lanes.by_name

    @property
    def ahead(self) -> set[int]:
        """Those that were sent along behind the one whose result they need."""
        return self._calls.ahead

    @property
    def failed(self) -> list[int]:
        """Those that have failed, in the order in which they did."""
        return self._aftermath.failed

    @property
    def failures(self) -> list[int]:
        """Those of them with which nobody reckoned."""
        return self._aftermath.failures

    @property
    def failure(self) -> BaseException | None:
        """What has ended the run before its time."""
        return self._aftermath.failure

    @property
    def notes(self) -> list[Note]:
        """What was decided since somebody took them from here."""
        return self._aftermath.notes

    # What is due -----------------------------------------------------------------------------------------------------

    def take(
        self, name: LaneName, most: int, window: int, now: float, share: Callable[[int], int] | None = None
    ) -> list[Planned]:
        """Up to ``most`` tasks that are due on a lane.

        Parameters:
            name: The lane.
            most: How many may go into one batch.
            window: How many items of a map may be under way.
            now: What time it is.
            share: Says how many of those that are due may be taken, of so many; what follows each of them in a chain
                goes along. None: all.
        """
        self.advance(window, now)
        lane = self.lanes[name]
        if not lane or self.failure is not None:
            return []
        due: list[Planned] = []
        fair = most if share is None else min(most, share(len(lane.due)))
        for limits, barred in lane.barred.items():
            while barred and len(due) < fair and self._limits.admit(ticket_of(barred[0]), limits, now):
                self._begin(barred.popleft(), lane, due, most, now)
        queue, nodes, state = lane.due, self.graph.nodes, self.records.state
        as_they_are = not (lane.chains or lane.keeps)
        while queue and len(due) < fair:
            entry = queue.popleft()
            if type(entry) is int and nodes[entry].options.plain and state[entry] == PENDING:
                # Most tasks of a large workflow are like that: nothing to ask, or to write down.
                task = nodes[entry]
                planned = (entry, task) if as_they_are and task.wired == () else self._plan(entry, task, lane)
                if planned is not None:
                    due.append(planned)
                    if lane.chains:
                        self._send_along(entry, lane, due, most, now)
                continue
            limits = self._options(entry).limits
            if limits and not self._limits.admit(ticket_of(entry), limits, now):
                lane.barred.setdefault(limits, deque()).append(entry)
            else:
                self._begin(entry, lane, due, most, now)
        self.in_flight += len(due)
        return due

    def _options(self, entry: Entry) -> Options:
        options: Options = self.graph.nodes[ticket_of(entry)].options
        return options

    def _begin(self, entry: Entry, lane: Lane, due: list[Planned], most: int, now: float) -> None:
        """Put a task into the batch, with its inputs, and behind it those that need nothing else than its result."""
        ticket = ticket_of(entry)
        task = self.graph.nodes[ticket]
        self._attempts.begin(ticket, task, now)
        planned: Planned | None = None
        if self.records.state[ticket] == PENDING:
            planned = entry if isinstance(entry, tuple) else self._plan(ticket, task, lane)
        if planned is None:
            self._attempts.end(ticket)
            return
        due.append(planned)
        if lane.chains:
            self._send_along(ticket, lane, due, most, now)

    def _plan(self, ticket: int, task: Task[Any], lane: Lane, before: int | None = None) -> Planned | None:
        """A task with its inputs; None if a part of them is not there, which is that task's error."""
        calls = self._calls
        try:
            return calls.make(ticket, task, lane) if before is None else calls.make_behind(ticket, task, lane, before)
        except Exception as error:
            self._give_up(ticket, error)
            return None

    def _send_along(self, ticket: int, lane: Lane, due: list[Planned], most: int, now: float) -> None:
        """Let the worker go on with the only task that waits for this one, and so on, without asking back."""
        while len(due) < most:
            child = self._calls.next_behind(ticket, lane)
            if child is None or not (self.memory is None or self.memory.may_follow(ticket, child)):
                return
            task = self.graph.nodes[child]
            planned = self._plan(child, task, lane, before=ticket)
            if planned is None:
                return
            if not task.options.plain:
                self._attempts.begin(child, task, now)
            due.append(planned)
            ticket = child

    def advance(self, window: int, now: float) -> None:
        """Bring what has become ready to where it belongs."""
        if self._elsewhere and now >= self._ask_at:
            self.graph.ready.extend(self._elsewhere)
            self._elsewhere.clear()
        self._sort(now)
        self._more = False
        rounds = 0
        while self.failure is None and self.maps.open and (self.maps.expand(window * self._slack) or self._widen()):
            self._aftermath.look()
            self._sort(now)
            if self.memory is not None:
                self._aftermath.look()
            rounds += 1
            if rounds == ROUNDS:
                self._more = True
                break
        for planned in self._retries.due(1 << 30, now) if self._retries else ():
            self._lanes.of(self.graph.nodes[planned[0]]).due.append(planned)
            self.arrivals += 1

    def _widen(self) -> bool:
        """Whether nothing can go on unless a map makes more tasks than the window allows; then it may."""
        if self.in_flight or self._retries or self.graph.ready or self._lanes or self._aftermath.unconsumed:
            return False
        if self._elsewhere or self.graph.ended:
            # Nobody has looked yet what follows from what has ended.
            return False
        self._slack *= 2
        return self._slack < 1 << 40

    def _sort(self, now: float) -> None:
        """From what is ready to the lanes; what needs no backend is done at once."""
        ready, nodes, records = self.graph.ready, self.graph.nodes, self.records
        lane_of, ahead = self._lanes.of, self._calls.ahead
        arrived = False
        while ready:
            ticket = ready.popleft()
            if records.state[ticket] != PENDING or ticket in ahead:
                continue
            node = nodes[ticket]
            records.ready[ticket] = now
            if type(node) is Mapped:
                self.maps.begin(ticket)
            elif node.callback_function is gathered:
                self._gather(ticket, now)
            elif node.options.asked and not self._declare(ticket, node):
                continue
            elif self.memory is None or not self._is_known(ticket, self.memory, now):
                lane_of(node).due.append(ticket)
                arrived = True
        self.arrivals += arrived

    def _is_known(self, ticket: int, memory: GraphMemory, now: float) -> bool:
        """Whether a task need not run, as its result is there already, or is being made, or can not be asked for."""
        try:
            value = memory.recall(ticket)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.graph.took_inputs(ticket)
            self._give_up(ticket, error)
            return True
        if value is None:
            return False
        if value is ELSEWHERE:
            self._elsewhere.append(ticket)
            self._ask_at = now + ASK_SECONDS
        else:
            self.graph.took_inputs(ticket)
            self.graph.succeed(ticket, value)
        return True

    def _declare(self, ticket: int, task: Task[Any]) -> bool:
        """Make the limits and the cache of a task known, which a map may have made; a limit that contradicts another
        is its failure."""
        if task.options.cache is not None and self.memory is None and self.remember is not None:
            self.memory = self.remember()
        try:
            self._limits.declare(task.options.limits)
        except ValueError as error:
            self.graph.took_inputs(ticket)
            self._give_up(ticket, error)
            return False
        return True

    def _gather(self, ticket: int, now: float) -> None:
        try:
            value = call_of(self.graph, ticket).positional
        except Exception as error:
            self.graph.took_inputs(ticket)
            self._give_up(ticket, error)
            return
        self.graph.took_inputs(ticket)
        self.records.began[ticket] = self.records.ended[ticket] = now
        self.graph.succeed(ticket, value)

    # What has ended --------------------------------------------------------------------------------------------------

    def settle(self, endings: Sequence[Ending], now: float) -> list[Outcome[Any]]:
        """Take note of how attempts ended; gives the outcomes that may be handed out."""
        graph, records = self.graph, self.records
        state, began, ended_at, workers = records.state, records.began, records.ended, records.workers
        self.in_flight -= len(endings)
        special, ahead = self._attempts.any, self._calls.ahead
        learns = any(lane.chains for lane in self.lanes.values())
        for planned, failure, value, started, ended, worker in endings:
            ticket = planned[0]
            if special:
                self._attempts.end(ticket, started)
            if failure is NOT_STARTED:
                self._comes_back(planned, now)
            elif state[ticket] == PENDING:
                began[ticket] = started
                ended_at[ticket] = ended
                workers[ticket] = worker
                if failure is not None:
                    self._failed(planned, failure, started, now)
                    special = True
                elif type(value) in NO_VALUES:
                    self._give_up(ticket, gave_a_task(value))
                else:
                    graph.succeed(ticket, value)
                    if learns and type(value) not in ATOMS:
                        self._calls.learn(task_of(planned[1]))
                if special:
                    self._wrap_up(ticket)
                if ahead and ticket in ahead and state[ticket] != PENDING:
                    self._has_followed(ticket)
        self._aftermath.look()
        if self._ranks is not None and endings and self._ranks.learn(endings, now):
            self._lanes.rank(self._ranks)
        outgoing, self._aftermath.outgoing = self._aftermath.outgoing, []
        return outgoing

    def _comes_back(self, planned: Planned, now: float) -> None:
        """A task has not started after all."""
        ticket = planned[0]
        if self.records.state[ticket] != PENDING:
            self._calls.ahead.discard(ticket)
        elif ticket not in self._calls.ahead:
            self._lanes.of(task_of(planned[1])).due.appendleft(planned)
        else:
            # Its input was not there; it is planned anew with the value, when there is one.
            self._no_more_ahead(ticket, now)
            if not self.graph.waits(ticket):
                self.graph.ready.appendleft(ticket)

    def _no_more_ahead(self, ticket: int, now: float) -> None:
        # It may have become ready a moment ago. As long as it is ahead that is passed over, or it would be due twice.
        self._sort(now)
        self._calls.ahead.remove(ticket)

    def _wrap_up(self, ticket: int) -> None:
        """Forget what there was to know of a task that has ended, beyond its record."""
        if self.records.state[ticket] == PENDING:
            return
        attempts = self._retries.attempts(ticket)
        if attempts > 1:
            self.records.attempts[ticket] = attempts
            self._retries.forget(ticket)

    def _has_followed(self, ticket: int) -> None:
        """A task has ended that was sent along behind the one whose result it took."""
        self._calls.ahead.remove(ticket)
        self.graph.took_inputs(ticket)
        # It was due when the one before it had ended, and its worker went on with it at once.
        self.records.ready[ticket] = self.records.began[ticket]

    def _failed(self, planned: Planned, failure: BaseException, started: float, now: float) -> None:
        ticket, task = planned[0], task_of(planned[1])
        policy = task.options.retry
        if policy is not None and ticket in self._calls.ahead:
            # What stood for its input means nothing outside of that batch.
            again = self._plan(ticket, task, self._lanes.of(task))
            if again is None:
                return
            self._no_more_ahead(ticket, now)
            planned = again
        attempt = self._retries.attempts(ticket)
        wait = None if policy is None else self._retries.again(planned, policy, failure, started, now)
        if wait is None:
            self._give_up(ticket, failure)
        else:
            self.records.followed(ticket, failure)
            self.notes.append(Note("retried", ticket, task.name, attempt, failure, wait))

    def _give_up(self, ticket: int, failure: BaseException) -> None:
        """A task has failed for good."""
        task = self.graph.nodes[ticket]
        attempts, place = self._retries.attempts(ticket), self.records.place_of(ticket)
        error = self._stand_in(ticket, task, failure, attempts, place)
        self.graph.fail(ticket, error)

    def consumed(self, count: int) -> None:
        """The consumer has taken this many of the outcomes that it was handed."""
        self._aftermath.consumed(count)

    def stop(self, error: Exception) -> None:
        """End the run here: whatever has not ended is cancelled."""
        if self.failure is None:
            self._aftermath.failure = error

    def note_cancelled(self, tickets: Iterable[int]) -> None:
        """Write down that these were cancelled."""
        self._aftermath.note_cancelled(tickets)

    # Time ------------------------------------------------------------------------------------------------------------

    @property
    def look_at(self) -> float | None:
        """When it is worth looking at what runs."""
        return self._attempts.look_at(barred=self._lanes.any_barred)

    @property
    def timed(self) -> bool:
        """Whether it has to be known when attempts begin."""
        return self._attempts.timed

    def expired(self, running: Iterable[tuple[int, float]], now: float) -> list[tuple[int, float]]:
        """The attempts that have run for longer than they may, and how long that is."""
        return self._attempts.expired(running, now)

    def attempt_of(self, ticket: int) -> int:
        """Which attempt of a task is the present one."""
        return self._retries.attempts(ticket)

    def patience(self, now: float) -> float | None:
        """How many seconds nothing needs to be decided, unless an attempt ends; None: for ever."""
        if self._aftermath.outgoing or self._more or self.graph.ended or self.done:
            # Some that were to be given away have ended instead, as a part of an input is not there.
            return 0.0
        until = self._attempts.next_at(now, barred=self._lanes.any_barred)
        if self._elsewhere:
            until = self._ask_at if until is None else min(until, self._ask_at)
        if until is None and not self.in_flight and not self._lanes:
            raise InternalError("nothing runs, nothing is due, and the run is not over")
        return None if until is None else max(0.0, until - now)

    @property
    def done(self) -> bool:
        """Whether nothing is left to do: every task has ended, or the run has failed."""
        return self.failure is not None or not self.graph.unfinished


def _one_of_each_kind(nodes: Iterable[Node]) -> Iterable[Task[Any]]:
    """Of the tasks with the same function and options, one."""
    kinds: dict[tuple[int, int], Task[Any]] = {}
    options: Any = None
    function: Any = None
    for node in nodes:
        if type(node) is Task and (node.options is not options or node.callback_function is not function):
            options, function = node.options, node.callback_function
            kinds[id(options), id(function)] = node
    return kinds.values()
