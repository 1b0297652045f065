"""Threads that can not hold up the end of the program, and how one is started in spite of a Ctrl-C."""

from __future__ import annotations

# What `signal` is made of: an enumeration for each answer costs ten times as much as the answer.
import _signal  # type: ignore[import-not-found]
import threading
from collections.abc import Callable
from types import FrameType


def start_daemon(duty: Callable[[], object], name: str) -> threading.Thread:
    """Start a daemon thread.

    ``Thread.start`` waits for the thread under a lock. An interrupt in the midst of that is lost, or comes out as a
    ``RuntimeError``, or leaves a thread that waits for ever: it is heard when the thread has started.

    Raises:
        RuntimeError: the system has no thread left.
    """
    thread = threading.Thread(target=duty, name=name, daemon=True)
    uninterrupted(thread.start)
    return thread


def uninterrupted(act: Callable[[], object]) -> None:
    """Do what must not be left halfway, and is short: a Ctrl-C that comes meanwhile is heard when it is done."""
    handler = _signal.getsignal(_signal.SIGINT)
    if handler is None or threading.current_thread() is not threading.main_thread():
        act()
        return
    came: list[tuple[int, FrameType | None]] = []
    try:
        _signal.signal(_signal.SIGINT, lambda number, frame: came.append((number, frame)))
    except ValueError:
        # The main thread of another interpreter hears none.
        act()
        return
    try:
        act()
    finally:
        _signal.signal(_signal.SIGINT, handler)
        if came and callable(handler):
            handler(*came[0])
        elif came:
            _signal.raise_signal(_signal.SIGINT)
