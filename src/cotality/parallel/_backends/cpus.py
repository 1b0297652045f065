"""How many processors this process may really use, and how many workers that makes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache

enclosing_width: ContextVar[Callable[[], int]] = ContextVar("enclosing_width", default=lambda: 1)
"""Among how many the machine is divided where we are: the workers at work in the call that this one is made in."""

CGROUP_ROOT = "/sys/fs/cgroup"


def cpu_count() -> int:
    """The processors this process may use: by its affinity and by the quota of its container, at least 1."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:
        allowed = os.cpu_count() or 1
    override = os.environ.get("PYTHON_CPU_COUNT", "")
    if override.isdigit() and int(override) > 0:
        return int(override)
    return max(1, min(allowed, _quota() or allowed))


@cache
def _quota() -> int | None:
    """The processors the control group grants, rounded up; None where there is no bound."""
    try:
        groups = _read("/proc/self/cgroup").splitlines()
    except OSError:
        return None
    bounds = [bound for group in groups for bound in _bounds(*group.split(":", 2)[1:])]
    return min(bounds, default=None)


def _bounds(controllers: str, path: str) -> list[int]:
    """What the levels of one hierarchy grant, from the group up to the root: each of them binds."""
    version_2 = not controllers
    if not version_2 and "cpu" not in controllers.split(","):
        return []
    root = CGROUP_ROOT if version_2 else f"{CGROUP_ROOT}/cpu"
    steps = [step for step in path.split("/") if step]
    found = []
    for depth in range(len(steps), -1, -1):
        level = "/".join((root, *steps[:depth]))
        try:
            if version_2:
                quota, period = _read(f"{level}/cpu.max").split()
            else:
                quota, period = _read(f"{level}/cpu.cfs_quota_us").strip(), _read(f"{level}/cpu.cfs_period_us")
            if quota not in ("max", "-1"):
                found.append(-(-int(quota) // int(period)))
        except (OSError, ValueError):
            continue
    return found


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def threads_compute() -> bool:
    """Whether threads compute at the same time: this is a free-threaded build, and its lock is off."""
    return not getattr(sys, "_is_gil_enabled", lambda: True)()


def thread_width() -> int:
    """How many threads a run has when nobody says: ``min(32, cpus + 4)``, shared among nested calls; no fewer than
    there are processors where threads compute at the same time."""
    width = min(32, cpu_count() + 4)
    return max(1, (max(width, cpu_count()) if threads_compute() else width) // enclosing_width.get()())


def process_width() -> int:
    """How many processes a run has when nobody says, and the most a nested call has: its share of ``cpus``."""
    return max(1, cpu_count() // enclosing_width.get()())


def narrowed(own: int | None, wanted: int | None) -> int | None:
    """How many workers a run has of a pool that has so many: as many as it wants, and no more; None: as usual."""
    return min(filter(None, (own, wanted)), default=None)
