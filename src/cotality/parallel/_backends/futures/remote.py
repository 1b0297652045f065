"""What runs at the other end of a future: a batch of tasks, one after the other.

It comes as bytes and goes back as bytes, so that no executor and no cluster has to know what is in it, and that what
can not travel, or can not be loaded, is the error of the one task it belongs to.
"""

from __future__ import annotations

import marshal
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from contextvars import copy_context
from functools import lru_cache
from pickle import PickleBuffer
from time import monotonic
from typing import Any, Final, TypeAlias

from cotality.parallel._backends.cpus import enclosing_width
from cotality.parallel._backends.futures.home import MACHINE, Home
from cotality.parallel._backends.futures.overhear import Hearing
from cotality.parallel._backends.futures.speaking import Leash, Speaking
from cotality.parallel._backends.futures.way import Way
from cotality.parallel._backends.processes import board as layout
from cotality.parallel._backends.processes import codec, results, unpacking
from cotality.parallel._backends.processes.codec import dump_failure, load, load_function
from cotality.parallel._backends.processes.columns import Columns
from cotality.parallel._backends.processes.results import Results
from cotality.parallel._backends.processes.unpacking import Link, Rows, unpack
from cotality.parallel._data.atoms import ATOMS
from cotality.parallel._data.task_errors import TransferError
from cotality.parallel._version import __version__

VERSION: Final = (__version__, *sys.version_info[:2])
"""What both ends must have in common."""


CURE: Final = "install what is missing where the workers run, or upload it to them"
HOSTAGE_SECONDS = 0.1
"""How long a batch may take before what has not started is given back, for other workers."""
ONCE_BYTES = 1024 * 1024
"""What is at least this large is built once where it is, and seen by all tasks there."""

Report: TypeAlias = "tuple[bytes, list[Lent]]"
"""Worker, results, times, how much was said at once and what was not; and the results that are large."""


class Lent:
    """A large value as bytes, its buffers kept apart, so that they are copied as seldom as can be.

    Parameters:
        data: The pickle.
        buffers: The buffers that are kept out of it.
    """

    __slots__ = ("_built", "_lock", "buffers", "data")

    def __init__(self, data: Any, buffers: Sequence[Any]) -> None:
        self.data = data
        self.buffers = buffers
        self._built: tuple[Any] | None = None
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """How large it is."""
        return len(self.data) + sum(memoryview(buffer).nbytes for buffer in self.buffers)

    def __sizeof__(self) -> int:
        return self.nbytes

    def value(self) -> Any:
        """The value, whose buffers are read-only: others see them too."""
        with self._lock:
            if self._built is not None:
                return self._built[0]
            value = load(self.data, [memoryview(buffer).toreadonly() for buffer in self.buffers])
            if self.nbytes >= ONCE_BYTES:
                self._built = (value,)
            return value

    def function(self) -> Callable[..., Any]:
        """The function that this is the message of."""
        with self._lock:
            if self._built is None:
                self._built = (load_function(bytes(self.data)),)
            return self._built[0]

    def own(self) -> Any:
        """The value, which belongs to who asks."""
        buffers = [memoryview(buffer) for buffer in self.buffers]
        return load(self.data, [memoryview(bytearray(buffer)) if buffer.readonly else buffer for buffer in buffers])

    def __reduce_ex__(self, protocol: Any) -> Any:
        if protocol < 5:
            return Lent, (bytes(self.data), [bytes(buffer) for buffer in self.buffers])
        return Lent, (PickleBuffer(self.data), [PickleBuffer(buffer) for buffer in self.buffers])


class _Apart(Results):
    """Writes results; large ones stay apart."""

    def __init__(self) -> None:
        self.lent: list[Lent] = []
        self._ours = (__file__, codec.__file__, results.__file__, unpacking.__file__)

    def _send_parcel(self, sequence: int, form: int, parts: list[memoryview]) -> bytes:
        self.lent.append(Lent(parts[0], parts[1:]))
        return marshal.dumps((layout.IN_PARCEL, len(self.lent) - 1))


class _Unloadable(BaseException):
    """A function could not be loaded here; ``args`` are its number and why."""


load_once = lru_cache(maxsize=256)(load_function)
"""Functions that this process has been sent, by what was sent."""


