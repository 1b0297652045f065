"""The two ways in which the fault tests run a program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import Ended, Program, Run, Start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a program and go on while it runs."""
    started: list[Program] = []

    def start(body: str, **options: Any) -> Program:
        program = Program(tmp_path, body, **options)
        started.append(program)
        return program

    yield start
    for program in started:
        program.kill()


@pytest.fixture
def run(start: Start) -> Run:
    """Run a program to its end."""

    def run(body: str, *, code: int | None = 0, stderr: str = "", end: bool = True, **options: Any) -> Ended:
        return start(body, **options).finish(code=code, stderr=stderr, end=end)

    return run
