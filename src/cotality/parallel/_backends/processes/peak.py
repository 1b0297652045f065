"""How much memory a process has had."""

from __future__ import annotations


def peak_of(pid: int) -> int:
    """The most bytes that were resident since the process began its program; 0 where the system does not tell."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            _before, found, behind = file.read().partition(b"VmHWM:")
    except OSError:
        return 0
    return 1024 * int(behind.split(None, 1)[0]) if found else 0
