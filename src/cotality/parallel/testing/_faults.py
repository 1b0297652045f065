"""What can go wrong with a task, made to go wrong: in the worker that runs it, whatever the backend."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import unwrap
from typing import Any, TypeAlias

from cotality.parallel._backends.choose import run_where
from cotality.parallel._data.around import Around, with_function
from cotality.parallel._data.events import Identity, Note, Subject
from cotality.parallel._data.messages import AnyCall, Ending, Planned
from cotality.parallel._data.place import in_worker
from cotality.parallel._data.task import task_of
from cotality.parallel._observers.attend import guests
from cotality.parallel.errors import WorkerDied
from cotality.parallel.testing._clock import in_force

Fault: TypeAlias = Callable[[Callable[[], Any]], Any]
"""What is done in the place of a call. It is given the call, a ``functools.partial`` without open parameters, and gives
what is to be its result."""


@contextmanager
def inject(task: str | Callable[..., Any], fault: Fault, *, attempts: int | None = None) -> Iterator[None]:
    """Have a fault happen to the tasks of one name or function, in all runs that begin inside.

    It happens where the task runs: in its thread, its process, or on the event loop. That there was no such task is
    told as a warning: its name may be misspelt.

    Parameters:
        task: The name of the tasks; or the function or the task factory that they are of.
        fault: What happens: one of those below, or a function that is given the call and makes it or not. What the
            call was given is in its ``args`` and ``keywords``. For processes it must be picklable.
        attempts: In how many first attempts of each task; None: in all of them.

    Example:
        >>> from cotality.parallel import Task, run
        >>> from cotality.parallel.testing import failing, inject
        >>> with inject(len, failing(ConnectionError("down")), attempts=1):
        ...     run([Task(len, {}, positional=("abc",))], retries=1)
        [3]
        >>> with inject("len", lambda call: call() + len(call.args[0])):
        ...     run([Task(len, {}, positional=("abc",))])
        [6]
    """

    made: list[_Saboteur] = []

    def watcher() -> _Saboteur:
        made.append(_Saboteur(task, fault, attempts))
        return made[-1]

    guests.append(watcher)
    try:
        yield
    finally:
        guests.remove(watcher)
    if not any(each.met for each in made):
        # From where the ``with`` statement is.
        warnings.warn(f"nothing was injected: no task {getattr(task, '__name__', task)} has run", stacklevel=3)


def crash(call: Callable[[], Any]) -> Any:
    """End the worker process at once, with exit code 70. Elsewhere raise the error that this comes to.

    Parameters:
        call: The call, which is not made.

    Returns:
        Nothing, ever.

    Raises:
        WorkerDied: there is no worker process that could be ended.

    Example:
        >>> from cotality.parallel import Task, run
        >>> from cotality.parallel.testing import crash, inject
        >>> with inject(len, crash):
        ...     [error] = run([Task(len, {}, positional=("abc",))], return_exceptions=True)
        >>> type(error).__name__
        'WorkerDied'
    """
    if in_worker():
        os._exit(70)
    raise WorkerDied("the worker ended with exit code 70 while it ran this task")


def hang(call: Callable[[], Any]) -> Any:
    """Never end. In a thread, until the end of ``inject``; where the clock is fake, until the timeout that ends it.

    Parameters:
        call: The call, which is not made.

    Returns:
        Nothing that anybody sees.

    Raises:
        RuntimeError: the run is serial and its clock not fake, so that nothing could ever end it.

    Example:
        >>> from cotality.parallel import Task, run
        >>> from cotality.parallel.testing import FakeClock, hang, inject
        >>> with FakeClock(), inject(len, hang):
        ...     [error] = run([Task(len, {}, positional=("abc",))], timeout=60, return_exceptions=True)
        >>> type(error).__name__
        'TaskTimeout'
    """
    if not in_force and run_where("threads") == "serial":
        raise RuntimeError("a task that hangs can not be ended in a serial run: use FakeClock or another backend")
    return _delayed(math.inf, _nothing)


def slow(seconds: float) -> Fault:
    """A fault: the call is made so much later.

    Parameters:
        seconds: How long it sleeps before, on the fake clock if there is one.

    Returns:
        The fault.

    Example:
        >>> from cotality.parallel import Task, run
        >>> from cotality.parallel.testing import FakeClock, inject, slow
        >>> with FakeClock() as clock, inject(len, slow(seconds=5)):
        ...     run([Task(len, {}, positional=("abc",))])
        ...     clock.passed
        [3]
        5.0
    """
    return partial(_delayed, seconds)


def failing(error: BaseException | type[BaseException]) -> Fault:
    """A fault: this is raised, and the call not made.

    Parameters:
        error: The exception, or its class.

    Returns:
        The fault.

    Example:
        >>> from cotality.parallel import Task, run
        >>> from cotality.parallel.testing import failing, inject
        >>> with inject(len, failing(OSError("no space left"))):
        ...     run([Task(len, {}, positional=("abc",))], return_exceptions=True)
        [OSError('no space left')]
    """
    return partial(_raise, error)


def unpicklable_result(call: Callable[[], Any]) -> Any:
    """Give something that can not leave a process: there the task comes to a ``TransferError``.

    Parameters:
        call: The call, which is not made.

    Returns:
        A lock.

    Example:
        >>> from cotality.parallel.testing import unpicklable_result
        >>> unpicklable_result(len)
        <unlocked _thread.lock object at ...>
    """
    return threading.Lock()


def unpicklable_error(call: Callable[[], Any]) -> Any:
    """Raise something that can not leave a process as it is: there it comes as a ``RemoteError``.

    Parameters:
        call: The call, which is not made.

    Returns:
        Nothing, ever.

    Raises:
        RuntimeError: of a class of its own, with a lock in it.

    Example:
        >>> from cotality.parallel import Task, run
        >>> from cotality.parallel.testing import inject, unpicklable_error
        >>> with inject(len, unpicklable_error):
        ...     [error] = run([Task(len, {}, positional=("abc",))], return_exceptions=True)
        >>> print(error)
        it holds a lock
    """

    class UnpicklableError(RuntimeError):
        def __init__(self, text: str, lock: Any) -> None:
            super().__init__(text)
            self.lock = lock

    raise UnpicklableError("it holds a lock", threading.Lock())


def _raise(error: BaseException | type[BaseException], call: Callable[[], Any]) -> Any:
    raise error


def _nothing() -> None:
    """What comes after for ever: where a thread is let go, what nobody waits for is not done."""


def _delayed(seconds: float, call: Callable[[], Any]) -> Any:
    if in_force:
        in_force[-1].sleep(seconds)
        return call()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        _sleep(seconds)
        return call()
    return _delayed_coroutine(seconds, call)


async def _delayed_coroutine(seconds: float, call: Callable[[], Any]) -> Any:
    await asyncio.sleep(min(seconds, threading.TIMEOUT_MAX))
    return await call()


def _sleep(seconds: float) -> None:
    """Sleep; a thread, that nobody can end, at most until no fault is injected any more."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and (guests or in_worker()):
        time.sleep(min(left, 0.05))


