"""Counting processors."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cotality.parallel._backends import cpus


def test_affinity_bounds_the_count() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert cpus.cpu_count() == 1
        assert cpus.process_width() == 1
        assert cpus.thread_width() == 5
    finally:
        os.sched_setaffinity(0, allowed)


def test_every_level_of_a_control_group_binds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "outer" / "cpu.max").write_text("150000 100000\n")
    (inner / "cpu.max").write_text("max 100000\n")
    monkeypatch.setattr(cpus, "CGROUP_ROOT", str(tmp_path))
    assert cpus._bounds("", "/outer/inner") == [2]


def test_a_nested_call_gets_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpus, "cpu_count", lambda: 8)
    token = cpus.enclosing_width.set(lambda: 4)
    try:
        assert cpus.process_width() == 2
        assert cpus.thread_width() == 3
    finally:
        cpus.enclosing_width.reset(token)


def test_where_threads_compute_there_are_as_many_as_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    from cotality.core.utils.process import should_use_processes

    monkeypatch.setenv("PYTHON_CPU_COUNT", "100")
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True, raising=False)
    assert (cpus.thread_width(), should_use_processes("cpu")) == (32, True)
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert (cpus.thread_width(), should_use_processes("cpu")) == (100, False)
