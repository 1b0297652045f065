"""Decorate functions as tasks, compose them to workflows, run them in parallel."""

from cotality.parallel import (
    Event,
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
from cotality.workflow._run import Run
from cotality.workflow._streams import AsyncStream, Stream
from cotality.workflow._workflow import Workflow

__all__ = [
    "AsyncStream",
    "Drawing",
    "Event",
    "Explanation",
    "Limit",
    "Mapped",
    "Observer",
    "Outcome",
    "Progress",
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
    "task",
]

for _public in (AsyncStream, Drawing, Explanation, Run, RunRecord, Stream, TaskFactory, Workflow, compare, task):
    _public.__module__ = __name__
