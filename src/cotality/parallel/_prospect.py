"""What a run with a journal would take over.

The plan of such a run is gone through with the journal, which is only read. What has to run never ends there; so what
comes to no end needs something that runs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from cotality.parallel._data.journal import Journal
from cotality.parallel._data.mapped import Mapped
from cotality.parallel._data.ordering import Node, wires_of
from cotality.parallel._data.reference import VALUE
from cotality.parallel._data.task import Task, name_of
from cotality.parallel._data.task_errors import NoStableContent
from cotality.parallel._flow_memory import FlowMemory
from cotality.parallel._journal.journal import OpenJournal
from cotality.parallel._journal.keys import Known
from cotality.parallel._journal.reasons import Reasons
from cotality.parallel._scheduling.expansion import NOT_BEGUN
from cotality.parallel._scheduling.graph import is_counted
from cotality.parallel._scheduling.graph_plan import GraphPlan
from cotality.parallel._scheduling.records import PENDING, SUCCEEDED

ALWAYS: Final = "it has journal=False"
BEHIND: Final = "what it takes is made anew"
CACHED: Final = "the journal has no result of it, unless its cache has"
REFUSED: Final = "it can not be recognised again"
_ALL: Final = 1 << 40
"""How many items of a map may be under way: here they are only made."""


class Prospect:
    """What a run would take over from a journal, if what has to run succeeds.

    Parameters:
        nodes: Its tasks and maps, each behind what it needs.
        settings: The journal.

    Attributes:
        resumed: How many tasks of each name do not have to run.
        runs: By name, how many have to run, for each reason.
        unknown: How many of each name take what is known only in the run.
        problems: What will fail, a line each.

    Raises:
        JournalError: the journal can not be read.
        ValueError: two limits of one name differ.
    """

    def __init__(self, nodes: Sequence[Node], settings: Journal) -> None:
        self.resumed: Counter[str] = Counter()
        self.runs: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.unknown: Counter[str] = Counter()
        plan = self._plan = GraphPlan(
            nodes, kept=set(), lane_of=_nowhere, failure="finish", delivery=None, stand_in=_what_stands_for
        )
        memory = _Onlooker(settings, plan)
        memory.open()
        plan.memory = memory
        try:
            _go_through(plan, memory)
        finally:
            plan.memory = None
            memory.close()
        self._reasons = memory.reasons
        self.problems: list[str] = list(memory.problems)
        self._anew: set[int] = set()
        """Those whose results will surely be others, by ticket."""
        self._unsure: set[int] = set()
        """Those of which that is known only in the run."""
        for ticket in range(len(nodes)):
            (self._look_at_map if ticket in plan.maps.by_ticket else self._look_at)(ticket)

    def _look_at(self, ticket: int) -> None:
        """Count a node. What it needs was looked at before."""
        state, node = self._plan.records.state[ticket], self._plan.graph.nodes[ticket]
        if state == SUCCEEDED:
            self.resumed.update([node.name] if is_counted(node) else ())
        elif state == PENDING:
            reason = self._reasons.get(ticket)
            if reason is None and not self._is_anew(ticket):
                self._unsure.add(ticket)
                self.unknown.update([node.name] if is_counted(node) else ())
                return
            # What takes the result of one that is in no journal goes by what it gives.
            (self._unsure if reason in (ALWAYS, CACHED) else self._anew).add(ticket)
            if is_counted(node):
                self.runs[node.name][reason or BEHIND] += 1

    def _is_anew(self, ticket: int) -> bool:
        """Whether something that a node takes will surely be another one; what a task comes to may be the same."""
        graph = self._plan.graph
        values = {graph.tickets[wire.task] for wire in wires_of(graph.nodes[ticket]) if wire.kind == VALUE}
        inputs = graph.inputs_of(ticket)
        is_sure = self._anew.isdisjoint(inputs) and self._unsure.isdisjoint(inputs)
        return is_sure or not self._anew.isdisjoint(values)

    def _look_at_map(self, ticket: int) -> None:
        expansion = self._plan.maps.by_ticket[ticket]
        items = [item for item in expansion.items if item != NOT_BEGUN]
        for item in items:
            self._look_at(item)
        # Of a map through another one's items there are those whose item is there.
        missing = 0 if expansion.length is None else expansion.length - len(items)
        name = expansion.kind or name_of(expansion.mapped.function)
        if missing and self._is_anew(ticket):
            self.runs[name][BEHIND] += missing
            self._anew.add(ticket)
        elif missing:
            self.unknown[name] += missing
            self._unsure.add(ticket)
        if not self._anew.isdisjoint(items):
            self._anew.add(ticket)
        elif not self._unsure.isdisjoint(items):
            self._unsure.add(ticket)


class _Onlooker(FlowMemory):
    """A memory that reads and never writes, and notes why tasks run."""

    def __init__(self, settings: Journal, plan: GraphPlan) -> None:
        super().__init__(settings, plan)
        self._read_from = settings
        self.tells = False
        self.reasons: dict[int, str] = {}
        """Why those run of which all that they take is there, by ticket."""
        self.problems: dict[str, None] = {}

    def open(self) -> None:
        self._journal = OpenJournal(self._read_from, _ignore, writes=False)
        self._reasons = Reasons(self._journal)

    def recall(self, ticket: int) -> Any:
        if ticket in self.reasons:
            # It was asked for before all that it only comes after had ended.
            return None
        task: Task[Any] = self._graph.nodes[ticket]
        found = None
        try:
            found = super().recall(ticket)
        except NoStableContent as error:
            self.reasons[ticket] = REFUSED
            self.problems[str(error)] = None
        except Exception as error:
            # What it says may have the value of an argument in it.
            self.reasons[ticket] = REFUSED
            self.problems[f"the key= of {task.name} raises {type(error).__name__}"] = None
        if found is None:
            self.reasons.setdefault(ticket, ALWAYS)
        return found

    def _miss(self, ticket: int, known: Known, reasons: Reasons) -> None:
        key, call, kind = known
        self.reasons[ticket] = reasons.of(key, call, kind.function)

    def _ask_cache(self, ticket: int, task: Task[Any], known: Known) -> None:
        # To ask one is to claim what is not there.
        self.reasons[ticket] = CACHED

    def close(self) -> None:
        self._content.of_wire = None
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.store.close()


def _go_through(plan: GraphPlan, memory: _Onlooker) -> None:
    """As a run does, but that what has to run never ends, and that nothing waits for what it only comes after."""
    ready, nodes = plan.graph.ready, plan.graph.nodes
    while True:
        plan.advance(_ALL, 0.0)
        while not plan.done and plan.patience(0.0) == 0.0:
            plan.settle((), 0.0)
            plan.advance(_ALL, 0.0)
        held_up = [ticket for ticket in _held_up(plan) if ticket not in memory.reasons]
        if not held_up:
            return
        # A map must not begin twice: before it, all that stands before it is gone through.
        tasks = [ticket for ticket in held_up if type(nodes[ticket]) is not Mapped]
        ready.extend(tasks or held_up[:1])


def _held_up(plan: GraphPlan) -> Iterator[int]:
    """What has all that it takes, and has not begun, as it comes after something that has not ended."""
    graph, maps = plan.graph, plan.maps.by_ticket
    state, followers = graph.records.state, graph.map_followers
    for ticket, node in enumerate(graph.nodes):
        if state[ticket] != PENDING or not graph.waits(ticket) or ticket in maps:
            continue
        sources = (graph.tickets[wire.task] for wire in wires_of(node))
        if all(state[each] != PENDING or (each in maps and ticket in followers.get(each, ())) for each in sources):
            yield ticket


def _nowhere(_task: Task[Any]) -> str:
    return "serial"


def _what_stands_for(_ticket: int, _task: Task[Any], error: BaseException, *_: object) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(type(error).__name__)


def _ignore(*_: object, **__: object) -> None:
    """Nothing is told: a run would tell it."""
