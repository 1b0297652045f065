"""Takes down what tasks print, where the caller does not print where it was started to: in a notebook, below a progress
bar, inside of ``contextlib.redirect_stdout``."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO, TextIO

from cotality.parallel._backends.capture.listening import Listening
from cotality.parallel._data.said import Printed


class PrintCapture:
    """Sets a standard stream up in a worker.

    Parameters:
        stream: ``"stdout"`` or ``"stderr"``.
        tell: Takes what is printed.
    """

    def __init__(self, stream: str, tell: Callable[[Printed], bool]) -> None:
        self._stream = stream
        self._own: TextIO = getattr(sys, stream)
        self._teller = _Teller(stream, self._own, tell)

    def apply(self, wanted: Listening) -> None:
        """Print here, or where the caller prints."""
        if self._own is not None:
            setattr(sys, self._stream, self._teller if self._stream in wanted.printed else self._own)

    stand_back = apply

    def is_replaced(self) -> bool:
        """Whether somebody has set it up in another way since."""
        return getattr(sys, self._stream) not in (self._own, self._teller)


class _Teller(io.TextIOBase):
    """A text stream that tells whole lines, for what several tasks print at once is to be read.

    Parameters:
        stream: Which one it stands for.
        own: The process's own, for a process that a task has forked.
        tell: Takes a line.
    """

    def __init__(self, stream: str, own: TextIO, tell: Callable[[Printed], bool]) -> None:
        self._stream = stream
        self._own = own
        self._tell = tell
        self._begun = ""
        self._lock = threading.RLock()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._own.fileno()

    @property
    def buffer(self) -> BinaryIO:
        """For bytes, which go where the process was started to: nobody knows what text they are."""
        self.flush()
        return self._own.buffer

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._own.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._own.errors

    def write(self, text: str, /) -> int:
        with self._lock:
            lines, newline, self._begun = (self._begun + text).rpartition("\n")
            if newline:
                self._pass_on(lines + newline)
        return len(text)

    def flush(self) -> None:
        with self._lock:
            begun, self._begun = self._begun, ""
            if begun:
                self._pass_on(begun)
        self._own.flush()

    def _pass_on(self, text: str) -> None:
        if not self._tell(Printed(self._stream, text)):
            self._own.write(text)
