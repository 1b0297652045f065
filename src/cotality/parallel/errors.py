"""Every error the library raises, in one tree.

::

    TaskError                       something happened to one task
    ├── TaskTimeout                 (TimeoutError)         it ran longer than its timeout
    ├── WorkerDied                  (BrokenProcessPool)    its worker ended while it ran
    ├── TransferError               (PicklingError)        its function, an argument or its result cannot travel
    │   └── BrokenTransferError     (BrokenProcessPool)    the same, as a process executor gives it
    ├── RemoteError                                        it raised what must not pass through the caller as itself
    ├── ArgumentError               (TypeError)            an argument has the wrong type, is missing or too many
    ├── NoStableContent             (TypeError)            a journal could not recognise it again
    ├── ResultRefused                                      its retry policy refused its result to the last
    ├── TaskSkipped                                        a task that it needs has failed
    └── TaskCancelled                                      its run ended before it did
    RunError                        a run ended before its tasks had
    ├── RunTimeout                  (TimeoutError)         it took longer than its timeout
    └── RunCancelled                                       it was cancelled
    WorkflowFailed                  (ExceptionGroup)       tasks of a workflow have failed
    ReferenceMisuse                 (TypeError)            an output was used as if it were a value
    CycleError                      (ValueError)           tasks wait for each other in a circle
    UnknownTask                     (KeyError)             the task is not part of this workflow or run
    ResultNotKept                   (LookupError)          the result was not kept: add the task to the workflow
    WorkerStartError                (BrokenProcessPool)    no worker could be started, so no task can run
    JournalError                                           a journal or a cache can not be used
    InternalError                   (RuntimeError)         a bug of this library: please report it

Messages name the task and what to do; they never show the value of an argument.

Example:
    >>> import os
    >>> from cotality.parallel import Task, run
    >>> from cotality.parallel.errors import TaskError
    >>> try:
    ...     run([Task(os._exit, {}, positional=(3,))], backend="processes")
    ... except TaskError as error:
    ...     print(f"{type(error).__name__}: {error}")
    WorkerDied: in task _exit (index 0): the worker ended with exit code 3 while it ran this task

``BrokenProcessPool`` lives in a module that costs half of this package's import time, so the errors that
derive from it are made when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cotality.parallel._data.task_errors import (
    ArgumentError,
    CycleError,
    InternalError,
    JournalError,
    NoStableContent,
    ReferenceMisuse,
    RemoteError,
    RemoteTraceback,
    ResultNotKept,
    ResultRefused,
    RunCancelled,
    RunError,
    RunTimeout,
    TaskCancelled,
    TaskError,
    TaskSkipped,
    TaskTimeout,
    TransferError,
    UnknownTask,
    WorkflowFailed,
)

if TYPE_CHECKING:
    from cotality.parallel._data.broken import BrokenTransferError, WorkerDied, WorkerStartError

__all__ = [
    "ArgumentError",
    "BrokenTransferError",
    "CycleError",
    "InternalError",
    "JournalError",
    "NoStableContent",
    "ReferenceMisuse",
    "RemoteError",
    "ResultNotKept",
    "ResultRefused",
    "RunCancelled",
    "RunError",
    "RunTimeout",
    "TaskCancelled",
    "TaskError",
    "TaskSkipped",
    "TaskTimeout",
    "TransferError",
    "UnknownTask",
    "WorkerDied",
    "WorkerStartError",
    "WorkflowFailed",
]

_LATE = ("BrokenTransferError", "WorkerDied", "WorkerStartError")
for _name in __all__:
    if _name not in _LATE:
        globals()[_name].__module__ = __name__
# It is no error that anybody catches, but its name is seen in tracebacks.
RemoteTraceback.__module__ = __name__


def __getattr__(name: str) -> object:
    if name in _LATE:
        from cotality.parallel._data import broken

        return getattr(broken, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
