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
    """Make a call again and again: what it holds must not become more.

    It may hold less for once: a worker that was busy when the call ended was let go, and is started anew by the next.
    """

    def call_and_settle() -> dict[str, int]:
        call()
        # A thread needs a moment to park, and a worker that was let go to be reaped.
        time.sleep(0.02)
        return held()

    before, after = ([call_and_settle() for _ in range(calls)] for _half in range(2))
    for what in held():
        series = [each[what] for each in before + after]
        assert max(series[calls:]) <= max(series[:calls]), f"{what} grew: {series}"


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
