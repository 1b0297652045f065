"""The run loop: the one place that ties the plan, the backends and the clock together.

A *turn* of the loop gives each backend what is due, collects what has ended, and settles it with the plan::

    plan.take ──▶ backend.submit          ... workers ...          backend.collect ──▶ plan.settle ──▶ results

The loop runs in the thread of its consumer and only while the consumer asks for results. So nothing needs to be
stopped when a stream is abandoned but the workers, a slow consumer stops the source, and an exception, a Ctrl-C for
example, arrives where it belongs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import chain
from typing import Any, Protocol
from weakref import finalize

from cotality.parallel._backends.clock import monotonic
from cotality.parallel._backends.present import mark_records
from cotality.parallel._data.current import Belonging, CurrentTask
from cotality.parallel._data.events import Identity, Note, Subject
from cotality.parallel._data.memory import Memory
from cotality.parallel._data.messages import Backend, Ending, Planned, Source
from cotality.parallel._data.task_errors import TaskTimeout
from cotality.parallel._observers.audience import Audience
from cotality.parallel._observers.log import warn
from cotality.parallel._scheduling.plan import Plan
from cotality.parallel._scheduling.sizing import BATCH_SECONDS, Sizing
from cotality.parallel._scheduling.survey import ListSurvey

PULL_SECONDS = 0.002
"""How long the source may hold up the workers at a time: a slow one is asked for fewer tasks."""
TURN_SECONDS = 0.002
"""How long a consumer may go on with results at hand before the workers are looked after again."""


class AnyPlan(Protocol):
    """What a plan decides, whatever its tasks come from."""

    @property
    def look_at(self) -> float | None:
        """When it is worth looking at what runs; None: never."""
        ...

    @property
    def timed(self) -> bool:
        """Whether it has to be known when attempts begin, because of a timeout or a limit."""
        ...

    @property
    def notes(self) -> list[Note]:
        """What was decided since somebody took them from here."""
        ...

    @property
    def done(self) -> bool: ...
    def attempt_of(self, ticket: int) -> int: ...
    def settle(self, endings: Sequence[Ending], now: float) -> list[Any]: ...
    def consumed(self, count: int) -> None: ...
    def expired(self, running: Iterable[tuple[int, float]], now: float) -> list[tuple[int, float]]: ...
    def patience(self, now: float) -> float | None: ...


class Feed:
    """A backend in the hands of a run, and how much it is given at a time.

    Parameters:
        backend: Where attempts run; the feed owns it and closes it.
        take: Gives up to so many due tasks, within such a window, at such a time.
        window: The most tasks taken and not consumed; None: by how long tasks take.
        audience: Who may send something along; None: nobody.
    """

    def __init__(
        self,
        backend: Backend,
        take: Callable[[int, int, float], Sequence[Planned]],
        window: int | None,
        audience: Audience | None = None,
    ) -> None:
        self.backend = backend
        # If an interrupt falls into closing it. Not `__del__`: an interrupt that falls into that one is lost.
        self._unclosed = finalize(self, backend.close)
        self._unclosed.atexit = False
        self._companions = audience if audience is not None and audience.accompanies else None
        self._take = take
        message = getattr(backend, "batch_seconds", BATCH_SECONDS)
        self.sizing = Sizing(backend.workers, backend.reach, window, message)
        self._pull_size = 1

    def dispatch(self) -> bool:
        """Give the backend what is due, while it has room; True if a slow source has cut that short."""
        backend, sizing = self.backend, self.sizing
        while backend.room() > 0:
            before = monotonic()
            batch = self._take(min(sizing.batch, self._pull_size), sizing.window, before)
            slow = monotonic() - before > PULL_SECONDS
            self._pull_size = max(1, self._pull_size // 4) if slow else min(2 * self._pull_size, 2048)
            if not batch:
                return False
            self._submit(batch)
            if slow:
                return True
        return False

    def _submit(self, batch: Sequence[Planned]) -> None:
        if self._companions is not None:
            batch = self._companions.accompany(batch, monotonic())
        self.backend.submit(batch)

    def collect(self, timeout: float | None) -> list[Ending]:
        """What has ended."""
        endings = self.backend.collect(timeout)
        if endings:
            self.sizing.learn(endings)
        return endings

    def close(self) -> None:
        """Give the workers back; more than once does nothing."""
        if self._unclosed.alive:
            self.backend.close()
            self._unclosed.detach()


class Loop:
    """One run; see the module.

    Parameters:
        identity: Which run it is.
        plan: What decides.
        feeds: The backends that it decides for.
        subject: What may be told of it.
        audience: Who is told; None: nobody.
    """

    def __init__(
        self, identity: Identity, plan: AnyPlan, feeds: list[Feed], subject: Subject, audience: Audience | None
    ) -> None:
        self.identity = identity
        self._plan = plan
        self._feeds = feeds
        for feed in feeds:
            self._introduce(feed.backend)
        self._subject = subject
        self._audience = audience
        self.remembers: Memory | None = None
        """What it remembers; None: nothing."""

    def _introduce(self, backend: Backend) -> None:
        """Tell a backend, if it wants to know, for which run it works; before it is given anything."""
        mark_records()
        belong = getattr(backend, "belong", None)
        if belong is not None:
            # Of the plan alone: a backend that held the loop would live with it in a circle.
            plan = self._plan
            belong(Belonging(self.identity, plan.attempt_of, _relay, lambda: plan.timed))

    def begin(self) -> None:
        """Before the first turn: the audience is told."""
        if self.remembers is not None:
            self.remembers.open()
            self.remembers.tells = self._audience is not None
        if self._audience is not None:
            self._audience.begin(self._subject, monotonic())

    def stream(self) -> Generator[Any, None, None]:
        """The results as they may be handed out; however it is left, the loop is closed."""
        ready: deque[Any] = deque()
        next_turn = 0.0
        try:
            self.begin()
            while True:
                if not ready or monotonic() >= next_turn:
                    ready.extend(self.turn(wait=not ready))
                    next_turn = monotonic() + TURN_SECONDS
                if ready:
                    self._plan.consumed(1)
                    yield ready.popleft()
                elif self._plan.done:
                    break
            self.conclude()
        finally:
            self.close()

    def turn(self, *, wait: bool) -> list[Any]:
        """One turn of the loop; with ``wait`` it may wait for something to happen."""
        plan = self._plan
        if plan.done:
            return plan.settle((), monotonic())
        busy_source = self._dispatch()
        patience: float | None = 0.0
        if wait and not plan.done and not busy_source:
            patience = plan.patience(monotonic())
        memory = self.remembers
        if memory is not None:
            patience = _sooner(patience, memory.patience(monotonic()))
        endings = self._collect(patience)
        now = monotonic()
        if memory is not None:
            memory.record(endings, now)
        look_at = plan.look_at
        if look_at is not None and now >= look_at:
            self._end_overdue(now)
        settled = plan.settle(endings, now)
        if memory is not None:
            endings = [*memory.news(), *endings]
        if endings or plan.notes:
            self._tell(endings, now)
        return settled

    def _tell(self, endings: Sequence[Ending], now: float) -> None:
        notes = self._plan.notes[:]
        self._plan.notes.clear()
        if self._audience is not None:
            self._audience.turn(endings, notes, now)

    def _dispatch(self) -> bool:
        """Give the backends what is due; True if a slow source has cut that short."""
        # Each of them, not only until one is cut short.
        return bool(sum([feed.dispatch() for feed in self._feeds]))

    def _collect(self, patience: float | None) -> list[Ending]:
        feeds = self._feeds
        if len(feeds) == 1:
            return feeds[0].collect(patience)
        # All others ring at the first when there is something of theirs. It is asked once, and last: asked twice, the
        # first time would swallow a ring.
        endings = [ending for feed in feeds[1:] for ending in feed.collect(0.0)]
        return endings + feeds[0].collect(0.0 if endings else patience)

    def _end_overdue(self, now: float) -> None:
        running = chain.from_iterable(feed.backend.running() for feed in self._feeds)
        for ticket, seconds in self._plan.expired(running, now):
            failure = TaskTimeout(f"ran longer than its timeout of {seconds:g} s")
            for feed in self._feeds:
                feed.backend.interrupt(ticket, failure)
        for feed in self._feeds:
            _tell_of_runaways(feed.backend)

    def _put_all_away(self) -> None:
        try:
            self._keep_the_last()
        finally:
            self.put_away()

    def _keep_the_last(self) -> None:
        """What has finished and was not collected, because the run ends before its time, is remembered as well."""
        memory, self.remembers = self.remembers, None
        if memory is not None:
            try:
                for feed in self._feeds:
                    leftovers = getattr(feed.backend, "leftovers", None)
                    if leftovers is not None:
                        memory.record(leftovers(), monotonic())
            finally:
                memory.close()

    def wake(self) -> None:
        """Make a waiting turn return soon; from any thread."""
        for feed in self._feeds:
            feed.backend.wake()

    def conclude(self) -> None:
        """Raise what ended the run before its time, if anything did."""

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self._plan.done

    def consumed(self, count: int) -> None:
        """The consumer has taken this many results."""
        self._plan.consumed(count)

    @property
    def state(self) -> str:
        """How it has ended, as observers are told."""
        raise NotImplementedError

    def put_away(self) -> None:
        """What is to be done when the workers are given back."""

    def close(self) -> None:
        """Give the workers back; more than once does nothing."""
        try:
            try:
                _close(self._feeds)
            finally:
                self._put_all_away()
        finally:
            if self._audience is not None:
                now = monotonic()
                self._tell((), now)
                self._audience.end(self.state, now)


def _sooner(first: float | None, second: float | None) -> float | None:
    """The shorter of two times to wait, of which each may be for ever."""
    return first if second is None else second if first is None else min(first, second)


def _close(feeds: Sequence[Feed]) -> None:
    """Close each backend, whatever the others raise. No error is held on the way: it would hold this frame, which
    holds it, and workers that an interrupt has made us lose would live until the garbage is collected."""
    if feeds:
        try:
            feeds[0].close()
            _tell_of_runaways(feeds[0].backend)
        finally:
            _close(feeds[1:])


def _tell_of_runaways(backend: Backend) -> None:
    for name in backend.runaways():
        warn("task.runs_on", "it can not be stopped: it still runs, and its result is dropped", task=name)


def _relay(task: CurrentTask | None, said: Any) -> None:
    # Only tasks in other processes need it.
    from cotality.parallel._observers.relay import relay

    relay(task, said)


class ListLoop(Loop):
    """The run of a list or a stream.

    Parameters:
        identity: Which run it is.
        plan: Its plan.
        source: Where its tasks come from; the loop closes it.
        backend: Where they run; the loop owns it and closes it.
        window: The most tasks taken and not consumed; None: by how long tasks take.
        survey: What may be told of the plan.
        audience: Who is told; None: nobody.
    """

    def __init__(
        self,
        identity: Identity,
        plan: Plan,
        source: Source,
        backend: Backend,
        *,
        window: int | None,
        survey: ListSurvey,
        audience: Audience | None,
    ) -> None:
        super().__init__(identity, plan, [Feed(backend, plan.take, window, audience)], survey, audience)
        self._flat = plan
        self._source = source
        self._left = False
        """Whether it was closed before it was over."""

    def collect(self) -> list[Any]:
        """All results in the order of the source."""
        plan = self._flat
        results: list[Any] = []
        try:
            self.begin()
            while not plan.done:
                turn = self.turn(wait=True)
                plan.consumed(len(turn))
                results.extend([None] * (plan.taken - len(results)))
                for index, result in turn:
                    results[index] = result
            self.conclude()
        finally:
            self.close()
        return results

    def conclude(self) -> None:
        if self._flat.failure is not None:
            raise self._flat.failure
        if self._source.error is not None:
            raise self._source.error
        if not self._flat.taken:
            warn("run.empty", "no tasks were given: the result is empty")

    @property
    def state(self) -> str:
        if self._flat.failure is not None or self._source.error is not None:
            return "failed"
        return "cancelled" if self._left else "succeeded"

    def put_away(self) -> None:
        self._left = self._left or not self._flat.done
        self._source.close()
