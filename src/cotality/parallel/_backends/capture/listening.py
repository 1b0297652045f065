"""What the caller wants to hear of what tasks log, warn and print, as it is set up in its own process; who listens."""

from __future__ import annotations

import marshal
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

from cotality.parallel._data.said import Said


class Listening(NamedTuple):
    """What a worker is to take down; made of what marshal writes.

    Parameters:
        levels: Level and ``disabled`` of each logger that has one of its own; "" is the root.
        disable: What ``logging.disable`` was given.
        filters: Those of ``warnings``.
        structlog: None where it is not configured, and nothing of it is taken down; otherwise its wrapper class as a
            pickle, and which of the processors that decide or that know the context are in use.
        printed: The standard streams that the caller has put something else in the place of.
    """

    levels: dict[str, tuple[int, bool]]
    disable: int
    filters: list[tuple[Any, ...]]
    structlog: tuple[bytes, bool, bool, bool] | None
    printed: tuple[str, ...]


class Listener:
    """Takes down what the tasks of one batch say, in a worker that is not ours alone.

    Parameters:
        wanted: What the caller wants to hear.
        printed: The standard streams whose text is to be told.
        take_down: Takes what is said.
    """

    def __init__(self, wanted: Listening, printed: Sequence[str], take_down: Callable[[Said], object]) -> None:
        self.wanted = wanted
        self.printed = printed
        self._take_down = take_down
        self._pid = os.getpid()
        self.is_over = False
        """Whether the batch is: who still speaks for it is heard by nobody here."""
        self.tellers: dict[str, Any] = {}
        """What text goes to that is printed, by stream."""
        self.chain: list[Any] = []
        """The processors of structlog that take entries down."""

    def tell(self, said: Said) -> bool:
        """Take something down; False where that would not come back: in a process that a task has forked, and in a
        thread that goes on when the batch is over."""
        if os.getpid() != self._pid or self.is_over:
            return False
        # What is said by what is being taken down, by a method that pickles for example, takes its usual way: there
        # would be no end to it.
        token = ear.set(None)
        try:
            self._take_down(said)
        finally:
            ear.reset(token)
        return True

    def end_lines(self) -> None:
        """A task has ended: what it has printed last may lack its newline."""
        for teller in self.tellers.values():
            teller.end_line()


ear: Final[ContextVar[Listener | None]] = ContextVar("cotality_ear", default=None)
"""Who listens to the code that runs now; None outside of tasks that are sent to workers of others."""


def listening(*, prints: bool = True) -> bytes:
    """What this process wants to hear, as a message; equal messages mean the same.

    Parameters:
        prints: Whether what is printed is part of it.
    """
    levels, disable = _levels()
    printed = _printed() if prints else ()
    return marshal.dumps(tuple(Listening(levels, disable, encode_filters(), _structlog(), printed)))


def _levels() -> tuple[dict[str, tuple[int, bool]], int]:
    logging = sys.modules.get("logging")
    if logging is None:
        return {"": (30, False)}, 0
    root = logging.root
    levels = {
        name: (logger.level, logger.disabled)
        # A copy: other threads may make loggers.
        for name, logger in root.manager.loggerDict.copy().items()
        if isinstance(logger, logging.Logger) and (logger.level or logger.disabled)
    }
    levels[""] = root.level, root.disabled
    return levels, root.manager.disable


def encode_filters() -> list[tuple[Any, ...]]:
    """The present filters of ``warnings``, as marshal writes them."""
    filters: Any = warnings.filters
    return [
        (action, _pattern(message), (category.__module__, category.__qualname__), _pattern(module), line)
        for action, message, category, module, line in filters
    ]


def _printed() -> tuple[str, ...]:
    return tuple(name for name in ("stdout", "stderr") if getattr(sys, name) is not getattr(sys, f"__{name}__"))


def _pattern(pattern: Any) -> str:
    if pattern is None:
        return ""
    # Those that the interpreter starts with are plain texts.
    return pattern if isinstance(pattern, str) else str(pattern.pattern)


def _structlog() -> tuple[bytes, bool, bool, bool] | None:
    listener = ear.get()
    if listener is not None:
        # A run inside of a task: how structlog is set up here is our own doing.
        return listener.wanted.structlog
    structlog = sys.modules.get("structlog")
    if structlog is None or not structlog.is_configured():
        return None
    import pickle

    config = structlog.get_config()
    try:
        wrapper = pickle.dumps(config["wrapper_class"])
    except Exception:
        # A class of a function's own: the worker has it if the module that it imports has it.
        wrapper = b""
    processors = config["processors"]
    stdlib = sys.modules.get("structlog.stdlib")
    return (
        wrapper,
        structlog.contextvars.merge_contextvars in processors,
        stdlib is not None and stdlib.filter_by_level in processors,
        stdlib is not None and isinstance(config["logger_factory"], stdlib.LoggerFactory),
    )
