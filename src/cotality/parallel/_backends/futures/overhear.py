"""Takes down what tasks log and warn where we are a guest: in a worker that is not ours, and may serve others.

Nothing of the worker's own set-up is replaced. While a batch runs, a handler listens at the root logger, and loggers
let through what the caller wants to hear; what is not said by a task takes its usual way.
"""

from __future__ import annotations

import logging
import marshal
import threading
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from os import getpid, urandom
from typing import Any, Final

from cotality.parallel._backends.capture import wire
from cotality.parallel._backends.capture.listening import Listening
from cotality.parallel._backends.capture.records import taken_down
from cotality.parallel._data.said import Said, Warned

_TOKEN: Final = urandom(8)


def home() -> tuple[int, bytes]:
    """Tells this interpreter from others."""
    return getpid(), _TOKEN


_ear: ContextVar[Callable[[Said], None] | None] = ContextVar("cotality_ear", default=None)


class Hearing:
    """What the tasks of one batch say.

    Parameters:
        wanted: What the caller wants to hear; empty: nothing.
        caller: The caller's ``home()``, where everything is heard as it is.
    """

    def __init__(self, wanted: bytes, caller: tuple[int, bytes]) -> None:
        self._wanted = Listening(*marshal.loads(wanted)) if wanted and caller != home() else None
        self.place = 0
        """Which task runs."""
        self.said: list[tuple[int, bytes]] = []

    def attend(self) -> None:
        """What is said in this context is said by the batch."""
        if self._wanted is not None:
            _ear.set(lambda said: self.said.append((self.place, wire.dumps(said))))

    def __enter__(self) -> None:
        if self._wanted is not None:
            _post.enter(self._wanted)

    def __exit__(self, *_error: object) -> None:
        if self._wanted is not None:
            _post.leave()


class _Post(logging.Handler):
    """Listens for all batches of this process."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = threading.Lock()
        self._batches = 0
        self._levels: dict[str, int] = {}
        """Those that were lowered, as they were."""
        self._show: Any = None

    def enter(self, wanted: Listening) -> None:
        """One more batch listens."""
        with self._turn:
            self._batches += 1
            if self._batches == 1:
                logging.root.addHandler(self)
                self._show, warnings.showwarning = warnings.showwarning, self._warned
            for name, (level, _disabled) in wanted.levels.items():
                logger = logging.getLogger(name or None)
                if level and (level < logger.level or not logger.level):
                    self._levels.setdefault(name, logger.level)
                    logger.setLevel(level)

    def leave(self) -> None:
        """One batch less."""
        with self._turn:
            self._batches -= 1
            if not self._batches:
                logging.root.removeHandler(self)
                warnings.showwarning = self._show
                for name, level in self._levels.items():
                    logging.getLogger(name or None).setLevel(level)
                self._levels.clear()

    def emit(self, record: logging.LogRecord) -> None:
        ear = _ear.get()
        if ear is not None:
            ear(taken_down(record))
        elif len(logging.root.handlers) == 1:
            resort = logging.lastResort
            if resort is not None and record.levelno >= resort.level:
                resort.handle(record)

    def _warned(
        self, message: Any, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        ear = _ear.get()
        if ear is None:
            self._show(message, category, filename, lineno, file, line)
            return
        kinds = [(kind.__module__, kind.__qualname__) for kind in category.__mro__]
        try:
            text = str.__str__(str(message))
        except Exception:
            text = wire.shown(message)
        ear(Warned(text, kinds, filename, lineno))


_post = _Post()
