"""Runs coroutines on an event loop, a thousand of them at once.

The loop is the caller's own, for who awaits a run, or one in a thread of ours. The run loop is always in another
thread, so a coroutine that blocks the event loop can not keep a run from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context, ContextVar, copy_context
from dataclasses import replace
from inspect import isawaitable
from time import monotonic

from cotality.parallel._backends.daemons import start_daemon
from cotality.parallel._backends.forks import in_forked_children
from cotality.parallel._backends.gate import Gate
from cotality.parallel._backends.present import Mark, context_of, structlog_mark
from cotality.parallel._data.capabilities import OF_THREADS
from cotality.parallel._data.current import Belonging
from cotality.parallel._data.messages import Ending, Planned
from cotality.parallel._held import Held

MOST_AT_ONCE = 1000
"""How many coroutines run at once when nobody says."""
CANCEL_SECONDS = 0.1
"""How long an interrupted coroutine may take before it is said that it goes on."""
CLOSE_SECONDS = 1.0
"""How long the end of a run waits for coroutines to clean up."""

_private: dict[int, asyncio.AbstractEventLoop] = {}
"""Our own event loops, by how many of them the runs that use them are within: mostly there is only the first."""
_depth: ContextVar[int] = ContextVar("depth", default=0)
_lock = threading.RLock()


def private_loop() -> asyncio.AbstractEventLoop:
    """The event loop that all runs share which have none of their own; it turns in a daemon thread.

    A run in a coroutine on that loop may keep the loop waiting, and so gets another one.
    """
    depth = _depth.get()
    with Held(_lock):
        loop = _private.get(depth)
        if loop is None or loop.is_closed():
            loop = _private[depth] = asyncio.new_event_loop()
            start_daemon(loop.run_forever, "cotality-event-loop")
        return loop


def context_within(context: Context) -> Context:
    """The context of coroutines on the private loop, made of the one of who runs them."""
    within = context.copy()
    within.run(_depth.set, within.get(_depth, 0) + 1)
    return within


def _forget() -> None:
    """In a forked child: the threads are the parent's."""
    global _private, _lock
    _private, _lock = {}, threading.RLock()


in_forked_children(_forget)


class EventLoopPool:
    """An event loop as a pool.

    Parameters:
        loop: The loop; None: the private one.
    """

    capabilities = replace(OF_THREADS, interrupts=True)

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop

    def open(self, max_workers: int | None) -> EventLoopBackend:
        context = copy_context() if self._loop else context_within(copy_context())
        return EventLoopBackend(self._loop or private_loop(), max_workers or MOST_AT_ONCE, context)


