"""Maps at run time: from items to tasks, a few at a time.

A map begins when what it goes through is known. Its items become tasks as there is room for them, so a list of a
million, a cursor without an end, or a map that goes through another one's results never stand in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, MappingView, Sequence, Set
from contextvars import ContextVar
from itertools import islice
from typing import Any

from cotality.parallel._data.mapped import Mapped
from cotality.parallel._data.ordering import Node, in_order, needs_of
from cotality.parallel._data.reference import Wire, as_references
from cotality.parallel._data.sealed import Sealed, Several
from cotality.parallel._data.task import Task, name_of
from cotality.parallel._data.task_errors import CycleError, ReferenceMisuse, RemoteError, ResultNotKept
from cotality.parallel._data.task_options import Options
from cotality.parallel._scheduling.expansion import Expansion, Missing, Upstream
from cotality.parallel._scheduling.graph import Graph, is_counted
from cotality.parallel._scheduling.inputs import look_up
from cotality.parallel._scheduling.keeping import Keeping
from cotality.parallel._scheduling.records import DROPPED, PENDING, SUCCEEDED

_expanding: ContextVar[Container[Node]] = ContextVar("expanding", default=())
"""The nodes of the run whose maps are just making tasks."""


def is_expanding(nodes: Iterable[Node]) -> bool:
    """Whether the code that asks is the function of a map, or what it goes through, in a run of these nodes."""
    running = _expanding.get()
    return any(node in running for node in islice(nodes, 1))


class Maps:
    """The maps of a run.

    Parameters:
        graph: The graph that their items are added to.
        streaming: The maps whose items' outcomes are handed out one by one.
    """

    def __init__(self, graph: Graph, streaming: set[Node]) -> None:
        self._graph = graph
        self._streaming = streaming
        self.by_ticket: dict[int, Expansion] = {}
        self.open: list[Expansion] = []
        """Those that may still make tasks, or have some that have not ended."""
        self._upstreams: dict[int, list[Upstream]] = {}
        """What each map follows, by its ticket."""
        self._keeping = Keeping(graph)
        self.item_of: dict[int, Expansion] = self._keeping.item_of
        """The maps that items belong to."""
        self.drop: Callable[[int], None] = self._keeping.drop

    def begin(self, ticket: int) -> None:
        """What a map goes through is known."""
        mapped = self._graph.nodes[ticket]
        assert isinstance(mapped, Mapped)
        expansion = self.by_ticket[ticket] = Expansion(ticket, mapped)
        for follower in self._graph.begun(ticket):
            if self._graph.records.state[follower] == PENDING:
                upstream = Upstream(expansion)
                self._upstreams.setdefault(follower, []).append(upstream)
                expansion.followers.append(upstream)
        try:
            _use_up(mapped)
            expansion.sources = [self._open_source(expansion, source) for source in mapped.sources]
        except Exception as error:
            expansion.error, expansion.exhausted = error, True
        self.open.append(expansion)

    def _open_source(self, expansion: Expansion, source: Any) -> Iterator[Any] | Upstream:
        mapped = expansion.mapped
        if not isinstance(source, Wire):
            _note_length(expansion, source)
            return map(as_references, source) if mapped.lent else iter(source)
        for upstream in self._upstreams.get(expansion.ticket, ()):
            if upstream.expansion.mapped is source.task:
                expansion.length = upstream.expansion.length
                return upstream
        items = look_up(self._graph, source)
        if isinstance(items, (str, bytes)):
            raise TypeError(f"{mapped.name} was given {type(items).__name__}, whose items are letters")
        _note_length(expansion, items)
        given: Iterator[Any] = iter(items)
        return given

    # Expanding -------------------------------------------------------------------------------------------------------

    def expand(self, window: int) -> bool:
        """Make tasks of items as far as there is room; tells whether anything came of it."""
        grown = False
        self._keeping.forget()
        outer = _expanding.set(self._graph.tickets)
        try:
            for expansion in tuple(self.open):
                while not expansion.exhausted and self._has_room(expansion, window) and self._grow(expansion):
                    grown = True
                if expansion.exhausted and not expansion.unfinished:
                    self.open.remove(expansion)
                    self._close(expansion)
                    grown = True
        finally:
            _expanding.reset(outer)
        return grown

    def _has_room(self, expansion: Expansion, window: int) -> bool:
        if expansion.unfinished >= window:
            return False
        return expansion.unconsumed < window and all(follower.lag < window for follower in expansion.followers)

    def _grow(self, expansion: Expansion) -> bool:
        """Make a task of an item; False when there is none yet, or none any more."""
        place = expansion.due()
        pulled = None if place is None else expansion.pull()
        if place is None or pulled is None:
            return False
        rest = iter(pulled)
        items = [
            self._value(source, place) if isinstance(source, Upstream) else next(rest) for source in expansion.sources
        ]
        for upstream in expansion.upstreams:
            self._graph.release(upstream.take(place))
        self._add_item(expansion, place, items)
        return True

    def _value(self, upstream: Upstream, place: int) -> Any:
        """The result of an item of another map, or why there is none."""
        ticket = upstream.expansion.items[place]
        if self._graph.records.state[ticket] == SUCCEEDED:
            return self._graph.value_of(ticket)
        return Missing(*self._graph.cause_of(ticket))

    def _add_item(self, expansion: Expansion, place: int, items: list[Any]) -> None:
        missing = next((item for item in items if isinstance(item, Missing)), None)
        if missing is not None:
            self._graph.skip(self._add(expansion, place, _stand_in(expansion)), *missing)
            return
        try:
            node = self._make(expansion, items)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # A bad item is that item's failure, and nobody else's.
            self._graph.fail(self._add(expansion, place, _stand_in(expansion)), _harmless(error))
        else:
            self._add(expansion, place, node)

    def _make(self, expansion: Expansion, items: list[Any]) -> Node:
        """The task for these items, with whatever it needs added before it."""
        mapped = expansion.mapped
        node = mapped.function(*items)
        if not isinstance(node, (Task, Mapped)):
            raise ReferenceMisuse(
                f"the function of {mapped.name} must give a task, not {type(node).__name__}: decorate it with @task"
            )
        known = self._keeping.known
        if node in known:
            raise ValueError(f"the function of {mapped.name} gave the same task twice: make one for each item")
        for made in in_order([node], known=known):
            for need in dict.fromkeys(needs_of(made)):
                self._keeping.recall(need)
                if self._keeping.borrow(expansion, need):
                    self._refuse_circle(expansion, need)
            if made is not node:
                self._keeping.add(expansion, made)
                expansion.single = False
        expansion.single &= is_counted(node)
        expansion.kind = node.name if expansion.kind in (None, node.name) else ""
        return node

    def _refuse_circle(self, expansion: Expansion, need: Node) -> None:
        """Raise if what an item needs waits for the end of the map itself."""
        graph = self._graph
        pending, seen = [need], {need}
        while pending:
            node = pending.pop()
            if node is expansion.mapped:
                raise CycleError(f"an item of {expansion.mapped.name} waits for {need.name}, which waits for the map")
            ticket = graph.tickets.get(node)
            if ticket is not None and graph.records.state[ticket] == PENDING:
                fresh = [other for other in needs_of(node) if other not in seen]
                seen.update(fresh)
                pending.extend(fresh)

    def _add(self, expansion: Expansion, place: int, node: Node) -> int:
        graph = self._graph
        (ticket,) = graph.add([node])
        # Who needs it: each map that follows; whoever takes all results together; a stream.
        whole = self._needs_whole(expansion)
        graph.uses[ticket] += len(expansion.followers) + whole
        if expansion.mapped in self._streaming:
            expansion.unconsumed += 1
            graph.uses[ticket] += 1
        self.item_of[ticket] = expansion
        graph.records.places[ticket] = place
        expansion.begin(place, ticket, held=whole)
        return ticket

    def _needs_whole(self, expansion: Expansion) -> bool:
        return self._graph.uses[expansion.ticket] > len(expansion.followers)

    # Ends ------------------------------------------------------------------------------------------------------------

    def ended(self, ticket: int) -> None:
        """A node has ended; it may be an item, or a map that follows another one."""
        expansion = self.item_of.get(ticket)
        if expansion is not None:
            expansion.end(ticket)
            if self._graph.records.state[ticket] != SUCCEEDED and expansion.bar is None:
                expansion.bar = Missing(*self._graph.cause_of(ticket))
        if ticket in self._upstreams:
            self._unfollow(ticket)

    def _unfollow(self, ticket: int) -> None:
        """A map takes no more of another one's items."""
        for upstream in self._upstreams.pop(ticket, ()):
            upstream.expansion.followers.remove(upstream)
            for place in tuple(upstream.untaken):
                self._graph.release(upstream.take(place))

    def _close(self, expansion: Expansion) -> None:
        """All items have ended, and so has the map."""
        graph, ticket = self._graph, expansion.ticket
        whole = self._needs_whole(expansion)
        results: Any = [graph.values.get(item, DROPPED) for item in expansion.items] if whole else []
        if any(isinstance(result, Sealed) for result in results):
            results = Several(results)
        for item, held in zip(expansion.items, expansion.held, strict=True):
            if held:
                graph.release(item)
        for borrowed in expansion.borrowed:
            graph.release(borrowed)
        expansion.borrowed.clear()
        self._unfollow(ticket)
        graph.items[ticket] = expansion.items if expansion.is_complete else (*expansion.items, ticket)
        bar = expansion.bar or expansion.cut
        if expansion.error is None and bar is not None:
            graph.skip(ticket, *bar)
        else:
            graph.took_inputs(ticket)
            error = expansion.error or (_too_late(expansion) if whole and not all(expansion.held) else None)
            if error is not None:
                graph.fail(ticket, error)
            else:
                graph.succeed(ticket, results)
        if graph.uses[ticket]:
            # Also of a map that has failed: its outcomes may be read after the run.
            graph.values[ticket] = results


