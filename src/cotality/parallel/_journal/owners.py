"""Which process has claimed something, and whether it is still there."""

from __future__ import annotations

import os


def mark_of(pid: int) -> str:
    """A process in two words: its number, which may be another one's later, and when it was started."""
    return f"{pid} {_started(pid)}"


def lives(mark: str) -> bool:
    """Whether the process of a mark is still there, and is the same one where the mark says when that was started."""
    pid, _, started = mark.partition(" ")
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except (ValueError, OverflowError):
        return False
    return started in ("", _started(int(pid)))


def _started(pid: int) -> str:
    """When a process was started; a word that is the same where that is not known."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "-"