class _Faulty(Around):
    """A function to which a fault happens."""

    __slots__ = ()

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        fault: Any = self.manager
        return fault(partial(self.function, *args, **kwargs))


class _Saboteur:
    """A watcher that sends a fault along with attempts, for one run."""

    accompanies = True
    wants_each = False

    def __init__(self, task: str | Callable[..., Any], fault: Any, attempts: int | None) -> None:
        self._name = task if isinstance(task, str) else None
        self._function = None if isinstance(task, str) else unwrap(task)
        self._fault = fault
        self._most = attempts
        self.met = False
        """Whether there was such a task."""
        self._failed: dict[int, int] = {}
        """How many attempts of a task have failed, for those that are tried again."""

    def begin(self, run: Identity, subject: Subject, now: float) -> None:
        """Nothing is to be done."""

    def accompany(self, batch: Sequence[Planned], now: float) -> Sequence[Planned]:
        return [planned if self._spares(*planned) else (planned[0], self._spoilt(planned[1])) for planned in batch]

    def _spares(self, ticket: int, call: AnyCall) -> bool:
        if self._most is not None and self._failed.get(ticket, 0) >= self._most:
            return True
        if self._name is not None:
            return call.name != self._name
        return unwrap(task_of(call).callback_function) is not self._function

    def _spoilt(self, call: AnyCall) -> AnyCall:
        self.met = True
        return with_function(call, _Faulty(self._fault, call.callback_function))

    def turn(self, endings: Sequence[Ending], notes: Sequence[Note], now: float) -> None:
        for note in notes:
            if note.kind == "retried":
                self._failed[note.ticket] = note.attempt

    def end(self, state: str, now: float) -> None:
        """Nothing is to be done."""
