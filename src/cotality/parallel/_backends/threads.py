"""Runs attempts in threads of this process.

::

    run loop ── submit ──▶ due ─▶ thread ─┐
        ▲                   (deque) thread ├─▶ endings (deque)
        └──────── collect ────────────────┘

Both deques are shared, so no task waits behind another one while a thread is idle, and nothing is locked: a
``popleft`` or an ``append`` is atomic. Who finds nothing parks on a lock of its own; who adds something wakes one
who is parked, and each thread that finds more work wakes the next one. A thousand tiny tasks so wake one or two
threads, and thirty that sleep wake thirty.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from functools import partial
from time import monotonic
from types import CoroutineType
from typing import Any

from cotality.parallel._backends.awaiting import finish
from cotality.parallel._backends.cpus import enclosing_width, narrowed, thread_width
from cotality.parallel._backends.crew import start_thread
from cotality.parallel._backends.gate import Gate
from cotality.parallel._backends.present import Mark, present, structlog_mark
from cotality.parallel._backends.state import reset_worker_state
from cotality.parallel._data.capabilities import OF_THREADS
from cotality.parallel._data.current import Belonging, CurrentTask
from cotality.parallel._data.messages import Ending, Planned
from cotality.parallel._held import Held


class ThreadPool:
    """Threads for a run, taken from those that earlier runs have left idle.

    Parameters:
        max_workers: The most threads of a run; None: by the machine.
        name_prefix: What its threads are called while they work for a run; "" leaves their own names.
        initializer: Called in each thread before its first task of a run.
        initargs: Its arguments.
    """

    capabilities = OF_THREADS

    def __init__(
        self,
        max_workers: int | None = None,
        name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        self._max_workers = max_workers
        self._name_prefix = name_prefix
        self._initializer = initializer
        self._initargs = initargs

    def open(self, max_workers: int | None) -> ThreadBackend:
        width = narrowed(self._max_workers, max_workers) or thread_width()
        return ThreadBackend(width, copy_context(), self._prepare if self._initializer or self._name_prefix else None)

    def _prepare(self, number: int) -> None:
        if self._name_prefix:
            threading.current_thread().name = f"{self._name_prefix}_{number}"
        if self._initializer is not None:
            self._initializer(*self._initargs)


class _Member:
    """One thread of a run. Who pops what it runs from ``current`` may report how that ended, and nobody else."""

    __slots__ = ("belonging", "current", "interrupted", "name", "parked", "started")

    def __init__(self, belonging: Belonging | None) -> None:
        self.belonging = belonging
        self.parked = Gate()
        self.name = ""
        self.current: list[Planned] = []
        self.started = 0.0
        self.interrupted: Planned | None = None
        """What it still runs though somebody has reported for it."""

    def planned(self) -> Planned | None:
        """What it runs now."""
        try:
            return self.current[-1]
        except IndexError:
            return self.interrupted

    def task(self) -> CurrentTask | None:
        """The same, as who asks is told."""
        planned = self.planned()
        return None if planned is None or self.belonging is None else self.belonging.task(planned)


class ThreadBackend:
    """One run's threads; see the module.

    A thread can not be ended from outside. An interrupted attempt is reported at once and its thread counted out,
    so that another takes its place; when it does end, its result is dropped and the thread leaves.
    """

    reach = 1024

    def __init__(self, workers: int, context: Context, prepare: Callable[[int], None] | None) -> None:
        self.workers = workers
        self._context = context
        self._prepare = prepare
        self._unprepared: BaseException | None = None
        self._belonging: Belonging | None = None
        outer = context.run(enclosing_width.get)
        context.run(enclosing_width.set, lambda: outer() * self._width())
        self._due: deque[Planned] = deque()
        self._endings: deque[Ending] = deque()
        self._idle: deque[_Member] = deque()
        self._members: list[_Member] = []
        self._runaways: list[str] = []
        self._started = 0
        self._places = threading.RLock()
        self._open = True
        self._woken = False
        self._owner = Gate()

    def _width(self) -> int:
        return max(1, self._started)

    def ring(self, bell: Callable[[], None]) -> None:
        self._owner.bell = bell

    def belong(self, belonging: Belonging) -> None:
        self._belonging = belonging

    def room(self) -> int:
        return 1 if self._open else 0

    def submit(self, batch: Sequence[Planned]) -> None:
        self._due.extend(batch)
        self._call_in()

    def _call_in(self) -> None:
        """Let one more thread look for work."""
        try:
            parked = self._idle.popleft().parked
        except IndexError:
            parked = None
        if parked is not None:
            parked.open()
        elif self._started < self.workers and self._take_place():
            self._start()

    def _take_place(self) -> bool:
        """Count one more thread in, if there is room: several may ask at once, each wakes the next one."""
        with Held(self._places):
            room = self._started < self.workers
            self._started += room
        return room

    def _start(self) -> None:
        member = _Member(self._belonging)
        # Before it runs: one that nobody knew of, because of an interrupt, would never be told that the run is over.
        self._members.append(member)
        try:
            self._launch(lambda: self._serve(member))
        except RuntimeError as error:
            self._members.remove(member)
            with Held(self._places):
                self._started -= 1
            # Since 3.12 no thread can be started a while before the interpreter says that it ends.
            if sys.is_finalizing() or "shutdown" in str(error):
                raise
            if not self._started:
                raise OSError("no thread could be started: the limit of threads or of memory is reached") from error
            # Those that run already will do it.
            self.workers = self._started

    def _launch(self, duty: Callable[[], None]) -> None:
        """Have a thread do this."""
        start_thread(duty)

    def _serve(self, member: _Member) -> None:
        """A thread's time with this run."""
        reset_worker_state()
        context = self._context.copy()
        if self._prepare is not None:
            try:
                context.run(self._prepare, self._members.index(member))
            except BaseException as error:
                self._unprepared = error
                self._owner.open()
                return
        context.run(present.set, member.task)
        mark = structlog_mark()
        self._work(member, context.copy if mark is None else partial(_marked, context, member, mark))

    def _work(self, member: _Member, copy: Callable[[], Context]) -> None:
        """What each thread does: look for a task, run it, report; park when there is none."""
        take, report = self._due.popleft, self._endings.append
        begin, claim = member.current.append, member.current.pop
        owner = self._owner
        name = member.name = threading.current_thread().name
        woken, ended = True, 0.0
        while self._open:
            try:
                planned = take()
            except IndexError:
                if not self._park(member):
                    return
                woken = True
                continue
            if woken:
                woken = False
                ended = monotonic()
                if self._due:
                    self._call_in()
            member.started = started = ended
            begin(planned)
            task = planned[1]
            ending: Ending
            try:
                value = copy().run(task.callback_function, *task.positional, **task.arguments)
                if type(value) is CoroutineType:
                    value = finish(value, copy())
                ending = planned, None, value, started, (ended := monotonic()), name
                del value
            except BaseException as error:
                ending = planned, error, None, started, (ended := monotonic()), name
            try:
                claim()
            except IndexError:
                # Interrupted: somebody has reported for us, and another thread has our place.
                return
            report(ending)
            # A finished task and its result must not live on in this frame while the thread is parked.
            del planned, task, ending
            if owner.closed:
                owner.open()

    def _park(self, member: _Member) -> bool:
        """Wait for work; False when the run is over."""
        self._idle.append(member)
        if self._due or not self._open:
            try:
                # Somebody added work before we could be seen parked.
                self._idle.remove(member)
                return self._open
            except ValueError:
                pass
        member.parked.wait(None)
        return self._open

    def collect(self, timeout: float | None) -> list[Ending]:
        endings = self._endings
        if not endings:
            self._owner.close()
            if not endings and timeout != 0 and self._unprepared is None and not self._woken:
                self._owner.wait(timeout)
        self._woken = False
        if self._unprepared is not None:
            from cotality.parallel._data.broken import WorkerStartError

            raise WorkerStartError("the initializer raised: no worker can be started") from self._unprepared
        take = endings.popleft
        return [take() for _ in range(len(endings))]

    def leftovers(self) -> list[Ending]:
        """What had ended when this was closed, and was not collected."""
        return [self._endings.popleft() for _ in range(len(self._endings))]

    def running(self) -> list[tuple[int, float]]:
        return [(planned[0], member.started) for member in self._members for planned in tuple(member.current)]

    def interrupt(self, ticket: int, failure: BaseException) -> None:
        for member in self._members:
            for planned in tuple(member.current):
                if planned[0] == ticket and self._claim(member):
                    member.interrupted = planned
                    self._members.remove(member)
                    self._endings.append((planned, failure, None, member.started, monotonic(), member.name))
                    self._start()
                    self._runaways.append(planned[1].name)
                    return

    def runaways(self) -> Sequence[str]:
        runaways, self._runaways = self._runaways, []
        return runaways

    def _claim(self, member: _Member) -> bool:
        try:
            member.current.pop()
        except IndexError:
            return False
        return True

    def wake(self) -> None:
        self._woken = True
        self._owner.open()

    def close(self) -> None:
        self._open = False
        self._due.clear()
        for member in self._members:
            self._claim(member)
            member.parked.open()
        # Its own context leads back to it, and these to the results of the run.
        self._members.clear()
        self._belonging = None
        self._idle.clear()


def _marked(context: Context, member: _Member, mark: Mark) -> Context:
    """A context for one task."""
    copy = context.copy()
    planned = member.planned()
    if planned is not None and member.belonging is not None:
        copy.run(mark, planned, member.belonging)
    return copy
