"""Says again, in the caller's process and configuration, what tasks have said in others."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from cotality.parallel._data.current import CurrentTask, facts_of
from cotality.parallel._data.said import Entry, Record, Said, Warned


def relay(task: CurrentTask | None, said: Said) -> None:
    """Log or warn as a task did.

    Parameters:
        task: Which task that was; None: one that has ended.
        said: What it said.
    """
    # Filters, processors and whatever else stands in a configuration are the user's code.
    with suppress(Exception):
        if isinstance(said, Record):
            _log(task, said)
        elif isinstance(said, Entry):
            _enter(task, said)
        elif isinstance(said, Warned):
            _warn(said)
        else:
            getattr(sys, said.stream).write(said.text)


def _log(task: CurrentTask | None, said: Record) -> None:
    import logging

    facts, error = said
    logger = logging.getLogger(facts["name"])
    if not logger.isEnabledFor(facts["levelno"]):
        return
    record = logging.makeLogRecord({})
    record.__dict__.update(facts_of(task))
    # Where the record says it already, a run within the task was meant.
    record.__dict__.update(facts)
    if error is not None:
        record.exc_info = type(error), error, None
    logger.handle(record)


def _enter(task: CurrentTask | None, said: Entry) -> None:
    import structlog

    facts = {key: value for key, value in facts_of(task).items() if value is not None}
    facts.update(said.facts)
    event = facts.pop("event", None)
    # Its level has been asked for where it comes from.
    structlog.get_logger(*said.logger).bind(**facts)._proxy_to_logger(said.method, event)


def _warn(said: Warned) -> None:
    import warnings

    category: Any = next(kind for kind in map(_class, said.kinds) if kind is not None)
    module, registry = _where(said.filename)
    warnings.warn_explicit(said.text, category, said.filename, said.line, module, registry)


def _class(name: tuple[str, str]) -> Any:
    """A class that is known here; nothing is imported for it."""
    return getattr(sys.modules.get(name[0]), name[1], None)


_elsewhere: dict[str, dict[Any, Any]] = {}
"""What was warned of in files that are no modules here, by file."""


def _where(filename: str) -> tuple[str | None, dict[Any, Any]]:
    """The module that a file is, and what it has been warned of: once for each place means once for all workers."""
    for name, module in tuple(sys.modules.items()):
        # Not by ``getattr``, at which some modules import others.
        if getattr(module, "__dict__", {}).get("__file__") == filename:
            registry: dict[Any, Any] = module.__dict__.setdefault("__warningregistry__", {})
            return name, registry
    return None, _elsewhere.setdefault(filename, {})
