"""Says of an error which task it happened to, and makes those harmless that would pass for the caller's own."""

from __future__ import annotations

from typing import Any

from cotality.parallel._data.outcome import is_ours
from cotality.parallel._data.task import Task
from cotality.parallel._data.task_errors import RemoteError, TaskError
from cotality.parallel._data.wording import message_of, placed


def stand_in_place(index: int, task: Task[Any], error: BaseException, attempts: int) -> Exception:
    """What stands among the results for a task that failed for good."""
    where = _where(index, task, attempts)
    if is_ours(error) and _name(error, where):
        return error
    if isinstance(error, Exception):
        _note(error, where)
        return error
    # Raised as itself it would end the caller's program, or its loop, and quietly.
    return _wrapped(error, where)


def stand_to_be_raised(
    index: int, task: Task[Any], error: BaseException, attempts: int, place: int | None = None
) -> Exception:
    """What is raised for a task that failed for good: the error itself, saying where it happened."""
    where = _where(index, task, attempts, place)
    if not isinstance(error, Exception) or isinstance(error, StopIteration):
        return _wrapped(error, where)
    if is_ours(error) and _name(error, where):
        return error
    return error if _note(error, where) else _wrapped(error, where)


def _note(error: Exception, where: str) -> bool:
    """Note on an exception where it was raised; False if its class makes notes impossible."""
    try:
        if where not in getattr(error, "__notes__", ()):
            error.add_note(where)
    except BaseException:
        return False
    return True


def _where(index: int, task: Task[Any], attempts: int, place: int | None = None) -> str:
    return f"in task {task.name} ({placed(index, place)})" + (f", attempt {attempts}" if attempts > 1 else "")


def _name(error: TaskError, where: str) -> bool:
    """Let an error of ours say whose it is; False if it does already, as a run in the task has let it pass."""
    message = message_of(error)
    if message.startswith("in task "):
        error.passed_on = True
        return False
    error.args = (f"{where}: {message}",)
    return True


def _wrapped(error: BaseException, where: str) -> RemoteError:
    wrapped = RemoteError(f"{type(error).__name__} was raised {where}")
    wrapped.__cause__ = error
    return wrapped
