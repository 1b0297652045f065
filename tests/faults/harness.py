"""Runs a small program in an interpreter of its own, under a deadline, and sees that it leaves nothing behind."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

DEADLINE_SECONDS = 20.0
GONE_SECONDS = 5.0
"""How long after a program's end what it has started may live on."""
MARKER = "COTALITY_FAULT_TEST"
NOT_OF_PROGRAMS = ("cotality-tests-", "joblib_memmapping_folder_", "sem.loky-")
"""How the names of files in shared memory begin that tests, and not their programs, put there: also by joblib."""

HEADER = """\
import os, signal, sys, threading, time
from cotality.core.utils.process import (
    Task,
    execute_tasks_in_parallel as execute,
    execute_tasks_in_parallel_streaming as streaming,
    execute_tasks_in_parallel_unordered as unordered,
)
from cotality.parallel import errors
import meters
from meters import equal, raised, told
BACKEND = os.environ.get("BACKEND", "threads")
"""

FOOTER = """
if __name__ == "__main__":
    main()
    print("the end")
"""


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float


class Program:
    """A script that runs in a session of its own.

    Parameters:
        folder: Where its files are written, and where it runs.
        body: Defines ``main``; the usual imports come before it and the guarded call behind it.
        whole: ``body`` is the script as it is.
        modules: Further modules beside it, by name.
        backend: What the script finds as ``BACKEND``.
        command: How to run it; the script's path is appended unless ``stdin`` has it.
        deadline: Seconds until it is killed and the test fails.
        popen: Further options of ``subprocess.Popen``.
    """

    def __init__(
        self,
        folder: Path,
        body: str,
        *,
        whole: bool = False,
        modules: Mapping[str, str] | None = None,
        backend: str = "threads",
        command: Sequence[str] = (sys.executable,),
        environment: Mapping[str, str] | None = None,
        through_stdin: bool = False,
        deadline: float = DEADLINE_SECONDS,
        **popen: Any,
    ) -> None:
        source = dedent(body) if whole else HEADER + dedent(body) + FOOTER
        script = folder / "program.py"
        script.write_text(source)
        (folder / "meters.py").write_text((Path(__file__).parent / "meters.py").read_text())
        for name, content in (modules or {}).items():
            (folder / f"{name}.py").write_text(dedent(content))
        self._marker = f"{MARKER}={uuid.uuid4().hex}"
        self._shared_memory = _shared_memory()
        self._stderr = folder / "stderr"
        self._out = b""
        self._began = time.monotonic()
        self._until = self._began + deadline
        variables = {**os.environ, **(environment or {}), "BACKEND": backend}
        if "PYTHONPATH" not in (environment or {}):
            inherited = os.environ.get("PYTHONPATH")
            variables["PYTHONPATH"] = os.pathsep.join([str(folder), *([inherited] if inherited else [])])
        # Unbuffered, one print is two writes.
        variables.pop("PYTHONUNBUFFERED", None)
        variables[MARKER] = self._marker.partition("=")[2]
        with self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*command] if through_stdin else [*command, str(script)],
                stdin=script.open("rb") if through_stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=folder,
                env=variables,
                start_new_session=True,
                **popen,
            )
        self._pidfd = os.pidfd_open(self.process.pid)

    def wait_for(self, line: str) -> None:
        """Wait until the program has printed this line."""
        self._read_until(lambda: line in self.stdout.splitlines(), f"before it printed {line!r}")

    def interrupt(self, number: int = signal.SIGINT, *, group: bool = False) -> None:
        """Send a signal to the program, or as a terminal does to its whole process group, once it waits."""
        await_rest(self.process.pid)
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    @property
    def seconds(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self._began

    def survivors(self) -> dict[int, str]:
        """The processes that it has started, itself included, and their command lines."""
        return _marked(self._marker)

    def finish(self, *, code: int | None = 0, stderr: str = "", end: bool = True) -> Ended:
        """Wait for its end and check what it left.

        Parameters:
            code: The exit code it must have; None: any.
            stderr: A pattern that the whole of stderr must match; by default there must be none.
            end: Whether it must have come to the end of ``main``.
        """
        self._read_until(lambda: False, "")
        seconds = self.seconds
        found = self.process.wait()
        os.close(self._pidfd)
        told = self._told()
        left = self._left()
        assert code is None or found == code, f"exit code {found} instead of {code}\n{told}"
        assert not left, f"left behind after {GONE_SECONDS:g} s: {left}\n{told}"
        assert re.fullmatch(stderr, self.stderr, re.DOTALL), f"stderr does not match {stderr!r}\n{told}"
        assert not end or self.stdout.endswith("the end\n"), f"did not come to its end\n{told}"
        return Ended(found, self.stdout, self.stderr, seconds)

    @property
    def stdout(self) -> str:
        return self._out.decode(errors="replace")

    @property
    def stderr(self) -> str:
        return self._stderr.read_text(errors="replace")

    def kill(self) -> None:
        """End whatever is left of it."""
        for pid in self.survivors():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.process.stdout.close()  # type: ignore[union-attr]

    def _read_until(self, enough: Callable[[], bool], what: str) -> None:
        """Read stdout until that, or, when it is never enough, until the program has ended."""
        stdout = self.process.stdout
        assert stdout is not None
        watched: list[Any] = [stdout, self._pidfd]
        while not enough():
            ready, _, _ = select.select(watched, [], [], max(0.0, self._until - time.monotonic()))
            if not ready:
                tree = self.survivors()
                raise AssertionError(f"not over after {self.seconds:.1f} s {what}: {tree}\n{self._told()}")
            if stdout in ready:
                data = os.read(stdout.fileno(), 1 << 16)
                self._out += data
                if not data:
                    watched.remove(stdout)
            elif self._pidfd in ready:
                assert not what, f"ended {what}\n{self._told()}"
                return

    def _left(self) -> list[str]:
        """What is still there of the program after the grace."""
        until = time.monotonic() + GONE_SECONDS
        while alive := self.survivors():
            if time.monotonic() >= until:
                return [f"process {pid}: {command}" for pid, command in alive.items()]
            for pid in alive:
                _await_end(pid, until)
        # What a living process has mapped is that other program's: all of ours are gone.
        while new := _shared_memory() - self._shared_memory - _mapped_shared_memory():
            if time.monotonic() >= until:
                return [f"/dev/shm/{name}" for name in new]
            time.sleep(0.05)
        return []

    def _told(self) -> str:
        return f"--- stdout\n{self.stdout[-4000:]}\n--- stderr\n{self.stderr[-6000:]}"


def await_rest(pid: int) -> None:
    """Wait until the main thread of a process waits. A signal that comes between the last look of its interpreter and
    the system call that waits is heard only when that call is over."""
    while Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("R"):
        time.sleep(0.001)


def _await_end(pid: int, until: float) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([pidfd], [], [], max(0.0, until - time.monotonic()))
    finally:
        os.close(pidfd)


def _marked(marker: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if marker.encode() in Path(entry.path, "environ").read_bytes().split(b"\0"):
                    command = Path(entry.path, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found[int(entry.name)] = command[:200]
            except OSError:
                continue
    return found


def _mapped_shared_memory() -> set[str]:
    """The entries of /dev/shm that some process has mapped."""
    found: set[str] = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            found.update(re.findall(r"/dev/shm/(\S+)", maps.read_text()))
        except OSError:
            continue
    return found


def _shared_memory() -> set[str]:
    found = os.listdir("/dev/shm") if os.path.isdir("/dev/shm") else []
    return {name for name in found if not name.startswith(NOT_OF_PROGRAMS)}


Start = Callable[..., Program]
Run = Callable[..., Ended]
"""The fixtures ``start`` and ``run``; their parameters are those of ``Program`` and ``Program.finish``."""
