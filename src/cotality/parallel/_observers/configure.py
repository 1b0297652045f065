"""A set-up of logs for scripts, which have none of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, MutableMapping
from time import gmtime, strftime, time_ns
from typing import Any, TextIO

from cotality.parallel._observers.log import choose_levels


def configure_logging(
    level: int | str = "INFO",
    *,
    json: bool = False,
    file: TextIO | None = None,
    events: Mapping[str, int | str | None] | None = None,
) -> None:
    """Show logs: those of runs, and whatever else goes to ``logging`` or structlog, in one place and one format.

    Meant for scripts and notebooks. An application's own set-up is used as it is and needs none of this.

    Parameters:
        level: The least serious that is shown, as ``logging`` names it.
        json: One JSON object a line instead of lines for people.
        file: Where to; None: standard error.
        events: Other levels for some events, by their names; None for one that is not to be logged at all.
            ``{"task.finished": "INFO"}`` also tells of each item of a map, a list or a stream.

    Raises:
        ValueError: a level or an event that does not exist.

    Example:
        >>> import sys
        >>> from cotality.workflow import Workflow, configure_logging, task
        >>> configure_logging("WARNING", file=sys.stdout)
        >>> @task
        ... def half(number: int) -> float:
        ...     return number / 2
        >>> flow = Workflow()
        >>> three = flow.add(half(6))
        >>> flow.run()[three]
        3.0
    """
    # Only who wants logs pays for importing them.
    import logging

    import structlog

    threshold = _level(level)
    choose_levels({name: None if chosen is None else _level(chosen) for name, chosen in (events or {}).items()})
    stream = sys.stderr if file is None else file
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _Clock(),
    ]
    rendering: list[Any] = [_only_data, structlog.processors.JSONRenderer(_json())] if json else [_console(stream)]
    structlog.configure(
        processors=[*shared, *([] if json else [_only_text]), *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *rendering,
            ],
        )
    )
    logging.basicConfig(level=threshold, handlers=[handler], force=True)


class _Clock:
    """Writes down when, in UTC as ISO 8601 has it: what is the same for a whole second is made once in it."""

    def __init__(self) -> None:
        self._second: tuple[int, str] = (0, "")

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        now = time_ns() // 1000
        second, text = self._second
        if now // 1_000_000 != second:
            second = now // 1_000_000
            text = strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
            # At once, for several threads may log.
            self._second = second, text
        event["timestamp"] = f"{text}.{now % 1_000_000:06}Z"
        return event


def _json() -> Callable[..., str]:
    from json import JSONEncoder

    # Made once: ``json.dumps`` makes one for each line.
    encode = JSONEncoder(default=repr).encode
    return lambda event, **_options: encode(event)


def _level(level: int | str) -> int:
    if isinstance(level, int):
        return level
    import logging

    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"there is no level {level!r}: DEBUG, INFO, WARNING, ERROR")
    return number


def _console(stream: TextIO) -> Any:
    import structlog

    # Its own way with exceptions may show local variables, among which are the arguments of tasks.
    return structlog.dev.ConsoleRenderer(
        colors=bool(getattr(stream, "isatty", lambda: False)()),
        exception_formatter=structlog.dev.plain_traceback,
        sort_keys=False,
    )


def _only_data(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For JSON: the exception as data, and not once more as text."""
    if "exception_data" in event:
        event["exception"] = event.pop("exception_data")
    return event


def _only_text(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For people: the exception as text."""
    event.pop("exception_data", None)
    return event


configure_logging.__module__ = "cotality.parallel"
