"""How the command line ends: its exit codes, and what is said where something can not be used."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

SUCCEEDED, FAILED, UNUSABLE, TIMED_OUT, CANCELLED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 130, 143


class Unusable(Exception):
    """What the user has given can not be used, and why."""


class Terminated(KeyboardInterrupt):
    """Somebody wants this process to end: a container that is stopped, a time limit. It ends as by Ctrl-C."""


@contextmanager
def terminable() -> Iterator[None]:
    """What runs within is ended by SIGTERM as by Ctrl-C, so that it can say how far it came.

    Raises:
        Terminated: SIGTERM came.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only that one is told of signals.
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: object) -> NoReturn:
    raise Terminated
