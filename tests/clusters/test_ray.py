"""Ray: where results are, and what happens when a worker fails."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cotality.parallel import RayPool, RetryPolicy, Task, run
from cotality.parallel.errors import TaskTimeout, TransferError, WorkerDied
from cotality.workflow import Workflow
from tests.clusters.functions import Noting, make, note_and_die_once, said, size_of, speak_and_die, weigh
from tests.clusters.local import MISSING
from tests.contract.functions import double, note, wait

pytest.importorskip("ray", reason=f"ray {MISSING}")


def test_what_only_tasks_need_never_comes_to_the_caller(ray: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    flow = Workflow(backend=ray)
    nodes = [flow.add(weigh(make(str(path)).output)) for _ in range(6)]
    found = flow.run()
    assert [found[node] for node in nodes] == [200_000] * 6
    assert str(os.getpid()) not in path.read_text().split()
    assert str(found.outcome(nodes[0]).worker).startswith("ray worker ")


def test_a_large_argument_is_put_once(ray: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    shared = Noting(str(path), 2_000_000)
    tasks = [Task(size_of, {"value": shared, "number": n}) for n in range(10)]
    assert run(tasks, backend=ray) == [2_000_000 + n for n in range(10)]
    assert Counter(line.split()[0] for line in path.read_text().splitlines())["written"] == 1


def test_what_a_batch_needs_is_passed_on(ray: Any) -> None:
    pool = RayPool(num_cpus=2, runtime_env={"env_vars": {"COLOUR": "blue"}})
    assert run([Task(os.getenv, {}, positional=("COLOUR",))], backend=pool) == ["blue"]
    assert pool.open(None).workers == 1


def test_a_worker_that_is_killed_fails_what_it_had_and_nothing_runs_twice(ray: Any, tmp_path: Path) -> None:
    path = tmp_path / "starts"
    tasks: list[Task[Any]] = [Task(note, {"path": str(path), "line": str(n)}) for n in range(100)]
    tasks[5] = Task(note_and_die_once, {"path": str(tmp_path / "died"), "name": "x"})
    results = run(tasks, backend=ray, return_exceptions=True)
    died = [index for index, result in enumerate(results) if isinstance(result, WorkerDied)]
    assert 5 in died
    assert "the worker of Ray ended" in str(results[5])
    assert all(results[n] == str(n) for n in range(100) if n not in died)
    assert max(Counter(path.read_text().splitlines()).values()) == 1
    assert (tmp_path / "died").read_text() == "x\n"


def test_what_a_task_has_said_before_its_worker_dies_is_heard(ray: Any, caplog: pytest.LogCaptureFixture) -> None:
    (error,) = run([Task(speak_and_die, {"times": 50})], backend=ray, return_exceptions=True)
    assert isinstance(error, WorkerDied)
    assert said(caplog) == [f"last words {n}" for n in range(50)]


def test_a_killed_task_is_tried_again_when_asked(ray: Any, tmp_path: Path) -> None:
    task = Task(note_and_die_once, {"path": str(tmp_path / "died"), "name": "again"})
    assert run([task], backend=ray, retries=RetryPolicy(attempts=2, on=WorkerDied, wait=0)) == ["again"]


def test_a_timeout_ends_the_worker_and_its_place_is_free(ray: Any) -> None:
    tasks: list[Task[Any]] = [Task(wait, {"seconds": 60}) for _ in range(2)]
    tasks += [Task(double, {"x": n}) for n in range(4)]
    started = time.monotonic()
    *late, a, b, c, d = run(tasks, backend=ray, timeout=1.0, return_exceptions=True)
    assert time.monotonic() - started < 30
    assert [type(error) for error in late] == [TaskTimeout] * 2
    assert [a, b, c, d] == [0, 2, 4, 6]


def test_a_timeout_that_comes_as_its_task_ends_concerns_no_other_task(ray: Any) -> None:
    seconds = [0.03, 0.045, 0.049, 0.05, 0.055, 0.08] * 5
    tasks: list[Task[Any]] = [Task(wait, {"seconds": each, "value": n}) for n, each in enumerate(seconds)]
    results = run(tasks, backend=ray, timeout=0.05, return_exceptions=True)
    late = [n for n, result in enumerate(results) if isinstance(result, TaskTimeout)]
    assert late
    assert [result for n, result in enumerate(results) if n not in late] == [n for n in range(30) if n not in late]


def test_what_workers_can_not_import_is_told_with_the_cure(
    ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of_the_caller_alone.py").write_text("class Point:\n    pass\n\ndef triple(x):\n    return 3 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    import of_the_caller_alone  # type: ignore[import-not-found]

    assert run([Task(of_the_caller_alone.triple, {"x": 5})], backend=ray) == [15]
    (error,) = run([Task(double, {"x": of_the_caller_alone.Point()})], backend=ray, return_exceptions=True)
    assert isinstance(error, TransferError)
    assert "upload" in "".join(error.__notes__)


def test_timeouts_hold_when_the_actor_has_died_that_knows_what_has_begun(ray: Any) -> None:
    import ray as library

    from cotality.parallel._backends.ray import carrier

    assert run([Task(double, {"x": 1})], backend=ray, timeout=20) == [2]
    library.kill(carrier._bell(*carrier._session()))
    stuck, *others = run(
        [Task(wait, {"seconds": 60}), *(Task(double, {"x": n}) for n in range(4))],
        backend=ray,
        timeout=1.0,
        return_exceptions=True,
    )
    assert isinstance(stuck, TaskTimeout)
    assert others == [0, 2, 4, 6]
    # And the next run has another one.
    assert run([Task(double, {"x": 1})], backend=ray, timeout=20) == [2]


def test_a_program_may_connect_once_more() -> None:
    program = """
        import ray
        from cotality.parallel import Task, run
        for n in range(2):
            ray.init(num_cpus=1, include_dashboard=False, log_to_driver=n == 1, logging_level="CRITICAL")
            run([Task(print, {}, positional=("printed", n))], backend="ray")
            print(*run([Task(pow, {}, positional=(2, n))], backend="ray", timeout=30), flush=True)
            ray.shutdown()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    # Where Ray shows what is printed, which it does in its own way and time, nobody else does.
    shown = [line for line in ended.stdout.splitlines() if "pid=" not in line]
    assert (ended.returncode, shown) == (0, ["printed 0", "1", "2"])
