"""The errors of tasks, but for those that derive from ``BrokenProcessPool`` (``broken``)."""

from __future__ import annotations

from pickle import PicklingError
from typing import Any


class TaskError(Exception):
    """Something happened to one task that is not an exception of its own."""

    passed_on = False
    """Whether it happened to a task of another run, and the one that was at that run has let it pass."""


class TaskTimeout(TaskError, TimeoutError):
    """An attempt ran longer than its timeout. In a process its worker was killed; in a thread it still runs."""


class TransferError(TaskError, PicklingError):
    """A function, an argument or a result could not travel between processes."""


class RemoteError(TaskError):
    """A task raised something that would be mistaken for the caller's own: ``SystemExit``, ``KeyboardInterrupt``,
    ``GeneratorExit``, ``CancelledError``, a ``StopIteration``; or an exception that cannot travel as itself.

    The original, where there is one, is the ``__cause__``.
    """


class RemoteTraceback(Exception):
    """The traceback of the worker, as text: the ``__cause__`` at the end of a travelled exception's chain."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class TaskCancelled(TaskError):
    """The task had not ended when its run did: it was cancelled, it timed out as a whole, or another task failed."""


class TaskSkipped(TaskError):
    """The task can not run, because one that it needs has failed; the ``__cause__`` is that task's error."""


class ResultRefused(TaskError):
    """The task's retry policy refused its result, in the last attempt as well."""


class ArgumentError(TaskError, TypeError):
    """An argument is not of the type that the function is annotated with, is missing, or is one too many."""


class ReferenceMisuse(TypeError):
    """The output of a task was used as if it were its value, which only exists when the task has run."""


class CycleError(ValueError):
    """Tasks that wait for each other in a circle, which no order can satisfy."""


class UnknownTask(KeyError):
    """The task is not part of the workflow or the run that was asked."""

    def __str__(self) -> str:
        # A KeyError shows the repr of its key, and this is a sentence.
        return str(self.args[0]) if self.args else ""


class ResultNotKept(LookupError):
    """The task has run, but its result was not kept: only what is added to a workflow can be read."""


class RunError(Exception):
    """A run has ended before all of its tasks had; ``run`` holds what was reached."""

    run: Any = None


class RunTimeout(RunError, TimeoutError):
    """The run took longer than its timeout."""


class RunCancelled(RunError):
    """The run was cancelled."""


class WorkflowFailed(ExceptionGroup[Exception]):
    """Tasks of a workflow have failed: the group holds the error of each, and ``run`` what the others gave."""

    run: Any = None

    def derive(self, excs: Any) -> Any:
        part = WorkflowFailed(self.message, excs)
        part.run = self.run
        return part


class InternalError(RuntimeError):
    """A bug of this library. Please report it with its traceback."""


class JournalError(Exception):
    """A journal, a cache or a file of failures can not be used: what is wrong with it, and what to do."""


class NoStableContent(TaskError, TypeError):
    """Something in a task can not be recognised again by another process, so what it gives could not be found again."""
