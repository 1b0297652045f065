"""What was submitted to an executor, and the thread that runs it.

::

    submit ──▶ mailbox ──▶ run loop ──▶ workers
       │                      │
    future ◀── its result ────┘        (of a process; a thread sets the future of its call itself)

An executor is held by nobody but its user: when it is dropped, the mailbox is closed and the loop ends once everything
that was submitted is done. The same happens before the interpreter ends.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context
from functools import partial
from itertools import count
from typing import Any, TypeVar, cast

from cotality.parallel._backends.cpus import enclosing_width
from cotality.parallel._backends.daemons import start_daemon
from cotality.parallel._backends.forks import in_forked_children
from cotality.parallel._data.broken import BrokenTransferError, WorkerStartError
from cotality.parallel._data.messages import Backend, Planned, Pool
from cotality.parallel._data.task import Task
from cotality.parallel._data.task_errors import InternalError, TaskError, TransferError
from cotality.parallel._held import Held
from cotality.parallel._loop import ListLoop
from cotality.parallel._observers.attend import new_identity
from cotality.parallel._scheduling.plan import Plan
from cotality.parallel._scheduling.survey import ListSurvey

R = TypeVar("R")

_mailboxes: weakref.WeakSet[Mailbox] = weakref.WeakSet()
_interpreter_ends = False


class _Failed:
    """Stands for a result, so that an exception that a task returns is not taken for one that it raised."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _stand_in(_index: int, task: Task[Any], error: BaseException, _attempts: int) -> _Failed:
    """The result of a call that failed; what happened to it in our hands names it."""
    if isinstance(error, TransferError):
        cause = error.__cause__
        error = BrokenTransferError(*error.args)
        error.__cause__ = cause
    if isinstance(error, TaskError):
        error.add_note(f"in task {task.name}")
    return _Failed(error)


class _Call:
    """The future of a submitted call. Who takes it is the one who sets it."""

    __slots__ = ("_future",)

    def __init__(self, future: Future[Any]) -> None:
        self._future = [future]

    def take(self) -> Future[Any] | None:
        try:
            return self._future.pop()
        except IndexError:
            return None

    def cancel(self) -> None:
        for future in tuple(self._future):
            future.cancel()

    def start(self) -> bool:
        """Whether it is still wanted; from now on it can not be cancelled."""
        return all(future.set_running_or_notify_cancel() for future in tuple(self._future))

    def fail(self, error: BaseException) -> None:
        """Give it up, unless it is somebody else's already."""
        future = self.take()
        if future is not None and (future.running() or future.set_running_or_notify_cancel()):
            future.set_exception(error)

    def make(self, function: Callable[..., Any], positional: tuple[Any, ...], arguments: dict[str, Any]) -> None:
        """Make the call, in a thread of this process, and set the future."""
        future = self.take()
        if future is None or not future.set_running_or_notify_cancel():
            return
        try:
            result = function(*positional, **arguments)
        except BaseException as error:
            future.set_exception(error)
            # The traceback leads to this frame: the exception's own future must not be found in it.
            del future
        else:
            future.set_result(result)


