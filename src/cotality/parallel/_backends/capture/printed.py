"""Takes down what tasks print, where the caller does not print where it was started to: in a notebook, below a progress
bar, inside of ``contextlib.redirect_stdout``."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, TextIO

from cotality.parallel._backends.capture.listening import Listener, Listening, ear
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
        self._teller = Teller(stream, tell, self._own)

    def apply(self, wanted: Listening) -> None:
        """Print here, or where the caller prints."""
        if self._own is not None:
            setattr(sys, self._stream, self._teller if self._stream in wanted.printed else self._own)

    stand_back = apply

    def is_replaced(self) -> bool:
        """Whether somebody has set it up in another way since."""
        return getattr(sys, self._stream) not in (self._own, self._teller)


class PrintsBeside:
    """Takes down what tasks print in a worker that is not ours; what others print goes where it goes."""

    def __init__(self) -> None:
        self._switches: dict[str, Switch] = {}

    def want(self, listener: Listener) -> None:
        """Somebody listens."""
        for stream in listener.printed:
            now = getattr(sys, stream)
            own = now.own if isinstance(now, Switch) else now
            if own is not None:
                listener.tellers.setdefault(stream, Teller(stream, listener.tell, own))
                if now is own:
                    self._switches[stream] = Switch(stream, own)
                    setattr(sys, stream, self._switches[stream])

    def end(self) -> None:
        """Nobody does any more."""
        for stream, switch in self._switches.items():
            if getattr(sys, stream) is switch:
                setattr(sys, stream, switch.own)
        self._switches.clear()


class Switch:
    """Stands for the stream to which goes what is printed by the code that runs now.

    Parameters:
        stream: Which one.
        own: The process's own.
    """

    def __init__(self, stream: str, own: TextIO) -> None:
        self._stream = stream
        self.own = own

    def __getattr__(self, name: str) -> Any:
        listener = ear.get()
        return getattr(self.own if listener is None else listener.tellers.get(self._stream, self.own), name)


class Teller(io.TextIOBase):
    """A text stream that tells whole lines, for what several tasks print at once is to be read.

    Parameters:
        stream: Which one it stands for.
        tell: Takes a line; says whether it did.
        own: The process's own, for what is not taken: in a process that a task has forked.
    """

    def __init__(self, stream: str, tell: Callable[[Printed], bool], own: TextIO) -> None:
        self._stream = stream
        self._tell = tell
        self._own = own
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

    def end_line(self) -> None:
        """Tell what has been begun."""
        with self._lock:
            begun, self._begun = self._begun, ""
            if begun:
                self._pass_on(begun)

    def flush(self) -> None:
        self.end_line()
        self._own.flush()

    def _pass_on(self, text: str) -> None:
        if not self._tell(Printed(self._stream, text)):
            self._own.write(text)
