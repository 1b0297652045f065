"""What the tasks of the contract suite call; in a module of its own, as a program's functions are."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, NoReturn


def double(x: Any) -> Any:
    return x * 2


def give(value: Any) -> Any:
    return value


def names_of(**values: Any) -> list[str]:
    return [*values]


def wait(seconds: float, value: Any = None) -> Any:
    time.sleep(seconds)
    return value


def fail(message: str) -> NoReturn:
    raise ValueError(message)


def fail_if_odd(x: int) -> int:
    if x % 2:
        raise ValueError(x)
    return x


def note(path: str, line: str) -> str:
    """Append a line to a file, in one write: that is how a test learns from outside what has started."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{line}\n".encode())
    os.close(fd)
    return line


def note_and_fail_until(path: str, attempts: int) -> int:
    """Fail until called so many times."""
    note(path, "attempt")
    made = len(Path(path).read_text().splitlines())
    if made < attempts:
        raise ConnectionError(f"attempt {made}")
    return made


def note_and_wait_for(path: str, line: str, other: str, seconds: float) -> bool:
    """Say that we run, then wait until another task says so too."""
    note(path, line)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if other in Path(path).read_text().splitlines():
            return True
        time.sleep(0.002)
    return False


def note_and_look_for(path: str, others: list[str], seconds: float) -> list[str]:
    """Say that we run, then wait for one after the other; those that others have said in time."""
    note(path, "running")
    until = time.monotonic() + seconds
    seen: list[str] = []
    while len(seen) < len(others) and time.monotonic() < until:
        if others[len(seen)] in Path(path).read_text().splitlines():
            seen.append(others[len(seen)])
        time.sleep(0.002)
    return seen


def note_then_wait(path: str, seconds: float) -> None:
    """Be called, and then outlast any timeout."""
    note(path, "attempt")
    time.sleep(seconds)


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it is dead")
