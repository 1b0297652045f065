"""How a worker process comes to be, and how its end is told.

Three ways: forked by a fork server (the default: 3 ms a worker, and the caller, which may have threads, is never
forked), spawned as a new interpreter, or forked from the caller, for who knows that it is safe.
"""

from __future__ import annotations

import atexit
import errno
import os
import subprocess
import sys
import threading
from contextvars import Context
from io import FileIO
from typing import NamedTuple

from cotality.parallel._backends.forks import StartMethod, in_forked_children
from cotality.parallel._backends.processes import lifeline, server, worker
from cotality.parallel._backends.processes.channel import Channel, ChannelClosed, Frame
from cotality.parallel._backends.processes.descriptors import connected_sockets, own
from cotality.parallel._held import Held

_START = (
    "import sys; sys.path[:] = sys.argv[1:]; del sys.argv[1:];"
    "from cotality.parallel._backends.processes.{module} import main; main(*{fds})"
)


class Process(NamedTuple):
    """A worker process as the system knows it."""

    pid: int
    pidfd: FileIO | None
    """Becomes readable when the process has ended; None where the system has none."""
    method: StartMethod


def start(method: StartMethod, channel_fd: int, board_fd: int) -> Process:
    """Start a worker; the descriptors stay the caller's.

    Raises:
        OSError: no process, descriptor or memory is left.
    """
    if method == "forkserver":
        return _server.fork(channel_fd, board_fd)
    if method == "spawn":
        pid = _spawn("worker", channel_fd, board_fd, lifeline.read_end())
    else:
        with own(os.dup, lifeline.read_end()) as keep:
            pid = os.fork()
            if pid == 0:
                _become_worker(channel_fd, board_fd, keep.fileno())
    return Process(pid, _pidfd(pid), method)


def _become_worker(channel_fd: int, board_fd: int, lifeline_fd: int) -> None:
    _forget_what_ends_with_the_caller()
    try:
        # Not in the caller's context: of a task that forks it, this is no part.
        Context().run(worker.main, os.dup(channel_fd), os.dup(board_fd), lifeline_fd)
    finally:
        os._exit(1)


def _forget_what_ends_with_the_caller() -> None:
    """The exit functions that a fork has brought along are the caller's to run, and so are its children to wait for."""
    atexit._clear()
    if "multiprocessing.util" in sys.modules:
        from multiprocessing import process, util

        process._children = set()  # type: ignore[attr-defined]
        util._finalizer_registry.clear()  # type: ignore[attr-defined]
        atexit.register(util._exit_function)  # type: ignore[attr-defined]


def _pidfd(pid: int) -> FileIO | None:
    try:
        return own(os.pidfd_open, pid) if hasattr(os, "pidfd_open") else None
    except OSError as error:
        # A sandbox may refuse what the system has.
        if error.errno in (errno.ENOSYS, errno.EPERM):
            return None
        raise


def _spawn(module: str, *fds: int) -> int:
    """A fresh interpreter that runs ``main`` of one of our modules with these descriptors; gives its process id."""
    code = _START.format(module=module, fds=fds)
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    process = subprocess.Popen([sys.executable, *flags, "-c", code, *sys.path], pass_fds=fds, stdin=subprocess.DEVNULL)
    # We wait for it ourselves; the object would warn that it is still running when it is collected.
    process.returncode = 0
    return process.pid


def exit_code(process: Process) -> int | None:
    """How a process that has ended did: its code, or minus the number of a signal; None where nobody knows."""
    if process.method == "forkserver":
        return _server.status(process.pid)
    try:
        _pid, status = os.waitpid(process.pid, 0)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status)


class _ForkServer:
    """This process's fork server, started when it is first needed and again should it have died."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._control: Channel | None = None
        self._pid = 0

    def fork(self, channel_fd: int, board_fd: int) -> Process:
        if self._is_asking():
            raise OSError(errno.EBUSY, "a signal handler can not start a worker while its thread starts one")
        question = (server.FORK, b"", channel_fd), (server.FORK, b"", board_fd)
        with Held(self._lock):
            try:
                frame = self._ask(*question)
            except ChannelClosed:
                # It has been killed, perhaps: a new one.
                try:
                    frame = self._ask(*question)
                except ChannelClosed:
                    raise OSError(errno.ECHILD, "the fork server ends as soon as it is started") from None
        number, _ = server.NUMBERS.unpack(frame.payload)
        if frame.kind == server.REFUSED:
            raise OSError(number, f"no worker could be started: {os.strerror(number)}")
        return Process(number, frame.file, "forkserver")

    def _is_asking(self) -> bool:
        """Whether this thread waits for an answer: it is a signal handler that asks, and would take it for its own."""
        return self._lock._is_owned()  # type: ignore[attr-defined, no-any-return]

    def status(self, pid: int) -> int | None:
        if self._is_asking():
            return None
        with Held(self._lock):
            if self._control is None:
                return None
            try:
                frame = self._ask((server.STATUS, server.NUMBERS.pack(pid, 0), -1))
            except ChannelClosed:
                return None
        return int(server.NUMBERS.unpack(frame.payload)[1]) if frame.kind == server.STATUS else None

    def _ask(self, *frames: tuple[int, bytes, int]) -> Frame:
        """Send a question and wait for its answer."""
        try:
            control = self._control or self._start()
            for kind, payload, fd in frames:
                control.send(kind, payload, fd)
            return control.receive_one()
        except BaseException:
            # After a Ctrl-C in between, for example, the answer would be taken for that to the next question.
            self._drop()
            raise

    def _start(self) -> Channel:
        ours, theirs = connected_sockets()
        try:
            self._pid = _spawn("server", theirs.fileno(), lifeline.read_end())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._control = Channel(ours)
        return self._control

    def _drop(self) -> None:
        control, self._control = self._control, None
        if control is not None:
            control.close()
            try:
                os.waitpid(self._pid, 0)
            except ChildProcessError:
                pass

    def stop(self) -> None:
        """End the server; its workers must be gone."""
        with Held(self._lock):
            self._drop()

    def forget(self) -> None:
        """In a forked child: the server is the parent's."""
        self._lock = threading.RLock()
        if self._control is not None:
            self._control.close()
            self._control = None


_server = _ForkServer()
stop_server = _server.stop
in_forked_children(_server.forget)
