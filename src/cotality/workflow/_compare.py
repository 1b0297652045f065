"""Two runs side by side."""

from __future__ import annotations

import os
from typing import TypeAlias

from cotality.workflow._record import RunRecord
from cotality.workflow._run import Run

AnyRun: TypeAlias = Run | RunRecord | str | os.PathLike[str]


def compare(first: AnyRun, second: AnyRun, path: str | os.PathLike[str]) -> None:
    """Write a page that shows two runs side by side: their figures, how long tasks took by name, failures, environment.

    Parameters:
        first: The run that the other one is held against: a run that is over, its record, or the path of a saved one.
        second: The other one.
        path: The file, which is replaced.

    Raises:
        ImportError: jinja2 is missing; the extra ``report`` installs it.
        RuntimeError: one of them is not over.
        OSError: a file can not be read or written.
        ValueError: a file is no saved run.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from cotality.workflow import Workflow, compare, task
        >>> flow = Workflow("nothing")
        >>> _ = flow.add(task(len)("abc"))
        >>> with TemporaryDirectory() as folder:
        ...     page = Path(folder, "comparison.html")
        ...     compare(flow.run(), flow.run(), page)
        ...     "</html>" in page.read_text(encoding="utf-8")
        True
    """
    from cotality.workflow._report.page import comparison_of

    page = comparison_of(_record(first), _record(second))
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)


def _record(run: AnyRun) -> RunRecord:
    if isinstance(run, Run):
        return run.record()
    return run if isinstance(run, RunRecord) else RunRecord.load(run)
