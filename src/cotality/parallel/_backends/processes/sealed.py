"""Results of one worker that only other workers need: passed on as they came, without being opened in between."""

from __future__ import annotations

from collections.abc import Sequence
from io import FileIO
from pickle import PickleBuffer
from typing import Any

from cotality.parallel._backends.processes import memory
from cotality.parallel._backends.processes.codec import load
from cotality.parallel._backends.processes.descriptors import fair_share
from cotality.parallel._data.sealed import Sealed

_held = 0


class SealedResult(Sealed):
    """A pickled result: its bytes, or the memory file that a worker has put them into.

    Parameters:
        data: The pickle, if it came by itself.
        file: Otherwise the parcel, which is owned from now on.
        lengths: The lengths of the parcel's parts.
    """

    __slots__ = ("__weakref__", "data", "file", "lengths")

    def __init__(self, data: bytes, file: FileIO | None = None, lengths: Sequence[int] = ()) -> None:
        global _held
        self.data = data
        self.file = file
        self.lengths = lengths
        _held += file is not None

    def __del__(self) -> None:
        global _held
        if self.file is not None:
            _held -= 1
            self.file.close()

    def open(self) -> Any:
        return load(*self._parts())

    def _parts(self) -> tuple[bytes | memoryview, list[memoryview]]:
        if self.file is None:
            return self.data, []
        data, *buffers = memory.read_parcel(self.file.fileno(), self.lengths, writable=True)
        return data, buffers

    def __reduce__(self) -> Any:
        # Inside of another value it is opened by whoever opens that.
        data, buffers = self._parts()
        return load, (bytes(data), [PickleBuffer(buffer) for buffer in buffers])


def may_hold_more() -> bool:
    """Whether there are descriptors left for another sealed parcel."""
    return _held < fair_share()
