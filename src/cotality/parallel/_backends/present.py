"""Which task the code that asks is part of, and how what it logs comes to say so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import Context, ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from cotality.parallel._data.current import FIELDS, Belonging, CurrentTask, facts_of
from cotality.parallel._data.messages import Planned

if TYPE_CHECKING:
    from cotality.parallel._data.said import Said

present: Final[ContextVar[Callable[[], CurrentTask | None]]] = ContextVar("cotality_present")
"""Finds out what runs now. A thread sets it once, not for each task: that would cost a tenth of a small one."""

Mark: TypeAlias = Callable[[Planned, Belonging], None]
"""Lets structlog know of a task, in the present context."""


def current_task() -> CurrentTask | None:
    """The attempt that calls this, and the run that it belongs to.

    It is known in threads, on an event loop and in serial runs; not in a process of a pool, and not in a thread that a
    task has started without its context.

    Returns:
        What is known of it; None outside of tasks.

    Example:
        >>> from cotality.parallel import Task, run
        >>> def which():
        ...     now = current_task()
        ...     return now.task, now.index, now.attempt
        >>> run([Task(which, {})] * 2)
        [('which', 0, 1), ('which', 1, 1)]
    """
    find = present.get(None)
    return None if find is None else find()


def context_of(planned: Planned, belonging: Belonging | None, mark: Mark | None, context: Context) -> Context:
    """Give a task a context of its own, made for nothing else."""
    if belonging is not None:
        task = belonging.task(planned)
        context.run(present.set, lambda: task)
        if mark is not None:
            context.run(mark, planned, belonging)
    return context


def repeat(said: Said, planned: Planned | None, belonging: Belonging) -> None:
    """Have said in the caller what a task has said elsewhere."""
    task = None if planned is None else belonging.task(planned)
    token = present.set(lambda: task)
    try:
        belonging.hear(task, said)
    finally:
        present.reset(token)


def mark_records() -> None:
    """From now on a record of ``logging`` that is made in a task has the fields of ``CurrentTask`` as attributes."""
    logging = sys.modules.get("logging")
    # Where nobody has imported logging, nobody logs.
    if logging is None or hasattr(logging.Logger.makeRecord, "__wrapped__"):
        return
    make = logging.Logger.makeRecord

    @wraps(make)
    def make_record(*args: Any, **kwargs: Any) -> Any:
        record = make(*args, **kwargs)
        for key, value in facts_of(current_task()).items():
            record.__dict__.setdefault(key, value)
        return record

    # Not a record factory: what that has set, ``extra=`` refuses to set, and ``extra={"task": …}`` would be an error.
    logging.Logger.makeRecord = make_record


def structlog_mark() -> Mark | None:
    """What binds a task's fields as ``bind_contextvars`` does; None where structlog is not configured.

    It adds a microsecond to each task, and so is only for those who use it.
    """
    structlog = sys.modules.get("structlog")
    if structlog is None or not structlog.is_configured():
        return None
    scratch = Context()
    scratch.run(structlog.contextvars.bind_contextvars, **dict.fromkeys(FIELDS))
    variables = {variable.name.removeprefix("structlog_"): variable for variable in scratch}
    run, workflow, name, index, attempt = (variables[field] for field in FIELDS)
    set_name, set_index, set_attempt = name.set, index.set, attempt.set

    def mark(planned: Planned, belonging: Belonging) -> None:
        ticket, call = planned
        if run.get(None) != belonging.run.id:
            run.set(belonging.run.id)
            if belonging.run.workflow is not None:
                workflow.set(belonging.run.workflow)
        set_name(call.name)
        set_index(ticket)
        set_attempt(belonging.attempt_of(ticket))

    return mark


current_task.__module__ = "cotality.parallel"