def run_batch(
    version: Sequence[Any],
    message: bytes,
    *inputs: Any,
    worker: str | None = None,
    early: Callable[[Hearing], object] | None = None,
    leashed: bool = False,
) -> Report:
    """Run a batch.

    Parameters:
        version: What the caller has.
        message: The batch, as ``packing`` writes it.
        inputs: What of it is large: each a ``Lent``, or the report of a batch that has made it.
        worker: What is said of where it ran; None: the process.
        early: See ``Hearing``.
        leashed: Whether the caller may end this process meanwhile, which must run nothing else.

    Raises:
        TransferError: this place has another version than the caller.
    """
    if tuple(version) != VERSION:
        here, there = (f"cotality-workflow {v} on Python {major}.{minor}" for v, major, minor in (VERSION, version))
        raise TransferError(f"the worker has {here}, the caller {there}: install the same in both; no task was started")
    return _Batch(marshal.loads(message), inputs).run(worker, early, leashed=leashed)


class _Batch:
    """A batch while it runs."""

    def __init__(self, content: tuple[Any, ...], inputs: Sequence[Any]) -> None:
        caller, self._wanted, way, self._width, self._functions, self._number, columns, self._places = content
        self._caller = Home(*caller)
        self._way = None if way is None else Way(*way)
        self._inputs = inputs
        self._results = _Apart()
        self._link = Link()
        self._given = Columns(*columns)

    def run(self, worker: str | None, early: Callable[[Hearing], object] | None, *, leashed: bool) -> Report:
        """Run the tasks; those that are behind one that takes long are given back."""
        outcomes: list[bytes] = []
        speaking = None if self._way is None else Speaking(self._way)
        hearing = Hearing(self._wanted, self._caller, speaking, early)
        leash = Leash(self._way) if leashed and self._way is not None else nullcontext()
        with hearing, leash:
            times = [monotonic()]
            call, rows = self._calls()
            for row in rows:
                if outcomes and times[-1] - times[0] > HOSTAGE_SECONDS:
                    break
                hearing.turn_to(len(outcomes))
                outcomes.append(self._outcome(call, row))
                times.append(monotonic())
        told = worker or _place(self._caller), outcomes, MACHINE, times, hearing.told, hearing.take()
        return marshal.dumps(told), self._results.lent

    def _outcome(self, call: Callable[..., Any], row: tuple[Any, ...]) -> bytes:
        context = copy_context()
        context.run(enclosing_width.set, lambda: self._width)
        try:
            value = context.run(call, *row)
        except _Unloadable as unloadable:
            number, reason = unloadable.args
            return marshal.dumps((layout.UNLOADABLE, number, dump_failure(reason)))
        except BaseException as error:
            return self._results.failure(error)
        try:
            return marshal.dumps(value, 2) if type(value) in ATOMS else context.run(self._results.encode, 0, value)
        except (ValueError, MemoryError):
            # Marshal stops at 2 GiB.
            return self._results.encode(0, value)

    def _calls(self) -> Rows:
        if self._given.names is None:
            return self._call, zip(*self._given.columns, strict=True)
        try:
            function = self._function(self._number)
        except _Unloadable as unloadable:
            function = _refusing(unloadable)
        return self._link.rows(function, self._given)

    def _function(self, number: int) -> Callable[..., Any]:
        try:
            message = self._functions[number]
            return load_once(message) if isinstance(message, bytes) else self._inputs[message].function()
        except BaseException as error:
            raise _Unloadable(number, error) from error

    def _call(
        self, number: int, positional: list[Any], arguments: dict[str, Any], packed: list[tuple[Any, Any]]
    ) -> Any:
        """Call a function with arguments that are more than numbers and texts."""
        previous, self._link.held = self._link.held, None
        try:
            function, keeps = unpack(positional, arguments, packed, self._borrow, previous)
        except TransferError as failure:
            if isinstance(failure.__cause__, ImportError):
                failure.add_note(f"{failure.__cause__}: {CURE}")
            raise
        value = (self._function(number) if function is None else function)(*positional, **arguments)
        return self._link.keep(value) if keeps else value

    def _borrow(self, number: int) -> Any:
        place, index = self._places[number]
        given = self._inputs[place]
        lent: Lent = given if index is None else given[1][index]
        return lent.value()


def _refusing(unloadable: _Unloadable) -> Callable[..., Any]:
    def refuse(*_row: Any, **_named: Any) -> Any:
        raise unloadable

    return refuse


def _place(caller: Home) -> str:
    """Where this is."""
    if os.getpid() != caller.interpreter[0]:
        return f"process {os.getpid()}"
    interpreters = sys.modules.get("concurrent.interpreters")
    if interpreters is not None:
        current = interpreters.get_current()
        if current != interpreters.get_main():
            return f"interpreter {current.id}"
    return threading.current_thread().name
