"""Turns tasks into what travels to a worker: functions by number, atoms as they are, the rest packed."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple, TypeAlias

from cotality.parallel._backends.processes.alike import NUMBERS, columns_of, is_atom
from cotality.parallel._backends.processes.codec import dump, dump_function, dump_whole
from cotality.parallel._backends.processes.columns import Columns
from cotality.parallel._backends.processes.explain import culprit
from cotality.parallel._backends.processes.loans import LEND_BYTES, Loan, Loans
from cotality.parallel._backends.processes.main_module import UnguardedScript
from cotality.parallel._backends.processes.sealed import SealedResult
from cotality.parallel._data.messages import AnyCall, Planned
from cotality.parallel._data.task import called_by
from cotality.parallel._data.task_errors import TransferError
from cotality.parallel._data.wording import message_of

Item: TypeAlias = tuple[int, list[Any], dict[str, Any], list[tuple[Any, Any]]]
"""``(function, positional, arguments, packed)``."""

STATEFUL = -1
"""Stands for a function's number where the callable travels with each task, for it is a value."""

PREVIOUS: tuple[()] = ()
"""Among what is packed: the result of the task before this one in the batch."""
KEEP: tuple[tuple[()], None] = ((), None)
"""Among what is packed: the task behind this one needs its result."""

_numbers = count()
_numbers_by_message: dict[bytes, int] = {}


class Function(NamedTuple):
    """A function of a run, as its workers are told of it."""

    known_by: weakref.ref[Callable[..., Any]] | None
    number: int
    message: bytes
    by_value: bool


class Shortage(TransferError):
    """There is no memory or no descriptor for an argument just now; there may be when other tasks have ended."""


class Packed(NamedTuple):
    """A batch as it travels."""

    sendable: Sequence[Planned]
    columns: Columns
    """There are no names where each task is an item of its own."""
    functions: dict[int, Function]
    loans: list[tuple[int, Sequence[Loan]]]
    failed: list[tuple[Planned, TransferError]]
    returned: list[Planned]
    """Those that need the result of one that has failed here."""


