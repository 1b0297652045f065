"""The run of a workflow: the run loop over a plan with dependencies and as many backends as its tasks name."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from inspect import iscoroutinefunction
from sys import is_finalizing
from time import sleep, time
from typing import TYPE_CHECKING, Any
from weakref import proxy

from cotality.parallel._account import Account
from cotality.parallel._backends.choose import choose_pool, run_where
from cotality.parallel._backends.clock import monotonic
from cotality.parallel._backends.collector import collector_paused
from cotality.parallel._blame import stand_to_be_raised
from cotality.parallel._data.events import Observer
from cotality.parallel._data.journal import JournalOption, journal_of
from cotality.parallel._data.memory import ASK_SECONDS, Memory
from cotality.parallel._data.messages import Backend, Ending, Pool
from cotality.parallel._data.ordering import Node
from cotality.parallel._data.outcome import Outcome
from cotality.parallel._data.task import Task
from cotality.parallel._data.task_errors import RunCancelled, RunError, RunTimeout
from cotality.parallel._loop import Feed, Loop
from cotality.parallel._observers.attend import attend, new_identity
from cotality.parallel._observers.audience import Audience
from cotality.parallel._scheduling.delivery import Delivery
from cotality.parallel._scheduling.graph_plan import GraphPlan
from cotality.parallel._scheduling.graph_survey import GraphSurvey
from cotality.parallel._scheduling.lanes import LaneName
from cotality.parallel._scheduling.ranks import Durations

if TYPE_CHECKING:
    import asyncio

    from cotality.parallel._flow_memory import FlowMemory


class LaneFeed(Feed):
    """A backend that is given what is due on a lane.

    Parameters:
        backend: Where attempts run; the feed owns it and closes it.
        plan: What decides.
        name: The lane.
        window: The most items of a map under way; None: by how long tasks take.
        audience: Who may send something along; None: nobody.
    """

    def __init__(
        self, backend: Backend, plan: GraphPlan, name: LaneName, window: int | None, audience: Audience | None
    ) -> None:
        super().__init__(backend, partial(plan.take, name), window, audience)
        self._plan = plan
        self._name = name
        self._idle: Callable[[], int] | None = getattr(backend, "idle", None)
        self._out = 0
        """How many the backend has."""

    def dispatch(self) -> bool:
        backend, sizing = self.backend, self.sizing
        while backend.room() > 0:
            batch = self._plan.take(self._name, sizing.batch, sizing.window, monotonic(), self._share)
            if not batch:
                break
            self._out += len(batch)
            self._submit(batch)
            if self._idle is None and len(batch) < sizing.batch:
                # That was all that is due, or all that it may have.
                break
        return False

    def _share(self, due: int) -> int:
        if self._idle is None:
            return max(0, self.sizing.stock - self._out)
        return self.sizing.share(due, self._idle() or not self._plan.in_flight)

    def collect(self, timeout: float | None) -> list[Ending]:
        endings = super().collect(timeout)
        self._out -= len(endings)
        return endings


MEASURED_SECONDS = 0.1
"""A shorter run is not asked how much memory its workers have had: that would be seen in its time."""
FIRST_WINDOW = 16
"""How many items of a map are made into tasks before it is known where they run."""


class Execution(Loop):
    """One run of a workflow, from its start to its end, and what came of it.

    Parameters:
        nodes: Its tasks and maps, each behind what it needs.
        kept: Those whose results can be read when it is over.
        backend: Where tasks run that do not say.
        max_workers: The most workers of that backend.
        failure: How many failures it bears: ``"fail_fast"``, ``"finish"``, a number or a share.
        durations: How long its tasks take, as far as earlier runs have shown; learns more.
        timeout: Seconds that it may take.
        window: The most results of a stream, or items of a map, under way or not consumed.
        wanted: What its stream hands out, in the order of the plan; None: it is no stream.
        ordered: Whether it does so in that order.
        event_loop: The loop for coroutines; None: one of ours.
        name: What the workflow is called.
        observers: Who is told what happens.
        progress: How progress is shown; None: it is not.
        journal: What finished tasks are taken over from, and written to; None: nothing.

    Raises:
        ValueError: two limits of one name differ.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        *,
        kept: set[Node],
        backend: str | Pool = "threads",
        max_workers: int | None = None,
        failure: str | int | float = "fail_fast",
        durations: Durations | None = None,
        timeout: float | None = None,
        window: int | None = None,
        wanted: Sequence[Node] | None = None,
        ordered: bool = True,
        event_loop: asyncio.AbstractEventLoop | None = None,
        name: str = "workflow",
        observers: Sequence[Observer] = (),
        progress: Any = None,
        journal: JournalOption | None = None,
    ) -> None:
        self._default = run_where(backend)
        self._max_workers = max_workers
        self._window = window
        self._event_loop = event_loop
        self._opened: set[LaneName] = set()
        self._timeout = timeout
        self._remembered: FlowMemory | None = None
        self._deadline: float | None = None
        self._cancelled = False
        delivery = None if wanted is None else Delivery(wanted, ordered=ordered)
        # Nothing in here leads back to the run: its results go when it does, and not when the garbage is collected.
        lane_of = partial(lane_for, default=self._default, known={})
        with collector_paused():
            self.plan: GraphPlan = GraphPlan(
                nodes,
                kept=kept,
                lane_of=lane_of,
                failure=failure,
                durations=durations,
                delivery=delivery,
                stand_in=stand_to_be_raised,
            )
        identity = new_identity(name)
        audience = attend(identity, observers, progress)
        super().__init__(identity, self.plan, [], GraphSurvey(self.plan, lane_of), audience)
        self.account: Account = Account(self.plan)
        self._journal = journal_of(journal)
        # The threads of a run lead to its plan: one that was left without being closed would never go.
        self.plan.remember = partial(Execution._remember, proxy(self))
        if self._journal is not None:
            self._remember()
        self.began: float = monotonic()
        self.began_at: float = time()
        self.ended: float | None = None
        self.memory: dict[str, int] = {}
        """The most bytes of memory that each worker process has had since it was started, where the system tells, and
        where the run was long enough to be asked about it."""

    def _remember(self) -> FlowMemory:
        # Only who has something to remember pays for importing it.
        from cotality.parallel._flow_memory import FlowMemory

        memory = FlowMemory(self._journal, self.plan)
        self.remembers: Memory | None = memory
        self.plan.memory = self._remembered = memory
        return memory

    # Where tasks run -------------------------------------------------------------------------------------------------

    def _open_lanes(self) -> None:
        """Open the backends that tasks have come to name since the last time."""
        for name, lane in tuple(self.plan.lanes.items()):
            if name in self._opened:
                continue
            backend = self._pool(name).open(self._max_workers if name == self._default else None)
            lane.chains = bool(getattr(backend, "chains", False))
            lane.keeps = bool(getattr(backend, "keeps", False))
            self._opened.add(name)
            self._introduce(backend)
            self._add_feed(
                LaneFeed(backend, self.plan, name, self._window, self._audience), waits=hasattr(backend, "watch")
            )

    def _pool(self, name: LaneName) -> Pool:
        if name == "asyncio" and self._event_loop is not None:
            from cotality.parallel._backends.event_loop import EventLoopPool

            return EventLoopPool(self._event_loop)
        return choose_pool(name)

    def _add_feed(self, feed: Feed, *, waits: bool) -> None:
        """One of several backends is waited at, and the others ring there: processes can only be waited at."""
        feeds = self._feeds
        if waits or not feeds:
            feeds.insert(0, feed)
        else:
            feeds.append(feed)
        first: Any = feeds[0].backend
        for other in feeds[1:]:
            other.backend.ring(first.wake)
        if waits and len(feeds) > 1 and hasattr(feeds[1].backend, "watch"):
            first.watch(feeds[1].backend)

    # Running ---------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        # Whoever has a stream may ask for its first outcome long after it was made.
        self.began, self.began_at = monotonic(), time()
        super().begin()

    def turn(self, *, wait: bool) -> list[Any]:
        if self._timeout is not None and self._deadline is None:
            self._deadline = monotonic() + self._timeout
        if self._cancelled:
            self.plan.stop(RunCancelled("the run was cancelled"))
        elif self._deadline is not None and monotonic() >= self._deadline:
            self.plan.stop(RunTimeout(f"the run took longer than its timeout of {self._timeout:g} s"))
        return super().turn(wait=wait)

    def _dispatch(self) -> bool:
        if not self._feeds:
            self.plan.advance(self._window or FIRST_WINDOW, monotonic())
        while True:
            if len(self._opened) < len(self.plan.lanes):
                # Those of the plan, and those that the tasks of a map that has just begun name.
                self._open_lanes()
            arrivals = self.plan.arrivals
            cut_short = super()._dispatch()
            # While one was asked something may have come to be due at another, where nobody would look for it.
            is_over = len(self._feeds) < 2 or arrivals == self.plan.arrivals
            if is_over and len(self._opened) == len(self.plan.lanes):
                break
        return cut_short

    def _collect(self, patience: float | None) -> list[Ending]:
        if self._deadline is not None:
            left = max(0.0, self._deadline - monotonic())
            patience = left if patience is None else min(patience, left)
        if not self._feeds:
            if patience:
                # What is left to do is done by other runs: there is nothing to wait at.
                sleep(min(patience, ASK_SECONDS))
            return []
        return super()._collect(patience)

    def finish(self) -> None:
        """Run to the end. What ended the run before its time is found in ``plan.failure`` then."""
        try:
            self.begin()
            while not self.plan.done:
                self.turn(wait=True)
        finally:
            self.close()

    def outcomes(self) -> Generator[Outcome[Any], None, None]:
        """The outcomes of what is wanted, as they may be handed out."""
        return self.stream()

    def cancel(self) -> None:
        """End the run as soon as can be; from any thread."""
        self._cancelled = True
        self.wake()

    @property
    def state(self) -> str:
        """``"running"``, ``"succeeded"``, ``"failed"``, ``"timed out"`` or ``"cancelled"``."""
        if self.ended is None:
            return "running"
        if isinstance(self.plan.failure, RunError):
            return "timed out" if isinstance(self.plan.failure, TimeoutError) else "cancelled"
        return "failed" if self.plan.failures else "succeeded"

    def close(self) -> None:
        try:
            self._take_peaks()
        finally:
            super().close()

    def _take_peaks(self) -> None:
        """Ask workers how much memory they have had, as long as they are ours."""
        if is_finalizing() or monotonic() - self.began < MEASURED_SECONDS:
            # A program that ends in the middle of a run has no one left who could ask, nor files to be opened.
            return
        for feed in self._feeds:
            peaks: Callable[[], dict[str, int]] | None = getattr(feed.backend, "peaks", None)
            if peaks is not None:
                self.memory.update(peaks())

    def put_away(self) -> None:
        if not self.plan.done:
            self.plan.stop(RunCancelled("the run was left before it was over"))
        cancelled = self.plan.graph.cancel_rest()
        if self._audience is not None and self._audience.wants_each:
            self.plan.note_cancelled(cancelled)
        self.ended = self.ended or monotonic()
        self.plan.memory = None

    def resumed(self) -> dict[str, int]:
        """How many tasks did not have to run, by name."""
        return {} if self._remembered is None else dict(self._remembered.resumed)


def lane_for(task: Task[Any], default: LaneName, known: dict[Callable[..., Any], bool] | None = None) -> LaneName:
    """Where a task runs.

    Parameters:
        task: The task.
        default: The backend of its workflow.
        known: Which functions are coroutine functions, as far as somebody has looked; learns more.
    """
    if default == "serial":
        return "serial"
    named = task.options.backend
    if named is not None:
        return named
    function = task.callback_function
    known = {} if known is None else known
    try:
        coroutine = known.get(function)
    except TypeError:
        # A callable object need not have a hash.
        return "asyncio" if iscoroutinefunction(function) else default
    if coroutine is None:
        coroutine = known[function] = iscoroutinefunction(function)
    return "asyncio" if coroutine else default


Execution.__module__ = "cotality.parallel"
