"""Failures, retries and timeouts."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cotality.core.utils.process import Task, execute_tasks_in_parallel, execute_tasks_in_parallel_streaming
from cotality.parallel import RetryPolicy
from cotality.parallel._data.outcome import state_of_error
from cotality.parallel.errors import RemoteError, TaskTimeout, TransferError
from cotality.parallel.foreseeing import capabilities_of
from cotality.workflow import Workflow, task
from tests.contract.functions import double, fail, fail_if_odd, note_and_fail_until, note_then_wait, wait
from tests.contract.lasting import lasting, patience


def test_the_error_is_raised_as_itself_and_names_the_task(backend: Any) -> None:
    tasks = [Task(double, {"x": 1}), Task(fail, {"message": "no"})]
    with pytest.raises(ValueError, match="no") as caught:
        execute_tasks_in_parallel(tasks, backend=backend)
    assert type(caught.value) is ValueError
    assert caught.value.args == ("no",)
    assert caught.value.__notes__ == ["in task fail (index 1)"]


def test_errors_stand_in_their_places(backend: Any) -> None:
    results = execute_tasks_in_parallel(
        [Task(fail_if_odd, {"x": n}) for n in range(200)], return_exceptions=True, backend=backend
    )
    assert results[::2] == list(range(0, 200, 2))
    assert [(type(error), error.args) for error in results[1::2] if isinstance(error, Exception)] == [
        (ValueError, (n,)) for n in range(1, 200, 2)
    ]


def test_after_the_first_failure_nothing_more_starts(backend: Any, tmp_path: Path) -> None:
    path = tmp_path / "started"
    path.touch()
    tasks: list[Task[Any]] = [Task(fail, {"message": "first"})]
    tasks += [Task(note_then_wait, {"path": str(path), "seconds": 0.1}) for _ in range(400)]
    with pytest.raises(ValueError, match="first"):
        execute_tasks_in_parallel(tasks, 2, backend=backend)
    assert len(path.read_text().splitlines()) <= 8


def test_a_stream_goes_on_after_an_error_that_stands_in_its_place(backend: Any) -> None:
    tasks = [Task(fail_if_odd, {"x": n}) for n in range(6)]
    kinds = [type(r) for _, r in execute_tasks_in_parallel_streaming(tasks, return_exceptions=True, backend=backend)]
    assert kinds == [int, ValueError] * 3


def exit_now() -> None:
    raise SystemExit(3)


def stop_iteration() -> None:
    raise StopIteration("gone")


@pytest.mark.parametrize("function", [exit_now, stop_iteration])
def test_what_would_end_the_caller_is_wrapped(backend: Any, function: Any) -> None:
    with pytest.raises(RemoteError, match=function.__name__) as caught:
        list(execute_tasks_in_parallel_streaming([Task(function, {})], backend=backend))
    assert isinstance(caught.value.__cause__, (SystemExit, StopIteration))


def test_a_retried_task_succeeds_at_last(backend: Any, tmp_path: Path) -> None:
    task = Task(note_and_fail_until, {"path": str(tmp_path / "attempts"), "attempts": 3})
    policy = RetryPolicy(attempts=5, wait=0.01)
    assert execute_tasks_in_parallel([task], retries=policy, backend=backend) == [3]


def test_retries_that_are_used_up_say_how_many_attempts_were_made(backend: Any, tmp_path: Path) -> None:
    task = Task(note_and_fail_until, {"path": str(tmp_path / "attempts"), "attempts": 9})
    with pytest.raises(ConnectionError, match="attempt 3") as caught:
        execute_tasks_in_parallel([task], retries=RetryPolicy(attempts=3, wait=0.01), backend=backend)
    assert caught.value.__notes__ == ["in task note_and_fail_until (index 0), attempt 3"]


def test_a_waiting_retry_occupies_no_worker(parallel_backend: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "attempts")
    tasks: list[Task[Any]] = [Task(note_and_fail_until, {"path": path, "attempts": 2})]
    tasks += [Task(double, {"x": n}) for n in range(50)]
    stream = execute_tasks_in_parallel_streaming(
        tasks, 1, ordered=False, retries=RetryPolicy(attempts=2, wait=1, jitter=0), window=60, backend=parallel_backend
    )
    order = [index for index, _result in stream]
    assert order[-1] == 0
    assert len(order) == 51


def test_a_timeout_is_that_tasks_error_and_comes_in_time(parallel_backend: Any) -> None:
    tasks = [Task(double, {"x": 1}), Task(wait, {"seconds": lasting(parallel_backend)}), Task(double, {"x": 2})]
    started = time.monotonic()
    first, late, last = execute_tasks_in_parallel(
        tasks, 2, timeout=patience(parallel_backend), return_exceptions=True, backend=parallel_backend
    )
    # Not after twenty; the first workers of a cluster need some.
    assert time.monotonic() - started < 15
    assert (first, last) == (2, 4)
    assert isinstance(late, TaskTimeout)
    assert isinstance(late, TimeoutError)
    assert str(late) == f"in task wait (index 1): ran longer than its timeout of {patience(parallel_backend)} s"


def test_a_timeout_counts_from_the_start_of_the_attempt(parallel_backend: Any) -> None:
    tasks = [Task(wait, {"seconds": 0.15, "value": n}) for n in range(6)]
    assert execute_tasks_in_parallel(tasks, 1, timeout=0.6, backend=parallel_backend) == list(range(6))


def test_capacity_is_not_lost_to_timeouts(parallel_backend: Any) -> None:
    long = lasting(parallel_backend)
    tasks = [Task(wait, {"seconds": long}) for _ in range(4)] + [Task(double, {"x": n}) for n in range(4)]
    started = time.monotonic()
    results = execute_tasks_in_parallel(
        tasks, 2, timeout=patience(parallel_backend), return_exceptions=True, backend=parallel_backend
    )
    assert [type(result) for result in results] == [TaskTimeout] * 4 + [int] * 4
    able = capabilities_of(parallel_backend)
    assert able is not None
    # Where a place is not free at once, whoever waits for it has to wait for the end of what is in it.
    assert (time.monotonic() - started < 1.5 * long) == able.replaces


def test_a_timeout_may_be_retried(parallel_backend: Any, tmp_path: Path) -> None:
    path = tmp_path / "attempts"
    results = execute_tasks_in_parallel(
        [Task(note_then_wait, {"path": str(path), "seconds": lasting(parallel_backend)})],
        timeout=1.0,
        retries=RetryPolicy(attempts=3, wait=0.01, on=TimeoutError),
        return_exceptions=True,
        backend=parallel_backend,
    )
    assert isinstance(results[0], TaskTimeout)
    assert len(path.read_text().splitlines()) == 3


def test_an_exception_in_its_place_names_its_task(backend: Any) -> None:
    (error,) = execute_tasks_in_parallel([Task(int, {}, positional=("x",))], return_exceptions=True, backend=backend)
    assert isinstance(error, ValueError)
    assert error.__notes__ == ["in task int (index 0)"]


@pytest.mark.parametrize("mode", ["r", "w", "a+", "rb"])
def test_an_open_file_does_not_travel(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "file"
    path.touch()
    with path.open(mode) as file:
        (error,) = execute_tasks_in_parallel(
            [Task(id, {}, positional=(file,))], use_processes=True, return_exceptions=True
        )
    assert isinstance(error, TransferError)


def test_the_thread_that_ran_out_of_time_is_named() -> None:
    released = threading.Event()
    flow = Workflow("stuck", failure="finish")
    stuck = flow.add(task(timeout=0.05)(released.wait)())
    try:
        outcome = flow.run(raise_failures=False).outcome(stuck)
    finally:
        released.set()
    assert outcome.state == "timed out"
    assert outcome.worker is not None
    assert outcome.worker.startswith("cotality-worker")


class OwnTimeout(TaskTimeout):
    """What somebody has derived, whose message must not be touched."""

    def __str__(self) -> str:
        raise SystemExit(3)


def run_what_is_refused_or_raise_own(own: bool) -> Any:
    if own:
        raise OwnTimeout("mine", 1)
    refuse = RetryPolicy(attempts=1, on_result=bool)
    return execute_tasks_in_parallel([Task(double, {"x": 1})], retries=refuse, backend="serial")


def test_an_error_that_a_run_in_a_task_has_raised_names_both_tasks() -> None:
    (error,) = execute_tasks_in_parallel(
        [Task(run_what_is_refused_or_raise_own, {"own": False})], return_exceptions=True, backend="threads"
    )
    assert str(error).startswith("in task double (index 0): ")
    assert error.__notes__ == ["in task run_what_is_refused_or_raise_own (index 0)"]


def test_an_error_derived_from_ours_is_the_tasks_own() -> None:
    (error,) = execute_tasks_in_parallel(
        [Task(run_what_is_refused_or_raise_own, {"own": True})], return_exceptions=True, backend="threads"
    )
    assert error.args == ("mine", 1)
    assert error.__notes__ == ["in task run_what_is_refused_or_raise_own (index 0)"]
    assert state_of_error(error) == "failed"
