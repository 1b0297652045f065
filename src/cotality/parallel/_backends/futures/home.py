"""Where a batch comes from and where it runs: which interpreter of which machine, and where that prints."""

from __future__ import annotations

import os
import platform
from typing import Final, NamedTuple

_TOKEN: Final = os.urandom(8)
"""Interpreters of one process have one each."""


class Home(NamedTuple):
    """One end of a future; made of what marshal writes.

    Parameters:
        interpreter: Process and token.
        machine: Which clock and which files these are.
        stdout, stderr: Which file that is; None: it is closed, or nobody has to know.
    """

    interpreter: tuple[int, bytes]
    machine: str
    stdout: tuple[int, int] | None
    stderr: tuple[int, int] | None


def _machine() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read()
    except OSError:
        return platform.node()


MACHINE: Final = _machine()
"""Which clock this is."""


def home() -> Home:
    """This end."""
    return Home((os.getpid(), _TOKEN), MACHINE, _file(1), _file(2))


def _file(descriptor: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino
