"""From a run to its record."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from typing import Any

import cotality.parallel as package
from cotality.parallel import Outcome, __version__
from cotality.parallel.building import Execution
from cotality.parallel.foreseeing import usable_cpus
from cotality.parallel.recounting import error_data, error_text, message_of, peak_memory
from cotality.workflow._record import RunRecord
from cotality.workflow._report.facts import Cause

MOST_CAUSES = 100
MOST_INDICES = 20
MOST_LINES = 200
"""How many lines of a traceback are kept: the first and the last."""

_STANDARD, _LIBRARY = os.path.dirname(os.__file__), os.path.dirname(package.__file__)
_FRAME = re.compile(r'^\s*File "(.*)", line (\d+), in (.*)$', re.MULTILINE)


def record_of(execution: Execution) -> RunRecord:
    """What is known of a run that is over."""
    plan, identity = execution.plan, execution.identity
    rows = list(execution.account.rows(execution.began))
    failed = [execution.account.outcome(ticket) for ticket in plan.failed]
    skipped = [execution.account.outcome(row.index).error for row in rows if row.state == "skipped"]
    return RunRecord(
        run=identity.id,
        workflow=identity.workflow or "",
        state=execution.state,
        error="" if plan.failure is None else f"{type(plan.failure).__name__}: {message_of(plan.failure):.500}",
        began_at=execution.began_at,
        duration=(execution.ended or execution.began) - execution.began,
        counts=execution.account.counts(),
        rows=rows,
        joints=execution.account.joints(),
        causes=causes_of(failed, skipped),
        memory={"this process": peak_memory(os.getpid()), **execution.memory},
        environment=_environment(execution),
    )


def _environment(execution: Execution) -> dict[str, str]:
    return {
        "Backends": ", ".join(execution.account.backends()) or "none",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "System": platform.platform(),
        "Processors": str(usable_cpus()),
        "cotality-workflow": __version__,
    }


def causes_of(failed: Iterable[Outcome[Any]], skipped: Iterable[BaseException | None] = ()) -> list[Cause]:
    """Failures by what caused them, the most frequent first.

    Parameters:
        failed: What failed for good.
        skipped: The errors of what was skipped.
    """
    groups: dict[Any, list[Outcome[Any]]] = {}
    group_of: dict[int, Any] = {}
    for outcome in failed:
        error = outcome.error
        if error is not None:
            key = outcome.state, type(error), _where(error) or re.sub(r"\d+", "#", message_of(error))
            groups.setdefault(key, []).append(outcome)
            group_of[id(error)] = key
    lost: dict[Any, int] = {}
    for each in skipped:
        of = None if each is None else group_of.get(id(each.__cause__))
        lost[of] = lost.get(of, 0) + 1
    most = sorted(groups, key=lambda key: -len(groups[key]))[:MOST_CAUSES]
    return [_cause(groups[key], lost.get(key, 0)) for key in most]


def _cause(outcomes: Sequence[Outcome[Any]], skipped: int) -> Cause:
    first = outcomes[0]
    assert first.error is not None
    tasks: dict[str, int] = {}
    for outcome in outcomes:
        tasks[outcome.name] = tasks.get(outcome.name, 0) + 1
    lines = error_text(first.error).split("\n")
    if len(lines) > MOST_LINES:
        half = MOST_LINES // 2
        lines = [*lines[:half], f"… {len(lines) - MOST_LINES} lines …", *lines[-half:]]
    return Cause(
        state=first.state,
        kind=error_data(first.error)["type"],
        message=f"{message_of(first.error):.1000}",
        where=_where(first.error),
        tasks=tasks,
        indices=[outcome.index for outcome in outcomes[:MOST_INDICES]],
        skipped=skipped,
        traceback=[f"{line:.500}" for line in lines],
    )


def _where(error: BaseException) -> str:
    """The innermost frame that is known of an error, here or where the task ran; of the user's own if there is one."""
    data = error_data(error)
    frames = _FRAME.findall(data.get("worker_traceback", "")) or [
        (frame["file"], frame["line"], frame["function"]) for frame in data.get("frames", ())
    ]
    if not frames:
        return ""
    file, line, function = next((frame for frame in reversed(frames) if not _is_installed(frame[0])), frames[-1])
    return f"{os.path.basename(file)}:{line} in {function}"


def _is_installed(file: str) -> bool:
    """Whether code is of Python, of a package, or of this library."""
    return file.startswith(("<frozen ", _STANDARD, _LIBRARY)) or "site-packages" in file
