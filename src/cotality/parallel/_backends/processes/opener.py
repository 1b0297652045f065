"""Opens what a worker has made: results that are more than atoms, and failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cotality.parallel._backends.processes import board as layout
from cotality.parallel._backends.processes import memory
from cotality.parallel._backends.processes.channel import Frame
from cotality.parallel._backends.processes.codec import load, load_failure
from cotality.parallel._backends.processes.sealed import SealedResult, may_hold_more
from cotality.parallel._data.messages import NOT_STARTED, Planned
from cotality.parallel._data.task_errors import TransferError


class UnloadableFunction(Exception):
    """A worker could not load a function, and the task did not start; ``args`` are the reason and its number."""


class _Failed(Exception):
    """A result is a failure, ``args[0]``; on its own way, as a task may return an exception as a value."""


class Opener:
    """What has come of one worker apart from its board, until the result that it belongs to is opened."""

    def __init__(self) -> None:
        self.refused = False
        """Whether a function was met that the worker could not load, since somebody set this to False."""
        self.unknown: dict[int, BaseException] = {}
        """Why it could not load a function, by its number."""
        self._sealed: dict[int, SealedResult] = {}
        self._parcels: dict[int, tuple[int, list[memoryview]]] = {}

    def keep(self, frame: Frame, sequence: int, form: int, lengths: Sequence[int], *, sealed: bool) -> None:
        """A large result has come, before the word that its task has ended.

        Parameters:
            frame: What brought it.
            sequence: The task's number.
            form: What it is.
            lengths: The bytes of its parts.
            sealed: Whether it is not needed here.
        """
        if form == layout.PICKLED and sealed and may_hold_more():
            self._sealed[sequence] = SealedResult(b"", frame.file, lengths)
            return
        # Mapped at once: descriptors are few, and a batch may bring more of them than there are.
        self._parcels[sequence] = form, memory.read_parcel(frame.fd, lengths, writable=True)
        frame.close()

    def clear(self) -> None:
        """Nothing more will be opened."""
        self._parcels.clear()

    def open(
        self, first: int, planned: Sequence[Planned], values: list[Any], receive: Callable[[], Any]
    ) -> tuple[list[Any], list[BaseException | None]]:
        """The values of some results, and the failures among them.

        Parameters:
            first: The number of the first of these tasks; the others follow without a gap.
            planned: The tasks.
            values: Their results as they stand on the board; what is no atom there is replaced.
            receive: Takes what the worker has sent. Given for each call: kept, it would hold the handle in a circle.
        """
        failures: list[BaseException | None] = [None] * len(values)
        for place, value in enumerate(values):
            if type(value) is tuple:
                try:
                    sealed = getattr(planned[place][1], "sealed", False)
                    values[place] = self._decode(first + place, *value, sealed=sealed, receive=receive)
                except _Failed as failed:
                    values[place], failures[place] = None, failed.args[0]
        return values, failures

    def _decode(self, sequence: int, form: int, data: Any, *, sealed: bool, receive: Callable[[], Any]) -> Any:
        buffers: list[memoryview] = []
        if form == layout.NO_INPUT:
            raise _Failed(NOT_STARTED)
        if form == layout.IN_PARCEL:
            while sequence not in self._parcels:
                if sequence in self._sealed:
                    return self._sealed.pop(sequence)
                # Sent before the result was published, so it is on its way already.
                receive()
            form, (data, *buffers) = self._parcels.pop(sequence)
        if form == layout.UNLOADABLE:
            self.refused = True
            while data not in self.unknown:
                receive()
            raise _Failed(UnloadableFunction(self.unknown[data], data))
        if form == layout.FAILED:
            raise _Failed(load_failure(bytes(data)))
        if sealed and not buffers:
            return SealedResult(bytes(data))
        try:
            return loaded(lambda: load(data, buffers))
        except TransferError as failure:
            raise _Failed(failure) from None


def loaded(read: Callable[[], Any]) -> Any:
    """A result that a worker has made.

    Parameters:
        read: Loads it, and so runs the value's own code.

    Raises:
        TransferError: it can not be loaded here.
    """
    try:
        return read()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise TransferError(
            f"the task ran, but its result can not be loaded in the caller ({type(error).__name__})"
        ) from error
