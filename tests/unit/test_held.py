"""A lock is free again after an interrupt, wherever that comes."""

from __future__ import annotations

import sys
import threading
from itertools import count
from types import FrameType
from typing import Any

from cotality.parallel import _held
from cotality.parallel._held import Held


class Steps:
    """Raises at one of the steps of the code that is looked at."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.seen = 0

    def trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename not in (__file__, _held.__file__) or frame.f_code.co_name == "__del__":
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            self.seen += 1
            if self.seen == self.at:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self.trace


def hold(lock: threading.RLock) -> None:
    with Held(lock):
        pass


def is_free(lock: threading.RLock) -> bool:
    """Whether another thread gets it."""
    got: list[bool] = []
    thread = threading.Thread(target=lambda: got.append(lock.acquire(blocking=False)))
    thread.start()
    thread.join()
    return got[0]


def is_interrupted(lock: threading.RLock, at: int) -> bool:
    """Hold it once, with an interrupt at one of the steps; False if there are fewer."""
    former = sys.gettrace()
    sys.settrace(Steps(at).trace)
    try:
        hold(lock)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(former)
    return False


def test_an_interrupt_between_any_two_steps_leaves_it_free() -> None:
    # Since Python 3.12 steps are told only where somebody has asked for them before.
    is_interrupted(threading.RLock(), 0)
    for at in count(1):
        lock = threading.RLock()
        was_interrupted = is_interrupted(lock, at)
        assert is_free(lock), at
        if not was_interrupted:
            assert at > 10
            break


def test_a_thread_may_hold_it_twice() -> None:
    # A collection of garbage may end an executor in a thread that is in there already.
    lock = threading.RLock()
    with Held(lock):
        hold(lock)
        assert not is_free(lock)
    assert is_free(lock)


def test_it_is_held_within_the_block() -> None:
    lock = threading.RLock()
    with Held(lock):
        assert not is_free(lock)
    assert is_free(lock)
