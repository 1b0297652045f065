"""The options of a run of a workflow, checked."""

from __future__ import annotations

from typing import Any

from cotality.parallel import WorkflowOptions
from cotality.parallel.building import (
    check_backend,
    check_count,
    check_known,
    check_observers,
    check_seconds,
    journal_of,
)


def checked_options(options: WorkflowOptions) -> WorkflowOptions:
    """The same options.

    Raises:
        TypeError, ValueError: one that does not exist or can not have this value.
    """
    check_known("a workflow", options, WorkflowOptions.__annotations__)
    check_backend(options.get("backend"))
    check_count("max_workers", options.get("max_workers"))
    check_count("window", options.get("window"))
    check_seconds("timeout", options.get("timeout"))
    journal_of(options.get("journal"))
    check_observers(options.get("observers", ()))
    if "failure" in options:
        _check_failure(options["failure"])
    return options


def _check_failure(failure: Any) -> None:
    if failure in ("fail_fast", "finish"):
        return
    if isinstance(failure, bool) or not isinstance(failure, (int, float)):
        raise TypeError("failure must be 'fail_fast', 'finish', a whole number of failures, or a share of the tasks")
    if isinstance(failure, int) and failure < 1:
        raise ValueError("failure as a number must be at least 1: so many failures are borne")
    if isinstance(failure, float) and not 0 < failure < 1:
        raise ValueError("failure as a share must be between 0 and 1")