class Outbound:
    """The functions and loans of one run.

    Parameters:
        loans: Where large arguments are put; None: into shared memory.
    """

    def __init__(self, loans: Loans | None = None) -> None:
        self.loans = Loans() if loans is None else loans
        self._functions: dict[int, Function] = {}

    def pack_batch(self, batch: Sequence[Planned]) -> Packed:
        """A batch as it travels; a task that can not is among the failures and not among the rest."""
        sendable: list[Planned] = []
        items: list[Item] = []
        packed = Packed(sendable, Columns(None, []), {}, [], [], [])
        before: Planned | None = None
        function: Function | None = None
        called: Any = None
        for planned in batch:
            task = planned[1]
            try:
                if function is None or called_by(task) is not called:
                    function, called = self.function_of(task), called_by(task)
                item, loans = self._pack(task, function.number)
            except TransferError as error:
                # A traceback would hold this frame, which holds it: the loans in here would outlive their tasks.
                packed.failed.append((planned, _without_frames(error)))
                continue
            if task.wired:
                if not sendable or sendable[-1] is not before:
                    # The one whose result it needs could not be sent.
                    packed.returned.append(planned)
                    continue
                items[-1][3].append(KEEP)
            before = planned
            packed.functions[function.number] = function
            if loans:
                packed.loans.append((len(items), loans))
            sendable.append(planned)
            items.append(item)
        packed.columns.columns.extend(map(list, zip(*items, strict=True)))
        return packed

    def pack_alike(self, batch: Sequence[Planned]) -> Packed | None:
        """A batch in which all tasks call the same function with numbers or short texts; None for any other."""
        columns = columns_of(batch)
        if columns is None:
            return None
        try:
            known = self.function_of(batch[0][1])
        except TransferError:
            return None
        if known.number == STATEFUL:
            return None
        return Packed(batch, columns, {known.number: known}, [], [], [])

    def function_of(self, task: AnyCall, *, by_value: bool = False) -> Function:
        """What workers are told of a task's function.

        Raises:
            TransferError: it can not travel.
        """
        function = called_by(task)
        known = self._functions.get(id(function))
        if known is None or (by_value and not known.by_value):
            try:
                message = dump_function(function, by_value=by_value)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise _cannot(function, "the function", error) from error
            number = STATEFUL if message is None else _number_of(message)
            if number == STATEFUL:
                # Not kept: a bound method is a new object each time that it is named.
                return Function(None, number, b"", by_value)
            # Not held, for a run may be endless, as an executor's is; when it dies, its id may become another one's.
            forget = self._functions.pop
            key = id(function)
            known_by = weakref.ref(function, lambda _ref: forget(key, None))
            known = Function(known_by, number, message or b"", by_value)
            self._functions[key] = known
        return known

    def refused(self, task: AnyCall, reason: BaseException, number: int) -> TransferError | None:
        """A worker could not load the function of a task: from now on its code is sent; or an error when it was."""
        try:
            known = self.function_of(task)
            if known.number == number and not known.by_value and not isinstance(reason, UnguardedScript):
                known = self.function_of(task, by_value=True)
            if known.number != number:
                return None
        except TransferError as cannot:
            reason = cannot
        why = message_of(reason)
        error = TransferError(f"the function could not be loaded in the worker: {why}; the task did not start")
        error.__cause__ = reason
        return error

    def _pack(self, task: AnyCall, number: int) -> tuple[Item, Sequence[Loan]]:
        """A task with arguments that are more than atoms, and the loans that it needs.

        Raises:
            TransferError: an argument can not travel; names it and the part of it that can not.
        """
        plain: dict[str, Any] = {}
        positional: list[Any] = []
        packed: list[tuple[Any, Any]] = []
        loans: list[Loan] = []
        wired = task.wired or ()
        for name, value in task.arguments.items():
            key = name if type(name) is str else str.__str__(name)
            # What is packed has its place here, too: a function with ``**named`` is told their order.
            plain[key] = None
            if name in wired:
                packed.append((key, PREVIOUS))
            elif is_atom(value):
                plain[key] = value
            else:
                packed.append((key, self._pack_value(key, value, loans)))
        for place, value in enumerate(task.positional):
            if place in wired:
                positional.append(None)
                packed.append((place, PREVIOUS))
            elif type(value) in NUMBERS or is_atom(value):
                positional.append(value)
            else:
                positional.append(None)
                packed.append((place, self._pack_value(place, value, loans)))
        if number == STATEFUL:
            packed.append((None, self._pack_value(None, called_by(task), loans)))
        return (number, positional, plain, packed), loans

    def _pack_value(self, place: Any, value: object, loans: list[Loan]) -> bytes | int:
        """A value as bytes, or the number of its loan."""
        loan = self.loans.find(value)
        if loan is None and type(value) is SealedResult:
            if value.file is None:
                return value.data
            loan = self.loans.pass_on(value)
        if loan is None:
            try:
                data, buffers = dump(value)
                if len(data) + sum(buffer.nbytes for buffer in buffers) <= LEND_BYTES:
                    return dump_whole(value) if buffers else data
                loan = self.loans.lend(value, (data, buffers))
            except OSError as error:
                raise Shortage(f"no room for argument {place!r} in shared memory ({error.strerror})") from None
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise _cannot(value, "the function" if place is None else f"argument {place!r}", error) from error
        loan.borrowers += 1
        loans.append(loan)
        return loan.number


def _without_frames(error: TransferError) -> TransferError:
    if error.__context__ is not None:
        error.__context__ = error.__context__.with_traceback(None)
    return error.with_traceback(None)


def _number_of(message: bytes) -> int:
    number = _numbers_by_message.get(message)
    if number is None:
        number = next(_numbers)
        if len(message) < 200:
            # Names: there are only so many. Code differs each time it is sent, and would be kept for ever.
            _numbers_by_message[message] = number
    return number


def _cannot(value: object, what: str, error: BaseException) -> TransferError:
    return TransferError(
        f"{culprit(value, what)} can not be pickled ({type(error).__name__}); the task did not start. "
        "Use threads, or pass something that can be pickled, for example a path instead of an open file"
    )
