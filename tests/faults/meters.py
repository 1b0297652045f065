"""For the programs under test: what a process holds at the moment, and short forms of common checks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd")) - 1


def processes() -> int:
    """How many processes carry the marker of this program, itself included."""
    marker = f"COTALITY_FAULT_TEST={os.environ['COTALITY_FAULT_TEST']}".encode()
    found = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                found += marker in Path(entry.path, "environ").read_bytes().split(b"\0")
            except OSError:
                continue
    return found


def held() -> dict[str, int]:
    """What must not grow from call to call."""
    return {"descriptors": descriptors(), "threads": threading.active_count(), "processes": processes()}


def no_growth(call: Callable[[], Any], *, calls: int = 6) -> None:
    """Make a call again and again: half of them must leave no more behind than the other half."""
    from cotality.parallel._backends.processes.pool import default_pool

    halves = []
    for _half in range(2):
        for _ in range(calls):
            call()
            # A thread needs a moment to park; another one would be started meanwhile.
            time.sleep(0.02)
        # Idle workers are kept on purpose, now more and now fewer: one that was busy when a call ended was let go.
        default_pool().close()
        halves.append(held())
    before, after = halves
    assert all(after[what] <= before[what] for what in before), f"grew from {before} to {after}"


def equal(found: object, expected: object) -> None:
    assert found == expected, f"found {found!r:.2000}, expected {expected!r:.2000}"


def raised(call: Callable[[], Any]) -> BaseException:
    """What a call raises; it is an error if it raises nothing."""
    try:
        result = call()
    except BaseException as error:
        return error
    raise AssertionError(f"nothing was raised: {result!r:.500}")


def told(error: BaseException) -> str:
    """What an error says, notes included."""
    return "\n".join([str(error), *getattr(error, "__notes__", ())])
