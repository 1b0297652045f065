"""What the tests of clusters call; importable on their workers."""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np

from cotality.parallel import Task, run
from cotality.workflow import task
from tests.contract.functions import double, note, note_and_wait_for, wait


class Noting:
    """Notes each time that it is written or read as a pickle, and by which process."""

    def __init__(self, path: str, size: int = 200_000) -> None:
        self.path = path
        self.ballast = b"x" * size

    def __reduce__(self) -> Any:
        note(self.path, f"written {os.getpid()}")
        return read, (self.path, self.ballast)


def read(path: str, ballast: bytes) -> Noting:
    note(path, f"read {os.getpid()}")
    return Noting(path, len(ballast))


def size_of(value: Noting, number: int) -> int:
    return len(value.ballast) + number


@task
def make(path: str) -> Noting:
    return Noting(path)


@task
def weigh(value: Noting) -> int:
    return len(value.ballast)


@task
def zeros(count: int) -> np.ndarray[Any, Any]:
    return np.zeros(count)


@task
def more(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return values + 1


@task
def total(values: np.ndarray[Any, Any]) -> float:
    return float(values.sum())


def note_and_die_once(path: str, name: str) -> str:
    """Ends its process the first time."""
    seen = os.path.exists(path)
    note(path, name)
    if not seen:
        os.kill(os.getpid(), 9)
    return name


def note_pid_and_wait(path: str, seconds: float) -> None:
    note(path, str(os.getpid()))
    wait(seconds)


def speak_and_die(times: int) -> None:
    for n in range(times):
        logging.getLogger("tests.clusters").warning("last words %d", n)
    os.kill(os.getpid(), 9)


def speak_and_wait(path: str) -> bool:
    """Whether it was heard while it runs."""
    logging.getLogger("tests.clusters").warning("is anybody there?")
    return note_and_wait_for(path, "said", "heard", 20)


def said(caplog: Any) -> list[str]:
    """What was heard of these."""
    return [record.getMessage() for record in caplog.records if record.name == "tests.clusters"]


def nested(count: int) -> list[int]:
    return run([Task(double, {"x": n}) for n in range(count)], backend="dask")
