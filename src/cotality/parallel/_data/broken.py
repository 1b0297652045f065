"""The two errors that are also a ``BrokenProcessPool``; apart from the others because that import is slow."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool

from cotality.parallel._data.task_errors import TaskError, TransferError


class WorkerDied(TaskError, BrokenProcessPool):
    """The worker ended while it ran this task: by a signal, by ``os._exit``, or killed by the kernel.

    It concerns this task alone: the others' results are kept, and the worker is replaced.
    """


class BrokenTransferError(TransferError, BrokenProcessPool):
    """A :class:`TransferError` as a process executor gives it: what the standard's raises when a load fails.

    The executor is not broken; it goes on.
    """


class WorkerStartError(BrokenProcessPool):
    """Workers end before they can run anything, for example because an initializer raises."""


WorkerDied.__module__ = BrokenTransferError.__module__ = WorkerStartError.__module__ = "cotality.parallel.errors"
