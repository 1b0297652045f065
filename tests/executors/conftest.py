"""What the tests of executors share."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SETTLE_SECONDS = 5
LASTING = ("processes.server", "resource_tracker", "multiprocessing.forkserver")
"""What stays for the next call: the fork server, and processes of ``multiprocessing``."""


def descendants(pid: int) -> set[int]:
    """The processes that descend from this one, but for those that are meant to last."""
    found: set[int] = set()
    try:
        children = {
            int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()
        }
    except OSError:
        return found
    for child in children:
        try:
            command = Path(f"/proc/{child}/cmdline").read_text()
        except OSError:
            continue
        if not any(name in command for name in LASTING):
            found.add(child)
        found |= descendants(child)
    return found


@pytest.fixture
def no_survivors() -> Iterator[None]:
    """No process that a test has brought about outlives it."""
    before = descendants(os.getpid())
    yield
    until = time.monotonic() + SETTLE_SECONDS
    while (left := descendants(os.getpid()) - before) and time.monotonic() < until:
        time.sleep(0.01)
    assert not left