class EventLoopBackend:
    """One run's coroutines. Who pops an attempt from ``_running`` may report how it ended, and nobody else."""

    reach = 4 * MOST_AT_ONCE

    def __init__(self, loop: asyncio.AbstractEventLoop, workers: int, context: Context) -> None:
        self.workers = workers
        self._loop = loop
        self._context = context
        self._due: deque[Planned] = deque()
        self._endings: deque[Ending] = deque()
        self._running: dict[int, tuple[Planned, float]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._interrupted: dict[int, str] = {}
        """The names of those that have been reported, and are still to be cancelled."""
        self._starting = False
        """Whether the event loop has been told that tasks are due, and has not looked yet."""
        self._woken = False
        self._owner = Gate()
        self._belonging: Belonging | None = None
        self._mark: Mark | None = None

    def ring(self, bell: Callable[[], None]) -> None:
        self._owner.bell = bell

    def belong(self, belonging: Belonging) -> None:
        self._belonging = belonging
        self._mark = structlog_mark()

    def room(self) -> int:
        return 1

    def submit(self, batch: Sequence[Planned]) -> None:
        self._due.extend(batch)
        self._call_in()

    def _call_in(self) -> None:
        """Let the event loop look for work."""
        if not self._starting:
            # Each call costs a system call, after which a busy event loop has the interpreter for 5 ms.
            self._starting = True
            self._loop.call_soon_threadsafe(self._start_due)

    def _start_due(self) -> None:
        """In the event loop: make tasks of what was submitted, as many as may run at once."""
        self._starting = False
        while self._due and len(self._running) < self.workers:
            try:
                planned = self._due.popleft()
            except IndexError:
                # The run has been closed in between.
                return
            ticket = planned[0]
            self._running[ticket] = planned, monotonic()
            task = self._loop.create_task(self._attempt(planned), context=self._context_for(planned))
            self._tasks[ticket] = task

    def _context_for(self, planned: Planned) -> Context:
        return context_of(planned, self._belonging, self._mark, self._context.copy())

    async def _attempt(self, planned: Planned) -> None:
        ticket, call = planned
        failure: BaseException | None = None
        value = None
        try:
            value = call.callback_function(*call.positional, **call.arguments)
            if isawaitable(value):
                value = await value
        except BaseException as error:
            failure = error
        self._tasks.pop(ticket, None)
        try:
            _planned, started = self._running.pop(ticket)
        except KeyError:
            # Interrupted: somebody has reported for us.
            return
        finally:
            self._start_due()
        self._endings.append((planned, failure, value, started, monotonic(), "event loop"))
        if self._owner.closed:
            self._owner.open()

    def collect(self, timeout: float | None) -> list[Ending]:
        endings = self._endings
        if not endings:
            self._owner.close()
            if not endings and timeout != 0 and not self._woken:
                self._owner.wait(timeout)
        self._woken = False
        return [endings.popleft() for _ in range(len(endings))]

    def leftovers(self) -> list[Ending]:
        """What had ended when this was closed, and was not collected."""
        return [self._endings.popleft() for _ in range(len(self._endings))]

    def running(self) -> list[tuple[int, float]]:
        return [(ticket, started) for ticket, (_planned, started) in tuple(self._running.items())]

    def interrupt(self, ticket: int, failure: BaseException) -> None:
        try:
            planned, started = self._running.pop(ticket)
        except KeyError:
            return
        self._endings.append((planned, failure, None, started, monotonic(), "event loop"))
        self._interrupted[ticket] = planned[1].name

    def runaways(self) -> Sequence[str]:
        interrupted, self._interrupted = self._interrupted, {}
        if interrupted:
            self._in_loop(lambda: self._cancel(interrupted), CANCEL_SECONDS)
        return [
            name for ticket, name in interrupted.items() if ticket in self._tasks and not self._tasks[ticket].done()
        ]

    def _in_loop(self, cancel: Callable[[], Sequence[asyncio.Task[None]]], seconds: float) -> None:
        """Let the event loop cancel coroutines, and give them so many seconds to end."""
        ended = Gate()

        def gather() -> None:
            asyncio.gather(*cancel(), return_exceptions=True).add_done_callback(lambda _future: ended.open())
            if self._due:
                self._start_due()

        try:
            self._loop.call_soon_threadsafe(gather)
        except RuntimeError:
            # The caller's loop is closed, and its tasks are over.
            self._tasks.clear()
            return
        ended.wait(seconds)

    def _cancel(self, tickets: Iterable[int]) -> list[asyncio.Task[None]]:
        tasks = [task for task in map(self._tasks.get, tickets) if task is not None]
        for task in tasks:
            task.cancel()
        return tasks

    def _cancel_all(self) -> list[asyncio.Task[None]]:
        for ticket, (planned, _started) in self._running.items():
            self._interrupted[ticket] = planned[1].name
        self._running.clear()
        return self._cancel(self._interrupted)

    def wake(self) -> None:
        self._woken = True
        self._owner.open()

    def close(self) -> None:
        self._due.clear()
        if self._running or self._starting:
            self._in_loop(self._cancel_all, CLOSE_SECONDS)
