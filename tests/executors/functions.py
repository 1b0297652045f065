"""What the tests of executors have workers run."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from cotality.parallel import ProcessExecutor, worker_state


def same(value: Any) -> Any:
    return value


def fail(error: BaseException) -> Any:
    raise error


def die(number: int = signal.SIGKILL) -> None:
    os.kill(os.getpid(), number)


def wait_for(path: str) -> str:
    """Run until a file is there."""
    while not Path(path).exists():
        time.sleep(0.005)
    return path


def tell_and_wait(started: str, go_on: str) -> str:
    Path(started).touch()
    return wait_for(go_on)


def count_at_once(folder: str, name: str) -> int:
    """How many calls run at once, this one included, as far as it sees in a while."""
    mine = Path(folder, name)
    mine.touch()
    most = 0
    for _ in range(10):
        most = max(most, len(os.listdir(folder)))
        time.sleep(0.005)
    mine.unlink()
    return most


def refuse() -> None:
    raise ValueError("no")


def take(queue: Any, prefix: str) -> None:
    """An initializer that gets something out of a queue."""
    worker_state()["token"] = prefix + queue.get(timeout=20)


def token() -> str:
    return str(worker_state()["token"])


def count_calls() -> tuple[int, int]:
    state = worker_state()
    state["calls"] = state.get("calls", 0) + 1
    return os.getpid(), state["calls"]


def allocate(size: int) -> int:
    return len(bytearray(size))


def nested(depth: int) -> int:
    """An executor inside of a worker of another one."""
    if not depth:
        return 1
    with ProcessExecutor(1) as executor:
        return 1 + executor.submit(nested, depth - 1).result()


class Unloadable:
    """Can be pickled and not loaded."""

    def __reduce__(self) -> Any:
        return fail, (ValueError("not to be loaded"),)


def make_unloadable() -> Unloadable:
    return Unloadable()


class Method:
    def method(self) -> int:
        return 1
