"""Plays a system that has nothing of POSIX, such as Windows, as far as this one can; and works there.

A program: what it takes away is not given back.
"""

from __future__ import annotations

import _socket
import asyncio
import importlib
import mmap
import os
import pkgutil
import select
import signal
import socket
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cotality.core.utils
import cotality.parallel
import cotality.workflow

PACKAGES: list[Any] = [cotality.core.utils, cotality.parallel, cotality.workflow]
EXTRAS = ("distributed", "joblib", "opentelemetry", "ray")
"""What need not be installed."""
MODULES = ("fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty")
NAMES: dict[Any, str] = {
    mmap: "MAP_PRIVATE MAP_SHARED PROT_READ PROT_WRITE",
    os: "O_ASYNC O_CLOEXEC O_DIRECTORY O_NOFOLLOW WNOHANG fchmod fork forkpty geteuid getpgid getsid getuid"
    " killpg memfd_create pidfd_open preadv register_at_fork sched_getaffinity set_blocking setsid sysconf",
    select: "epoll poll",
    signal: "SIGALRM SIGCHLD SIGHUP SIGKILL SIGUSR1 SIGUSR2 pthread_sigmask setitimer",
    socket: "AF_UNIX SCM_RIGHTS recv_fds send_fds",
}


def modules() -> list[str]:
    """All of ours that can be imported here, with what they import."""
    found = []
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".", onerror=lambda _name: None):
            if module.name.endswith("__main__"):
                continue
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                if str(error.name).split(".")[0] not in EXTRAS:
                    raise
            else:
                found.append(module.name)
    return found


def take_away() -> None:
    """From now on this system has nothing of POSIX, and nothing of ours is imported."""
    for name in [name for name in sys.modules if name.split(".")[0] == "cotality"]:
        del sys.modules[name]
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    for module, names in NAMES.items():
        for name in names.split():
            vars(module).pop(name, None)


def work() -> None:
    """What there is everywhere works, and what there is not says so."""
    from cotality.parallel import ProcessExecutor, Task, ThreadExecutor, run
    from cotality.parallel.errors import JournalError
    from cotality.workflow import Journal, Workflow, task

    tasks = [Task(abs, {}, positional=(-number,)) for number in range(20)]
    for backend in ("serial", "threads", "asyncio"):
        assert run(tasks, backend=backend) == list(range(20)), backend
    with ThreadPoolExecutor(2) as theirs:
        assert run(tasks, backend=theirs) == list(range(20))
    with ThreadExecutor(2) as executor:
        assert executor.submit(pow, 2, 3).result() == 8

    @task
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    flow = Workflow()
    last = flow.add(double(double(1).output))
    with tempfile.TemporaryDirectory() as folder:
        done = flow.run(progress=True)
        assert done[last] == 4
        done.report(Path(folder, "report.html"))
        assert Path(folder, "report.html").stat().st_size
        refuses(JournalError, lambda: flow.run(journal=Journal(Path(folder, "run.db"))))
    name, os.name = os.name, "nt"
    try:
        refuses(OSError, lambda: run(tasks, backend="processes"))
        refuses(OSError, lambda: ProcessExecutor(1))
    finally:
        os.name = name


def refuses(kind: type[Exception], call: Any) -> None:
    told = ""
    try:
        call()
    except kind as error:
        told = str(error)
    assert "POSIX" in told


def main() -> None:
    names = modules()
    take_away()
    for name in names:
        importlib.import_module(name)
    # The event loop of this system needs it; that of another one does not.
    socket.AF_UNIX = _socket.AF_UNIX
    work()
    print(len(names), "modules")


if __name__ == "__main__":
    main()
