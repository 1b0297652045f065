"""What is said of a worker that has ended."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cotality.parallel._data.broken import WorkerDied, WorkerStartError


def worker_died(code: int | None, *, loading: bool) -> WorkerDied:
    """The error of the task that a worker was at when it ended."""
    from cotality.parallel._data.broken import WorkerDied

    how = describe_exit(code)
    if loading:
        return WorkerDied(f"the worker ended {how} while it loaded the arguments; the task did not start")
    return WorkerDied(f"the worker ended {how} while it ran this task")


def initializer_raised(error: BaseException) -> WorkerStartError:
    """The error of a run whose workers can not get ready."""
    from cotality.parallel._data.broken import WorkerStartError

    return WorkerStartError(f"the initializer raised {type(error).__name__}: no worker can be started")


def can_not_start(times: int, code: int | None) -> WorkerStartError:
    """The error of a run whose workers end at once."""
    from cotality.parallel._data.broken import WorkerStartError

    return WorkerStartError(f"{times} workers ended {describe_exit(code)} before they could run anything")


def describe_exit(code: int | None) -> str:
    """An exit code for people: a signal by its name."""
    if code is None:
        return "for an unknown reason"
    if code >= 0:
        return f"with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"by {name}" + (" (possibly out of memory)" if name == "SIGKILL" else "")
