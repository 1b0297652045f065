"""Coroutines that start runs, which have coroutines themselves."""

from __future__ import annotations

from typing import Any

import pytest

from cotality.parallel import Task, current_task, run


async def name_of_task() -> str:
    now = current_task()
    return "" if now is None else now.task


async def run_in_here(backends: list[str]) -> list[Any]:
    inner = Task(run_in_here, {"backends": backends[1:]}) if backends[1:] else Task(name_of_task, {})
    return run([inner], backend=backends[0])


@pytest.mark.parametrize("inner", ["asyncio", "serial", "threads"])
def test_a_coroutine_may_run_coroutines(inner: str) -> None:
    # Three of them within each other.
    assert run([Task(run_in_here, {"backends": [inner, inner]})], backend="asyncio") == [[["name_of_task"]]]
