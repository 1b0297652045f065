"""What the tasks of a soak do, and the ledger in which each start is written down."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

from cotality.parallel import Task, run

HANG_SECONDS = 60


class Ledger:
    """A file to which every attempt adds a line when it starts, in whatever process: who it is and where it runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"")

    def enter(self, index: int) -> None:
        """An attempt of this task starts here."""
        # One write that appends is whole, whoever else writes.
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, f"{index} {os.getpid()}\n".encode())
        finally:
            os.close(file)

    def _lines(self) -> list[list[int]]:
        return [[int(word) for word in line.split()] for line in self.path.read_text().splitlines()]

    def starts(self) -> Counter[int]:
        """How often each task has started."""
        return Counter(index for index, _pid in self._lines())

    def last_pid(self) -> int | None:
        """Where the last one has started."""
        lines = self._lines()
        return lines[-1][1] if lines else None


def act(ledger: Ledger, index: int, kind: str) -> int:
    """Start, and then do what this kind of task does."""
    ledger.enter(index)
    if kind == "raise":
        raise ValueError(f"task {index}")
    if kind == "exit":
        os._exit(3)
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        time.sleep(HANG_SECONDS)
    if kind == "short":
        time.sleep(0.002)
    if kind.startswith("nested"):
        tasks = [Task(square, {"number": number}) for number in range(index % 7)]
        run(tasks, backend="processes" if kind == "nested processes" else "threads", max_workers=2)
    return square(index)


def square(number: int) -> int:
    return number * number
