"""The engine under ``cotality.workflow`` and ``cotality.core.utils.process``: run tasks, be told what happened.

Each name is imported when it is first asked for: a worker process needs few of them, and its start is most of the time
that a first call takes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cotality.parallel import errors as errors
    from cotality.parallel._backends.dask.pool import DaskPool as DaskPool
    from cotality.parallel._backends.futures.executors import ExecutorPool as ExecutorPool
    from cotality.parallel._backends.present import current_task as current_task
    from cotality.parallel._backends.processes.loans import share as share
    from cotality.parallel._backends.processes.loans import unshare as unshare
    from cotality.parallel._backends.ray.pool import RayPool as RayPool
    from cotality.parallel._backends.state import worker_state as worker_state
    from cotality.parallel._data.capabilities import Capabilities as Capabilities
    from cotality.parallel._data.current import CurrentTask as CurrentTask
    from cotality.parallel._data.events import Companion as Companion
    from cotality.parallel._data.events import Event as Event
    from cotality.parallel._data.events import Observer as Observer
    from cotality.parallel._data.journal import Journal as Journal
    from cotality.parallel._data.journal import JournalStore as JournalStore
    from cotality.parallel._data.journal import ResultCache as ResultCache
    from cotality.parallel._data.limit import Limit as Limit
    from cotality.parallel._data.mapped import Mapped as Mapped
    from cotality.parallel._data.messages import Backend as Backend
    from cotality.parallel._data.messages import Pool as Pool
    from cotality.parallel._data.options import CallOptions as CallOptions
    from cotality.parallel._data.options import RunOptions as RunOptions
    from cotality.parallel._data.options import TaskOptions as TaskOptions
    from cotality.parallel._data.options import WorkflowOptions as WorkflowOptions
    from cotality.parallel._data.outcome import Outcome as Outcome
    from cotality.parallel._data.policies import RetryPolicy as RetryPolicy
    from cotality.parallel._data.progress import Progress as Progress
    from cotality.parallel._data.progress import ProgressDisplay as ProgressDisplay
    from cotality.parallel._data.reference import Reference as Reference
    from cotality.parallel._data.task import Task as Task
    from cotality.parallel._journal.cache import Cache as Cache
    from cotality.parallel._journal.cache import CacheEntry as CacheEntry
    from cotality.parallel._journal.letters import load_failures as load_failures
    from cotality.parallel._observers.configure import configure_logging as configure_logging
    from cotality.parallel._run import run as run
    from cotality.parallel._run import stream as stream
    from cotality.parallel._version import __version__ as __version__
    from cotality.parallel.executors import ProcessExecutor as ProcessExecutor
    from cotality.parallel.executors import ThreadExecutor as ThreadExecutor

_HOMES = {
    "WorkflowOptions": "_data.options",
    "TaskOptions": "_data.options",
    "Reference": "_data.reference",
    "Outcome": "_data.outcome",
    "Mapped": "_data.mapped",
    "Journal": "_data.journal",
    "JournalStore": "_data.journal",
    "Limit": "_data.limit",
    "Backend": "_data.messages",
    "Cache": "_journal.cache",
    "CacheEntry": "_journal.cache",
    "CallOptions": "_data.options",
    "Capabilities": "_data.capabilities",
    "DaskPool": "_backends.dask.pool",
    "ExecutorPool": "_backends.futures.executors",
    "Companion": "_data.events",
    "CurrentTask": "_data.current",
    "Event": "_data.events",
    "Observer": "_data.events",
    "Progress": "_data.progress",
    "ProgressDisplay": "_data.progress",
    "configure_logging": "_observers.configure",
    "current_task": "_backends.present",
    "Pool": "_data.messages",
    "ProcessExecutor": "executors",
    "RayPool": "_backends.ray.pool",
    "ResultCache": "_data.journal",
    "RetryPolicy": "_data.policies",
    "RunOptions": "_data.options",
    "Task": "_data.task",
    "ThreadExecutor": "executors",
    "__version__": "_version",
    "load_failures": "_journal.letters",
    "run": "_run",
    "share": "_backends.processes.loans",
    "stream": "_run",
    "unshare": "_backends.processes.loans",
    "worker_state": "_backends.state",
}

__all__ = [
    "Backend",
    "Cache",
    "CacheEntry",
    "CallOptions",
    "Capabilities",
    "Companion",
    "CurrentTask",
    "DaskPool",
    "Event",
    "ExecutorPool",
    "Journal",
    "JournalStore",
    "Limit",
    "Mapped",
    "Observer",
    "Outcome",
    "Pool",
    "ProcessExecutor",
    "Progress",
    "ProgressDisplay",
    "RayPool",
    "Reference",
    "ResultCache",
    "RetryPolicy",
    "RunOptions",
    "Task",
    "TaskOptions",
    "ThreadExecutor",
    "WorkflowOptions",
    "__version__",
    "configure_logging",
    "current_task",
    "errors",
    "load_failures",
    "run",
    "share",
    "stream",
    "unshare",
    "worker_state",
]


def __getattr__(name: str) -> object:
    if name == "errors":
        return import_module("cotality.parallel.errors")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
