"""Takes down what the tasks of a batch say where we are a guest: in a worker that is not ours, and may serve others."""

from __future__ import annotations

import marshal
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextvars import Token
from typing import Any, Final

from cotality.parallel._backends.capture import wire
from cotality.parallel._backends.capture.listening import Listener, Listening, ear
from cotality.parallel._backends.capture.printed import PrintsBeside
from cotality.parallel._backends.capture.records import RecordsBeside
from cotality.parallel._backends.capture.warned import WarningsBeside
from cotality.parallel._backends.futures.home import Home, home
from cotality.parallel._backends.futures.speaking import Speaking
from cotality.parallel._backends.turns import Turns
from cotality.parallel._data.said import Said


class Hearing:
    """What the tasks of one batch say.

    Parameters:
        wanted: What the caller wants to hear; empty: nothing.
        caller: Where that is; what is said there is heard as it is.
        speaking: Tells it at once, as long as it can; None: nobody can.
        early: Called from any thread when something was said that was not told at once, with this, by somebody who has
            another way to send it before the batch has ended; None: nobody has.
    """

    def __init__(
        self,
        wanted: bytes,
        caller: Home,
        speaking: Speaking | None = None,
        early: Callable[[Hearing], object] | None = None,
    ) -> None:
        here = home()
        self._listener: Listener | None = None
        if wanted and caller.interpreter != here.interpreter:
            listening = Listening(*marshal.loads(wanted))
            self._listener = Listener(listening, _told(listening, caller, here), self._take_down)
        self._token: Token[Listener | None] | None = None
        self._place = 0
        self._turns = Turns(self._pass_on)
        self._speaking = speaking
        self._early = early
        self.told = 0
        """How many pieces were told at once."""
        self._said: deque[tuple[int, bytes]] = deque()
        """What was not: by which task, and what."""

    def __enter__(self) -> None:
        if self._listener is not None:
            _post.enter(self._listener)
            self._token = ear.set(self._listener)

    def turn_to(self, place: int) -> None:
        """From now on it is this task that speaks."""
        if self._listener is not None:
            self._listener.end_lines()
            self._place = place
            _post.look(self._listener)

    def __exit__(self, *_error: object) -> None:
        if self._listener is not None and self._token is not None:
            self._listener.end_lines()
            ear.reset(self._token)
            _post.leave()
            self._listener.is_over = True
            self._turns.take(self._place, None)

    def _take_down(self, said: Said) -> None:
        self._turns.take(self._place, wire.dumps(said))

    def _pass_on(self, place: int, message: bytes | None) -> None:
        """Tell what a task has said; None: it was the last thing."""
        if message is None:
            if self._speaking is not None:
                self._speaking.close()
            return
        is_told = False
        try:
            is_told = self._speaking is not None and self._speaking.say(place, message)
        finally:
            if not is_told:
                self._said.append((place, message))
                if self._speaking is not None:
                    # Also where an interrupt has come in between: what is told later must not overtake.
                    self._speaking.close()
        if is_told:
            self.told += 1
        elif self._early is not None:
            self._early(self)

    def take(self) -> list[tuple[int, bytes]]:
        """What was said since somebody asked: by which task, and what."""
        said = []
        # Not by their number: somebody else may ask at the same time.
        while True:
            try:
                said.append(self._said.popleft())
            except IndexError:
                return said


def _told(wanted: Listening, caller: Home, here: Home) -> tuple[str, ...]:
    """The streams whose text has to be told: what is printed here does not come out where the caller prints."""

    def differs(stream: str) -> bool:
        there = getattr(caller, stream)
        return there is not None and (there, caller.machine) != (getattr(here, stream), here.machine)

    return tuple(stream for stream in ("stdout", "stderr") if stream in wanted.printed or differs(stream))


class _Post:
    """What listens in this process, for as many batches as run at once."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._batches = 0
        self._modules = 0
        self._parts: dict[str, Any] = {
            "logging": RecordsBeside(),
            "warnings": WarningsBeside(),
            "prints": PrintsBeside(),
        }

    def enter(self, listener: Listener) -> None:
        """One more batch listens."""
        with self._turn:
            self._batches += 1
            if listener.wanted.structlog is not None and "structlog" not in self._parts:
                from cotality.parallel._backends.capture.entries import EntriesBeside

                self._parts["structlog"] = EntriesBeside()
            self._want(listener)

    def look(self, listener: Listener) -> None:
        """A module that was imported may have set something up."""
        if len(sys.modules) != self._modules:
            with self._turn:
                self._want(listener)

    def _want(self, listener: Listener) -> None:
        self._modules = len(sys.modules)
        for part in self._parts.values():
            part.want(listener)

    def leave(self) -> None:
        """One batch less."""
        with self._turn:
            self._batches -= 1
            if not self._batches:
                for part in self._parts.values():
                    part.end()


_post: Final = _Post()
