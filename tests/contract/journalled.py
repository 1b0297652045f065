"""Tasks that say that they have started, in a file: so it is seen which ones run again."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from cotality.parallel import Task
from cotality.workflow import Outcome, task


def start(log: Path, what: str) -> None:
    """One line, written at once: several processes may do so."""
    with log.open("ab", buffering=0) as file:
        file.write(f"{what}\n".encode())


def starts(log: Path) -> list[str]:
    """What has started since somebody asked, in the order of the alphabet."""
    try:
        return sorted(log.read_text().splitlines())
    finally:
        log.unlink(missing_ok=True)
        log.touch()


def double(log: Path, number: int) -> int:
    start(log, f"double {number}")
    return 2 * number


def doubles(log: Path, count: int) -> list[Task[int]]:
    return [Task(double, {"log": log, "number": number}) for number in range(count)]


@task
def fetch(log: Path, number: int) -> list[int]:
    start(log, f"fetch {number}")
    return list(range(number))


@task
def total(log: Path, numbers: list[int]) -> int:
    start(log, "total")
    return sum(numbers)


@task
def nested(log: Path, numbers: list[list[int]]) -> int:
    start(log, "nested")
    return sum(map(sum, numbers))


@task
def fail_without(log: Path, flag: Path, number: int) -> int:
    start(log, f"fail_without {number}")
    if not flag.exists():
        raise ValueError("not yet")
    return number


@task
def judge(log: Path, outcomes: list[Outcome[int]]) -> str:
    start(log, "judge")
    return " ".join(outcome.state for outcome in outcomes)


@task(journal=False)
def listing(log: Path, folder: Path) -> list[str]:
    start(log, "listing")
    return sorted(os.listdir(folder))


@task
def count(log: Path, names: list[str]) -> int:
    start(log, "count")
    return len(names)


@task
def lock(log: Path) -> Any:
    start(log, "lock")
    return threading.Lock()


@task
def array(log: Path, size: int) -> Any:
    import numpy

    start(log, "array")
    return numpy.arange(size)


@task
def last(log: Path, numbers: Any) -> int:
    start(log, "last")
    return int(numbers[-1])
