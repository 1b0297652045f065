"""Decorate functions as tasks, compose them to workflows, run them in parallel."""

from typing import TYPE_CHECKING

from cotality.parallel import (
    Event,
    Journal,
    Limit,
    Mapped,
    Observer,
    Outcome,
    Progress,
    RetryPolicy,
    Task,
    TaskOptions,
    WorkflowOptions,
    configure_logging,
)
from cotality.parallel import errors as errors
from cotality.workflow._compare import compare
from cotality.workflow._drawing import Drawing
from cotality.workflow._explanation import Explanation
from cotality.workflow._factory import TaskFactory, task
from cotality.workflow._record import RunRecord
from cotality.workflow._resumption import Resumption
from cotality.workflow._run import Run
from cotality.workflow._streams import AsyncStream, Stream
from cotality.workflow._workflow import Workflow

if TYPE_CHECKING:
    from cotality.parallel import Cache as Cache
    from cotality.parallel import CacheEntry as CacheEntry
    from cotality.parallel import load_failures as load_failures

__all__ = [
    "AsyncStream",
    "Cache",
    "CacheEntry",
    "Drawing",
    "Event",
    "Explanation",
    "Journal",
    "Limit",
    "Mapped",
    "Observer",
    "Outcome",
    "Progress",
    "Resumption",
    "RetryPolicy",
    "Run",
    "RunRecord",
    "Stream",
    "Task",
    "TaskFactory",
    "TaskOptions",
    "Workflow",
    "WorkflowOptions",
    "compare",
    "configure_logging",
    "errors",
    "load_failures",
    "task",
]

for _public in (AsyncStream, Drawing, Explanation, Resumption, Run, RunRecord, Stream, TaskFactory, Workflow):
    _public.__module__ = __name__
compare.__module__ = task.__module__ = __name__


def __getattr__(name: str) -> object:
    # Who has none does not pay for importing what they are made of.
    if name in ("Cache", "CacheEntry", "load_failures"):
        import cotality.parallel

        return getattr(cotality.parallel, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