def _too_late(expansion: Expansion) -> ResultNotKept:
    return ResultNotKept(
        f"results of {expansion.mapped.name} were dropped before a task that a map made asked for them: "
        "add it to the workflow to keep them"
    )


def _note_length(expansion: Expansion, items: Any) -> None:
    # Others may have a length that is not the number of their items, as a table has.
    if isinstance(items, (Sequence, Set, Mapping, MappingView)):
        expansion.length = len(items)


def _use_up(mapped: Mapped[Any]) -> None:
    """Take note that a map goes through iterators, which can be done once.

    Raises:
        ValueError: an earlier run has done that.
    """
    if any(isinstance(source, Iterator) for source in mapped.sources):
        if mapped.used_up:
            raise ValueError(f"the iterator of {mapped.name} was used up by an earlier run: give a list instead")
        mapped.used_up = True


def _stand_in(expansion: Expansion) -> Task[Any]:
    """What stands for an item that never became a task: called as the others are."""
    return Task(_never, {}, options=Options(name=expansion.kind or name_of(expansion.mapped.function)))


def is_stand_in(task: Task[Any]) -> bool:
    """Whether a task stands for an item that never became one."""
    return task.callback_function is _never


def _never() -> None:
    """Not called: its task has ended before it could start."""


def _harmless(error: BaseException) -> Exception:
    """What a map's function has raised; an exit would be taken for the caller's own."""
    if isinstance(error, Exception):
        return error
    wrapped = RemoteError(f"{type(error).__name__} was raised")
    wrapped.__cause__ = error
    return wrapped