class Mailbox:
    """What was submitted and not yet taken: the source of an executor's loop, filled from any thread.

    Parameters:
        pool: Where it runs.
        workers: The most workers.
        here: Whether workers are threads, which set the futures themselves. Then a call can be cancelled until the
            moment it starts, and nobody who waits for it has to wait for the loop.
        before: Called in the thread that submits first, before the loop has a thread.
        after: Called when nothing more will come and everything has ended.
    """

    error: Exception | None = None

    def __init__(
        self, pool: Pool, workers: int, *, here: bool, before: Callable[[], object], after: Callable[[], object]
    ) -> None:
        self._pool = pool
        self._workers = workers
        self._here = here
        self._before = before
        self._after = after
        # Calls run in no one's context: that of whoever submits first would be seen by all others.
        self._context = Context()
        self._context.run(enclosing_width.set, enclosing_width.get())
        # A collection of garbage may finish an executor at any moment, also in a thread that is in here already.
        self._lock = threading.RLock()
        self._waiting: deque[tuple[_Call, Task[Any]]] = deque()
        self._taken: dict[int, _Call] = {}
        self._numbers = count()
        self._backend: Backend | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self.exhausted: bool = False
        self._broken: Exception | None = None
        _mailboxes.add(self)

    # For those who submit --------------------------------------------------------------------------------------------

    def post(self, function: Callable[..., R], positional: tuple[Any, ...], arguments: dict[str, Any]) -> Future[R]:
        future: Future[R] = Future()
        call = _Call(future)
        task: Task[Any]
        if self._here:
            task = Task(call.make, {}, positional=(function, positional, arguments))
        else:
            task = Task(function, arguments, positional=positional)
        with Held(self._lock):
            self.check_open()
            if self._thread is None:
                self._start()
            self._waiting.append((call, task))
            # Where others wait already, the loop has been woken or has its hands full.
            if len(self._waiting) == 1 and self._backend is not None:
                self._backend.wake()
        return future

    def check_open(self) -> None:
        """Raise unless something may be submitted."""
        if self._broken is not None:
            raise self._refusal()
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if _interpreter_ends:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    def _start(self) -> None:
        self._before()
        backend = self._context.run(self._pool.open, self._workers)
        try:
            thread = start_daemon(partial(self._serve, backend), "cotality-executor")
        except BaseException:
            backend.close()
            raise
        self._backend, self._thread = backend, thread

    def finish(self, *, cancel: bool = False) -> None:
        """Take nothing more; what is there still runs, unless it is to be cancelled."""
        with Held(self._lock):
            self._closed = True
            self.exhausted = not self._waiting
            calls: list[_Call] = []
            if cancel:
                # As many as there are workers are started, or as good as.
                calls = [*self._taken.values(), *(call for call, _task in self._waiting)][self._workers :]
            if self._backend is not None:
                self._backend.wake()
        for call in calls:
            call.cancel()
        if self._thread is None:
            self._after()

    def join(self) -> None:
        """Wait until everything that was submitted has ended."""
        if self._thread is not None:
            self._thread.join()

    def disown(self) -> None:
        """In a forked child: the loop is the parent's; a mailbox without one can be used as if it were new."""
        self._lock = threading.RLock()
        if self._thread is not None:
            self._broken = RuntimeError("the executor is at work in the process that this one was forked from")
            self._backend = None

    # For the loop ----------------------------------------------------------------------------------------------------

    def pull(self, most: int) -> list[Planned]:
        planned: list[Planned] = []
        with self._lock:
            while self._waiting and len(planned) < most:
                call, task = self._waiting.popleft()
                if self._here or call.start():
                    number = next(self._numbers)
                    self._taken[number] = call
                    planned.append((number, task))
            self.exhausted = self._closed and not self._waiting
        return planned

    def close(self) -> None:
        """The loop is over."""

    def _serve(self, backend: Backend) -> None:
        plan = Plan(self, retry=None, timeout=None, ordered=False, fail_fast=False, stand_in=_stand_in)
        survey = ListSurvey(plan, None, "executor")
        loop = ListLoop(new_identity(), plan, self, backend, window=None, survey=survey, audience=None)
        try:
            while not loop.done:
                ended = deque(loop.turn(wait=True))
                loop.consumed(len(ended))
                while ended:
                    self._settle(*ended.popleft())
        except BaseException as error:
            self._break(error)
        finally:
            with self._lock:
                self._backend = None
            loop.close()
            self._after()

    def _settle(self, number: int, result: Any) -> None:
        future = self._taken.pop(number).take()
        if future is None:
            return
        if isinstance(result, _Failed):
            future.set_exception(result.error)
        else:
            future.set_result(result)

    def _break(self, error: BaseException) -> None:
        """No worker can be started any more, or worse: whoever waits is told, and so is who submits."""
        with self._lock:
            if isinstance(error, (WorkerStartError, OSError)):
                self._broken = WorkerStartError(f"the executor is broken: {error}")
            else:
                self._broken = InternalError("the loop of the executor has failed")
            self._broken.__cause__ = error
            left = [*self._taken.values(), *(call for call, _task in self._waiting)]
            self._taken.clear()
            self._waiting.clear()
        for call in left:
            call.fail(self._refusal())

    def _refusal(self) -> Exception:
        """An error of its own for everyone: raising one adds to its traceback."""
        broken = cast(Exception, self._broken)
        refusal = type(broken)(*broken.args)
        refusal.__cause__ = broken.__cause__
        return refusal


def _finish_all() -> None:
    """Before the interpreter joins its threads: what was submitted still runs, nothing new is taken."""
    global _interpreter_ends
    _interpreter_ends = True
    mailboxes = list(_mailboxes)
    for mailbox in mailboxes:
        mailbox.finish()
    for mailbox in mailboxes:
        mailbox.join()


def _disown_all() -> None:
    for mailbox in list(_mailboxes):
        mailbox.disown()
    _mailboxes.clear()


in_forked_children(_disown_all)
# The standard library's executors do the same; atexit proper runs too late, when threads can not be waited for.
threading._register_atexit(_finish_all)  # type: ignore[attr-defined]
