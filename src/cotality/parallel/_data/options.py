"""The options of tasks and runs as a caller writes them, each written once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from cotality.parallel._data.events import Observer
from cotality.parallel._data.journal import JournalOption, ResultCache
from cotality.parallel._data.limit import Limit
from cotality.parallel._data.messages import Pool
from cotality.parallel._data.policies import RetryPolicy
from cotality.parallel._data.progress import ProgressOption
from cotality.parallel._data.task_options import BackendName, Validation

if TYPE_CHECKING:
    from concurrent.futures import Executor

Failure: TypeAlias = Literal["fail_fast", "finish"] | int | float


class TaskOptions(TypedDict, total=False):
    """The options of a task.

    Example:
        >>> from cotality.workflow import TaskOptions, task
        >>> patient: TaskOptions = {"retries": 5, "timeout": 60}
        >>> task(**patient)(len)
        <task len>
    """

    name: str
    """What it is called in logs, errors and reports; the function's name by default."""
    retries: int | RetryPolicy
    """How often it is tried again when it fails, or a policy. 0 by default."""
    timeout: float | None
    """Seconds that one attempt may take, from its start; None: no bound."""
    backend: BackendName | Pool | Executor | None
    """Where it runs; None: where its workflow says, and coroutines on an event loop."""
    limits: Sequence[Limit]
    """Bounds on concurrency or rate that it shares with other tasks."""
    tags: Sequence[str]
    """Words to find it by."""
    validate: Validation
    """How its arguments are checked: ``"fast"`` looks at one item of a container, ``"full"`` at all, ``"off"`` at
    nothing."""
    journal: bool
    """Whether a run with a journal keeps its result, and takes it over the next time. True by default."""
    cache: ResultCache | None
    """Where its result is looked for first, whichever workflow has made it: a ``Cache``."""
    expires: float | None
    """After how many seconds a kept result is too old, so that the task runs again; None: never."""
    version: str | int | None
    """What stands for the function's code when a kept result is looked for: another version runs again, another code
    does not."""
    key: Callable[..., Any] | None
    """Called with the task's arguments; what it gives stands for them when a kept result is looked for."""


class CallOptions(TypedDict, total=False):
    """The options that every way to run tasks has in common.

    Example:
        >>> from cotality.core.utils.process import Task, execute_tasks_in_parallel
        >>> from cotality.parallel import CallOptions
        >>> patient: CallOptions = {"retries": 5, "timeout": 60}
        >>> execute_tasks_in_parallel([Task(len, {}, positional=("abc",))], **patient)
        [3]
    """

    backend: BackendName | Pool | Executor
    """Where tasks run: a name, a pool such as a ``ProcessExecutor`` or a ``DaskPool``, or any executor of
    ``concurrent.futures``. Threads by default."""
    retries: int | RetryPolicy
    """How often a failed task is tried again, or a policy. 0 by default."""
    timeout: float | None
    """Seconds that one attempt may take, from its start; None: no bound."""
    window: int | None
    """The most tasks taken from the source and not yet handed to the consumer; None: small, by how long tasks take."""
    observers: Sequence[Observer]
    """Who is told what happens."""
    progress: ProgressOption
    """Whether, or how, progress is shown. True: in a terminal or a notebook as a bar, elsewhere as a line now and then.
    A callable is given a ``Progress`` a few times a second; so is the ``show`` of an object. A bar of tqdm is moved."""
    journal: JournalOption | None
    """Where finished tasks are written down as the run goes on, so that the next run with the same journal takes them
    over and runs only what is missing: a path, or a ``Journal``."""


class RunOptions(CallOptions, total=False):
    """The options of a run of a list or a stream.

    Example:
        >>> from cotality.parallel import RunOptions, Task, run
        >>> narrow: RunOptions = {"max_workers": 1, "window": 4}
        >>> run([Task(len, {}, positional=("abc",))], **narrow)
        [3]
    """

    max_workers: int | None
    """The most workers; None: by the machine. A pool or an executor that is given has no more than its own number."""


class WorkflowOptions(TypedDict, total=False):
    """The options of a run of a workflow; each is the workflow's own unless it is given.

    Example:
        >>> from cotality.workflow import Workflow, WorkflowOptions
        >>> nightly: WorkflowOptions = {"failure": "finish", "raise_failures": False, "timeout": 3600}
        >>> Workflow("nightly", **nightly)
        <Workflow 'nightly' of 0 tasks>
    """

    backend: BackendName | Pool | Executor
    """Where tasks run that do not say. ``"serial"`` runs all of them in the caller's thread, whatever they say."""
    max_workers: int | None
    """The most workers of that backend; None: by the machine. A pool or an executor has no more than its own number."""
    failure: Failure
    """``"fail_fast"``: the first failure ends the run. ``"finish"``: whatever does not depend on it still runs. A whole
    number: so many failures are borne; a share between 0 and 1: that part of the tasks may fail, of a hundred at least
    as long as a map may still make others."""
    raise_failures: bool
    """Whether failures are raised when the run is over; True by default. Otherwise they stand in the run."""
    timeout: float | None
    """Seconds that the whole run may take; None: no bound."""
    window: int | None
    """The most results of a stream, or items of a map, that are under way or not yet consumed; None: small, by how long
    tasks take."""
    observers: Sequence[Observer]
    """Who is told what happens."""
    progress: ProgressOption
    """Whether, or how, progress is shown. True: in a terminal or a notebook as a bar, elsewhere as a line now and then.
    A callable is given a ``Progress`` a few times a second; so is the ``show`` of an object. A bar of tqdm is moved."""
    journal: JournalOption | None
    """Where finished tasks are written down as the run goes on, so that the next run with the same journal takes them
    over and runs only what is missing: a path, or a ``Journal``."""


for _options in (TaskOptions, CallOptions, RunOptions, WorkflowOptions):
    _options.__module__ = "cotality.parallel"
