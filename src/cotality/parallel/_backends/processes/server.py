"""The fork server: a small single-threaded process that forks workers, so that the caller never has to.

It is asked over a channel and answers over the same. It reaps its workers and remembers how they ended until the
parent asks.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from struct import Struct

from cotality.parallel._backends.processes import lifeline, worker
from cotality.parallel._backends.processes.channel import Channel, ChannelClosed, Frame

FORK, STARTED, STATUS, REFUSED = range(4)
NUMBERS = Struct("=qq")


def main(control_fd: int, lifeline_fd: int) -> None:
    """Serve until the parent is gone."""
    lifeline_for_workers = os.dup(lifeline_fd)
    lifeline.hold_on_to(lifeline_fd)
    control = Channel(socket.socket(fileno=control_fd))
    try:
        _serve(control, control_fd, lifeline_for_workers)
    except ChannelClosed:
        # The parent is gone, or has given this server up in the middle of a question.
        pass
    finally:
        control.close()


def _serve(control: Channel, control_fd: int, lifeline_for_workers: int) -> None:
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    poll = select.poll()
    poll.register(control_fd, select.POLLIN)
    poll.register(wake_read, select.POLLIN)
    ended: dict[int, int] = {}
    given: list[Frame] = []
    while True:
        ready = [fd for fd, _event in poll.poll()]
        if wake_read in ready:
            os.read(wake_read, 4096)
        _reap(ended)
        if control_fd not in ready:
            continue
        for frame in control.receive():
            if frame.kind == STATUS:
                (pid, _) = NUMBERS.unpack(frame.payload)
                _answer_status(control, pid, ended)
                continue
            given.append(frame)
            if len(given) == 2:
                if not _fork(control):
                    for fd in (control_fd, wake_read, wake_write):
                        os.close(fd)
                    _become_worker(given, lifeline_for_workers)
                for each in given:
                    each.close()
                given.clear()


def _reap(ended: dict[int, int]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        ended[pid] = os.waitstatus_to_exitcode(status)


def _answer_status(control: Channel, pid: int, ended: dict[int, int]) -> None:
    if pid not in ended:
        # The parent has seen it end, so it does not wait long.
        try:
            ended[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:
            control.send(REFUSED)
            return
    control.send(STATUS, NUMBERS.pack(pid, ended.pop(pid)))


def _fork(control: Channel) -> bool:
    """Fork; True in the server, which has then answered, and False in the new worker."""
    try:
        pid = os.fork()
    except OSError as error:
        control.send(REFUSED, NUMBERS.pack(error.errno or 0, 0))
        pid = -1
    if pid == 0:
        return False
    if pid > 0:
        # Opened here, where the process can not be reaped in between: elsewhere its id could be another's by then.
        try:
            pidfd = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1
        except OSError:
            # A sandbox may refuse what the system has.
            pidfd = -1
        control.send(STARTED, NUMBERS.pack(pid, 0), pidfd)
        if pidfd >= 0:
            os.close(pidfd)
    return True


def _become_worker(given: list[Frame], lifeline_fd: int) -> None:
    channel_fd, board_fd = (os.dup(frame.fd) for frame in given)
    for frame in given:
        frame.close()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        worker.main(channel_fd, board_fd, lifeline_fd)
    finally:
        # The server's own frames below this one are not the worker's to run.
        sys.stderr.flush() if sys.stderr else None
        os._exit(1)
