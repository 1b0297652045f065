"""What a process holds, and whether that grows."""

from __future__ import annotations

import gc
import os
import statistics
import threading
import time
from collections.abc import Sequence
from pathlib import Path

MEMORY_SLACK = 1.1
"""How much more memory than in the beginning is still none: what the allocator keeps differs from round to round."""


def descendants(pid: int | None = None) -> set[int]:
    """The processes that descend from this one."""
    found: set[int] = set()
    for path in Path(f"/proc/{pid or os.getpid()}/task").glob("*/children"):
        try:
            children = {int(child) for child in path.read_text().split()}
        except OSError:
            continue
        found |= children.union(*map(descendants, children))
    return found


def reading() -> dict[str, float]:
    """What is held now, when what was dropped is gone."""
    gc.collect()
    # A thread needs a moment to park, and a worker that was let go to be reaped.
    time.sleep(0.02)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "MB": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        "descriptors": len(os.listdir("/proc/self/fd")) - 1,
        "threads": threading.active_count(),
        "processes": len(descendants()),
    }


def growth(readings: Sequence[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """What has grown: the most of the first third of all readings, and what was usual in the last."""
    third = max(1, len(readings) // 3)
    grown: dict[str, tuple[float, float]] = {}
    for what in readings[0]:
        before = max(found[what] for found in readings[:third])
        after = statistics.median(found[what] for found in readings[-third:])
        if after > before * (MEMORY_SLACK if what == "MB" else 1):
            grown[what] = before, after
    return grown
