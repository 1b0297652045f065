"""Lets a child process end with the one that it works for, whatever either of them is doing.

The parent holds the only write end of a pipe. When it ends, however it ends, the kernel closes that end and sends the
child a SIGKILL: also a child that is stuck in C code, where no thread of its own could act.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from io import FileIO

from cotality.parallel._backends.forks import in_forked_children
from cotality.parallel._backends.processes.descriptors import own_pipe
from cotality.parallel._held import Held

_ends: list[FileIO] | None = None
_lock = threading.RLock()


def read_end() -> int:
    """In the parent: the descriptor that its children are given."""
    global _ends
    with Held(_lock):
        if _ends is None:
            _ends = own_pipe()
    return _ends[0].fileno()


def let_go() -> None:
    """Children that are left end. In a forked child of the parent, which must not hold the write end open, only its own
    copy of that is closed."""
    global _ends, _lock
    _lock = threading.RLock()
    if _ends is not None:
        for end in _ends:
            end.close()
        _ends = None


in_forked_children(let_go)


def hold_on_to(fd: int) -> None:
    """In a child: end by SIGKILL when the parent has ended; takes the descriptor over."""
    if can_die_at_word():
        # Owner and signal belong to an open file, which forked siblings would share: open it anew.
        own = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK)
        os.close(fd)
        die_at_word(own)
    else:
        threading.Thread(target=_watch, args=(fd,), name="cotality-lifeline", daemon=True).start()


def can_die_at_word() -> bool:
    """Whether this system has what ``die_at_word`` needs."""
    import fcntl

    return hasattr(fcntl, "F_SETSIG")


def die_at_word(fd: int) -> None:
    """End by SIGKILL as soon as something comes there, or the other end is closed.

    Raises:
        OSError: a sandbox forbids it.
    """
    import fcntl

    fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    if poll.poll(0):
        # It has come before.
        os.kill(os.getpid(), signal.SIGKILL)


def live_on(fd: int) -> None:
    """What comes there from now on means nothing."""
    import fcntl

    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_ASYNC)


def _watch(fd: int) -> None:
    os.read(fd, 1)
    os._exit(0)
