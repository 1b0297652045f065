"""Whether this process is a worker of a pool."""

from __future__ import annotations

_in_worker = False


def in_worker() -> bool:
    """Whether it is one."""
    return _in_worker


def become_worker() -> None:
    """It is one from now on."""
    global _in_worker
    _in_worker = True
