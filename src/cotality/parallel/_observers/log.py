"""Tells the application's log what happens.

Events go to structlog when the application has configured it, with its processors and levels, and otherwise to the
standard logger ``cotality``. Nothing is printed by surprise: without a set-up of the application's own nothing is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from cotality.parallel._data.events import Event
from cotality.parallel._data.wording import shown, summary_of

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40
_METHODS: Final = {DEBUG: "debug", INFO: "info", WARNING: "warning", ERROR: "error"}

_LEVELS: Final[dict[str, int | None]] = {
    "run.started": DEBUG,
    "run.finished": INFO,
    "run.empty": WARNING,
    "task.finished": INFO,
    "task.failed": ERROR,
    "task.timed_out": ERROR,
    "task.runs_on": WARNING,
    "task.retried": WARNING,
    "task.skipped": WARNING,
    "task.cancelled": DEBUG,
    "worker.died": ERROR,
    "observer.failed": ERROR,
    "journal.resumed": INFO,
    "journal.runs_again": INFO,
    "journal.not_kept": WARNING,
    "journal.damaged": WARNING,
    "journal.failed": ERROR,
}
_ITEM_LEVELS: Final[dict[str, int | None]] = {"task.finished": DEBUG}
levels = dict(_LEVELS)
"""How serious each event is; None: it is not logged."""
item_levels = _LEVELS | _ITEM_LEVELS
"""The same for items of maps, lists and streams, of which there may be a million."""

Sink = Callable[[int, str, str, dict[str, Any], BaseException | None], None]
"""Takes one event: its level, its name, a sentence, what is known of it, which the sink may add to, and the error to be
told in full."""


def choose_levels(chosen: Mapping[str, int | None]) -> None:
    """Let some events have another level than they have by themselves, and all others their own.

    Raises:
        ValueError: an event that does not exist.
    """
    unknown = [name for name in chosen if name not in _LEVELS]
    if unknown:
        raise ValueError(f"there is no event {unknown[0]!r}; those that exist are {', '.join(_LEVELS)}")
    levels.update(_LEVELS | dict(chosen))
    item_levels.update(_LEVELS | _ITEM_LEVELS | dict(chosen))


def warn(event: str, message: str, **facts: Any) -> None:
    """Log what observers are not told of; ``facts`` never holds the value of an argument."""
    level, sink = levels[event], _sink()
    if level is not None and sink is not None:
        sink(level, event, message, {key: shown(str(fact)) for key, fact in facts.items()}, None)


def log_observer() -> LogObserver | None:
    """Who logs the events of a run, if anybody listens."""
    sink = _sink()
    return None if sink is None else LogObserver(sink)


class LogObserver:
    """Logs events.

    Parameters:
        sink: Where they go.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._on = {level: _is_on(level) for level in _METHODS}

    def notice(self, events: Sequence[Event], /) -> None:
        is_on = self._on.get
        for event in events:
            level = (item_levels if event.item else levels)[event.name]
            if level is not None and is_on(level, True):
                self._sink(level, event.name, "", facts_of(event), event.error if event.name in _TRACED else None)

    def logs(self, level: int | None) -> bool:
        """Whether anybody listens to what is as serious as this."""
        return level is not None and self._on.get(level, True)

    @property
    def wants_tasks(self) -> bool:
        """Whether anybody listens to each task of a workflow that has finished or was cancelled."""
        return self.logs(levels["task.finished"]) or self.logs(levels["task.cancelled"])

    @property
    def wants_items(self) -> bool:
        """Whether anybody listens to each item of a map, a list or a stream that has."""
        return self.logs(item_levels["task.finished"]) or self.logs(item_levels["task.cancelled"])


_TRACED: Final = frozenset({"task.failed", "task.timed_out"})
"""What is logged with a traceback. That of an attempt which was not the last is not worth a page."""
_TASK_KEYS: Final = ("run", "workflow", "task", "index", "place", "attempt", "backend", "worker", "waited", "duration")
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "run.started": ("run", "workflow", "tasks"),
    "run.finished": ("run", "workflow", "state", "duration", "counts"),
    "task.retried": (*_TASK_KEYS, "retry_in"),
    "task.skipped": (*_TASK_KEYS, "first_cause"),
}


def facts_of(event: Event) -> dict[str, Any]:
    """What is known of an event, by the keys under which it is logged."""
    facts: dict[str, Any] = {}
    for key in _KEYS.get(event.name, _TASK_KEYS):
        value = getattr(event, key)
        if value is not None:
            facts[key] = shown(value) if type(value) is str else round(value, 6) if type(value) is float else value
    if event.error is not None:
        facts["error"] = summary_of(event.error)
    return facts


# Where it goes -------------------------------------------------------------------------------------------------------


def _structlog() -> Any:
    """structlog, if the application has configured it. Who has not imported it has not."""
    structlog = sys.modules.get("structlog")
    return structlog if structlog is not None and structlog.is_configured() else None


def _sink() -> Sink | None:
    structlog = _structlog()
    if structlog is not None:
        # Bound once: to do so costs more than to log.
        return partial(_to_structlog, structlog.get_logger("cotality").bind())
    # Where nobody has imported logging, nobody has told it where to write.
    return partial(_to_logging, _logger()) if "logging" in sys.modules else None


def _is_on(level: int) -> bool:
    structlog = _structlog()
    if structlog is None:
        return bool(_logger().isEnabledFor(level))
    logger = structlog.get_logger("cotality")
    asks = getattr(logger, "is_enabled_for", None) or getattr(logger, "isEnabledFor", None)
    return asks is None or bool(asks(level))


def _logger() -> Any:
    import logging

    logger = logging.getLogger("cotality")
    if not logger.handlers:
        # Without one, warnings would be printed where nobody has set up logging.
        logger.addHandler(logging.NullHandler())
    return logger


def _to_structlog(
    logger: Any, level: int, event: str, message: str, told: dict[str, Any], error: BaseException | None
) -> None:
    if message:
        told["message"] = message
    if error is not None:
        from cotality.parallel._observers.exceptions import as_data, as_text

        told["exception_data"] = as_data(error)
        told["exception"] = as_text(error)
    getattr(logger, _METHODS.get(level, "info"))(event, **told)


def _to_logging(
    logger: Any, level: int, event: str, message: str, facts: dict[str, Any], error: BaseException | None
) -> None:
    if not logger.isEnabledFor(level):
        return
    told = " ".join(f"{key}={value}" for key, value in facts.items())
    trace = None if error is None else (type(error), error, error.__traceback__)
    text = f"{event}: {message} {told}" if message else f"{event}: {told}"
    record = logger.makeRecord(logger.name, level, __file__, 0, "%s", (text,), trace, func=None)
    # Not as ``extra``: that refuses what a record has already, and within a task it names that task.
    record.__dict__.update(facts, event=event)
    logger.handle(record)
