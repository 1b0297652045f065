"""Exceptions as data and as text, for logs. Never with local variables: among them are the arguments of tasks."""

from __future__ import annotations

import traceback
from typing import Any, Final

from cotality.parallel._data.task_errors import RemoteTraceback
from cotality.parallel._data.wording import message_of, shown

MOST_FRAMES: Final = 50
MOST_CAUSES: Final = 20


class ExceptionData(dict[str, Any]):
    """An exception: in JSON as it is, on a console in short."""

    def __repr__(self) -> str:
        return f"<{self['type']}>"


def as_data(error: BaseException) -> ExceptionData:
    """An exception with its causes.

    Returns:
        ``type``, ``message``, ``notes`` and ``frames`` (of which each has ``file``, ``line`` and ``function``, the
        innermost last), ``exceptions`` of a group, and under ``cause`` the same of what it was raised from. What a
        worker process has said of it is ``worker_traceback``, as text. What is empty is left out.
    """
    return _as_data(error, MOST_CAUSES)


def _as_data(error: BaseException, depth: int) -> ExceptionData:
    data = ExceptionData(type=_type(error), message=message_of(error), frames=_frames(error))
    data["notes"] = [str(note) for note in getattr(error, "__notes__", ())]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if isinstance(cause, RemoteTraceback):
        data["worker_traceback"] = cause.text
    elif cause is not None and depth:
        data["cause"] = _as_data(cause, depth - 1)
    if isinstance(error, BaseExceptionGroup) and depth:
        data["exceptions"] = [_as_data(each, depth - 1) for each in error.exceptions[:MOST_CAUSES]]
    return ExceptionData({key: value for key, value in data.items() if value != []})


def _type(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _frames(error: BaseException) -> list[dict[str, Any]]:
    frames = [
        {"file": frame.f_code.co_filename, "line": line, "function": frame.f_code.co_qualname}
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return frames[-MOST_FRAMES:]


def as_text(error: BaseException) -> str:
    """The traceback of an exception and of its causes, as Python prints it."""
    try:
        lines = "".join(traceback.format_exception(error)).rstrip().split("\n")
    except Exception:
        lines = [f"{_type(error)}: {message_of(error)}"]
    # What a terminal would obey is shown instead.
    return "\n".join(shown(line.expandtabs()) for line in lines)
