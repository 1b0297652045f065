"""What becomes of a result in its worker: bytes for the area of the board, or a parcel."""

from __future__ import annotations

import marshal
from types import CoroutineType
from typing import Any

from cotality.parallel._backends.processes import board as layout
from cotality.parallel._backends.processes import codec, memory
from cotality.parallel._backends.processes.codec import APART_BYTES, dump, dump_failure
from cotality.parallel._backends.processes.explain import culprit
from cotality.parallel._backends.processes.kinds import PARCEL
from cotality.parallel._backends.processes.voice import Voice
from cotality.parallel._data.task_errors import TransferError
from cotality.parallel._data.wording import message_of

READ_ONLY = (
    "in processes the arrays of arguments larger than 64 KiB are read-only, for all tasks that take them see the same "
    "memory: work on a copy"
)


class Unloadable(BaseException):
    """A function that this worker can not import was needed; ``args[0]`` is its number."""


class NoInput(BaseException):
    """The task before this one in the batch has failed, and this one needs its result."""


def finished(value: Any) -> Any:
    """A result; that of a coroutine once it has been awaited."""
    if type(value) is not CoroutineType:
        return value
    from contextvars import copy_context

    from cotality.parallel._backends.awaiting import finish

    return finish(value, copy_context())


class Results:
    """Writes results that are more than an atom.

    Parameters:
        voice: Sends parcels.
        callers: The files whose frames, like those in here, say nothing to the user.
    """

    def __init__(self, voice: Voice, *callers: str) -> None:
        self._voice = voice
        self._ours = (*callers, __file__, codec.__file__)

    def encode(self, sequence: int, value: Any) -> bytes:
        """A result that is more than an atom, for the area; a large one goes as a parcel."""
        if type(value) is CoroutineType:
            try:
                value = finished(value)
            except BaseException as error:
                return self.failure(error)
        try:
            data, buffers = dump(value)
        except Exception as error:
            failure = TransferError(
                f"the task ran, but its result can not be sent back: {culprit(value, 'result')} can not be pickled "
                f"({type(error).__name__})"
            )
            failure.__cause__ = error
            return marshal.dumps((layout.FAILED, dump_failure(failure)))
        except BaseException as error:
            # A task that exits while its result is pickled exits all the same.
            error.add_note("the task ran: this was raised while its result was being pickled")
            return self.failure(error)
        if buffers or len(data) > APART_BYTES:
            return self._send_parcel(sequence, layout.PICKLED, [memoryview(data), *buffers])
        return marshal.dumps((layout.PICKLED, data))

    def failure(self, error: BaseException) -> bytes:
        """An exception, for the area, without the frames that say nothing to the user."""
        if isinstance(error, NoInput):
            return marshal.dumps((layout.NO_INPUT, b""))
        if isinstance(error, Unloadable):
            return marshal.dumps((layout.UNLOADABLE, error.args[0]))
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename in self._ours:
            trace = trace.tb_next
        error = error.with_traceback(trace)
        if isinstance(error, ValueError) and "read-only" in message_of(error):
            # What NumPy and pandas say of it does not tell why.
            error.add_note(READ_ONLY)
        return marshal.dumps((layout.FAILED, dump_failure(error)))

    def send_apart(self, sequence: int, data: bytes) -> bytes:
        """A result that finds no room in the area."""
        value = marshal.loads(data)
        form, content = value if type(value) is tuple else (layout.PICKLED, dump(value)[0])
        return self._send_parcel(sequence, form, [memoryview(content)])

    def _send_parcel(self, sequence: int, form: int, parts: list[memoryview]) -> bytes:
        try:
            file, lengths = memory.write_parcel(parts)
        except OSError as error:
            failure = TransferError(f"the task ran, but there is no room for its result: {error.strerror}")
            return marshal.dumps((layout.FAILED, dump_failure(failure)))
        with file:
            self._voice.send(PARCEL, marshal.dumps((sequence, form, lengths)), file.fileno())
        return marshal.dumps((layout.IN_PARCEL, b""))
