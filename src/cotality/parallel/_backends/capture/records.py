"""Takes down records of ``logging``. Imported when somebody has imported that."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from cotality.parallel._backends.capture.listening import Listener, Listening, ear
from cotality.parallel._data.atoms import ATOMS
from cotality.parallel._data.said import Record

_formatter = logging.Formatter()


class Forwarder(logging.Handler):
    """Hands each record on. The only handler of a worker, but for those that tasks add themselves.

    Parameters:
        tell: Takes a record; says whether it did. In a process that a task has forked nobody does.
    """

    def __init__(self, tell: Callable[[Record], bool]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        if not self._tell(taken_down(record)):
            _resort(record, self)


def _resort(record: logging.LogRecord, but: logging.Handler) -> None:
    """Do with a record what ``logging`` does where there are no handlers."""
    resort = logging.lastResort
    if resort is not None and resort is not but and record.levelno >= resort.level:
        resort.handle(record)


def taken_down(record: logging.LogRecord) -> Record:
    """A record as it can travel: with its arguments if these are numbers and texts, otherwise as the whole message."""
    facts = dict(record.__dict__)
    if type(record.msg) is not str or not _are_plain(record.args):
        facts["msg"], facts["args"] = _message_of(record), ()
    error = None
    if record.exc_info:
        error = record.exc_info[1]
        facts["exc_info"] = None
        facts["exc_text"] = record.exc_text or _formatter.formatException(record.exc_info)
    return Record(facts, error)


def _are_plain(arguments: Any) -> bool:
    values = arguments.values() if type(arguments) is dict else arguments or ()
    return all(type(value) in ATOMS for value in values)


def _message_of(record: logging.LogRecord) -> str:
    try:
        # A message may be of a subclass of str, which does not travel.
        return str.__str__(record.getMessage())
    except Exception as error:
        return f"<a message that can not be shown: {type(error).__name__}>"


class RecordCapture:
    """Sets ``logging`` up in a worker.

    Parameters:
        tell: Takes a record; see ``Forwarder``.
    """

    def __init__(self, tell: Callable[[Record], bool]) -> None:
        self._forwarder = Forwarder(tell)
        self._last_resort = logging.lastResort
        self._levels: dict[str, int] = {}
        """Those that the worker's initializer has set."""

    def apply(self, wanted: Listening) -> None:
        """Take down what is wanted, and nothing else; handlers that modules have added stand in the caller as well."""
        logging.lastResort = self._last_resort
        for name in wanted.levels:
            logging.getLogger(name)
        for name, logger in _loggers():
            _set(logger, self._wanted_of(name, wanted))
        logging.disable(wanted.disable)

    def _wanted_of(self, name: str, wanted: Listening) -> _State:
        level, disabled = wanted.levels.get(name, (logging.NOTSET, False))
        # The caller's filters, too, are asked in the caller.
        return _State(self._levels.get(name, level), disabled, True, [] if name else [self._forwarder], [])

    def state(self) -> tuple[dict[str, _State], int]:
        """How ``logging`` is set up."""
        states = {
            name: _State(logger.level, logger.disabled, logger.propagate, logger.handlers[:], logger.filters[:])
            for name, logger in _loggers()
        }
        return states, logging.root.manager.disable

    def restore(self, state: tuple[dict[str, _State], int], wanted: Listening) -> None:
        """Set it up as it was; loggers that are new, as it is wanted."""
        states, disable = state
        for name, logger in _loggers():
            _set(logger, states[name] if name in states else self._wanted_of(name, wanted))
        logging.disable(disable)

    def stand_back(self, wanted: Listening) -> None:
        """Leave room for a set-up of the worker's own: only what nobody handles is taken down."""
        self.apply(wanted)
        for _name, logger in _loggers():
            logger.handlers.clear()
        self._levels = {name: logger.level for name, logger in _loggers()}
        logging.lastResort = self._forwarder

    def is_replaced(self) -> bool:
        """Whether somebody has made use of that room."""
        before = self._levels
        self._levels = {
            name: logger.level for name, logger in _loggers() if logger.level != before.get(name, logging.NOTSET)
        }
        replaced = any(logger.handlers for _name, logger in _loggers())
        if replaced:
            logging.lastResort = self._last_resort
        return replaced


class _State(NamedTuple):
    """How a logger is set up."""

    level: int
    disabled: bool
    propagate: bool
    handlers: list[Any]
    filters: list[Any]


def _set(logger: logging.Logger, state: _State) -> None:
    if logger.level != state.level:
        logger.setLevel(state.level)
    logger.disabled, logger.propagate = state.disabled, state.propagate
    logger.handlers[:], logger.filters[:] = state.handlers, state.filters


def _loggers() -> Iterator[tuple[str, logging.Logger]]:
    yield "", logging.root
    for name, logger in logging.root.manager.loggerDict.copy().items():
        if isinstance(logger, logging.Logger):
            yield name, logger


class RecordsBeside(logging.Handler):
    """Takes down what tasks log in a worker that is not ours, beside the handlers that are there.

    Loggers let through what callers want to hear; what is logged by others takes its usual way.
    """

    def __init__(self) -> None:
        super().__init__()
        self._levels: dict[str, int] = {}
        """Those that were lowered, as they were."""

    def want(self, listener: Listener) -> None:
        """Somebody listens."""
        if self not in logging.root.handlers:
            logging.root.addHandler(self)
        for name, (level, _disabled) in listener.wanted.levels.items():
            logger = logging.getLogger(name or None)
            if level and (level < logger.level or not logger.level):
                self._levels.setdefault(name, logger.level)
                logger.setLevel(level)

    def end(self) -> None:
        """Nobody does any more."""
        logging.root.removeHandler(self)
        for name, level in self._levels.items():
            logging.getLogger(name or None).setLevel(level)
        self._levels.clear()

    def emit(self, record: logging.LogRecord) -> None:
        listener = ear.get()
        taken = listener is not None and listener.tell(taken_down(record))
        if not taken and len(logging.root.handlers) == 1:
            _resort(record, self)
