"""What a backend can not do is said beforehand, and is so: each capability that the suite asks for, or its absence."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import multiprocessing
import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import structlog

from cotality.parallel import Capabilities, ExecutorPool, RayPool, Task, ThreadExecutor, run, stream
from cotality.parallel.errors import TaskTimeout, WorkerDied
from cotality.parallel.foreseeing import capabilities_of
from tests.contract import speakers
from tests.contract.conftest import GUESTS
from tests.contract.functions import die, double, give, wait
from tests.forks import METHODS


def test_ours_can_do_more_than_guests(pools: dict[str, Any], dask: Any) -> None:
    able = {name: capabilities_of(name) for name in ("serial", "threads", "asyncio", "processes")}
    assert all(each is not None and each.replaces and each.recalls for each in able.values())
    assert able["processes"] == pools["spawn"].capabilities
    with ThreadExecutor(1) as executor:
        assert able["threads"] == executor.capabilities
    assert capabilities_of(pools["their threads"]) == Capabilities(False, False, True, True, True, False)
    assert capabilities_of(pools["their processes"]) == Capabilities(False, False, False, False, False, False)
    assert capabilities_of(dask) == Capabilities(False, False, False, False, False, True)


def test_what_a_task_mutates_is_its_own_where_no_objects_are_shared(backend: Any) -> None:
    able = capabilities_of(backend)
    assert able is not None
    mine: list[int] = []
    run([Task(mine.append, {}, positional=(1,))], backend=backend)
    assert (mine == [1]) == able.shares_objects


@pytest.fixture(params=GUESTS[1:])
def guest(request: pytest.FixtureRequest, pools: dict[str, Any]) -> Any:
    """A backend whose workers are not ours."""
    return pools[request.param] if request.param in pools else request.getfixturevalue(request.param)


def directly(guest: Any, function: Any) -> Any:
    """What a function gives that a worker calls of which we know nothing."""
    if isinstance(guest, RayPool):
        import ray

        return ray.get(ray.remote(function).remote())
    return guest.submit(function).result()


def test_guests_leave_the_workers_set_up_as_it_was(guest: Any, caplog: pytest.LogCaptureFixture) -> None:
    before = directly(guest, speakers.how_it_is_set_up)
    structlog.configure(processors=[structlog.contextvars.merge_contextvars])
    out = io.StringIO()
    tasks: list[Task[Any]] = [
        Task(speakers.log_as, {"name": "speakers.one"}),
        Task(speakers.enter, {"number": 1}),
        Task(speakers.warn_of, {"text": "careful"}),
        Task(print, {}, positional=("printed",)),
    ]
    try:
        with (
            caplog.at_level("INFO", "speakers"),
            contextlib.redirect_stdout(out),
            pytest.warns(RuntimeWarning, match="careful"),
        ):
            run(tasks, backend=guest)
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
    assert [record.name for record in caplog.records if record.name.startswith("speakers")] == ["speakers.one"]
    assert out.getvalue().endswith("printed\n")
    assert directly(guest, speakers.how_it_is_set_up) == before


def test_guests_do_not_hear_threads_that_a_task_starts_without_its_context(
    guest: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "speakers"):
        run([Task(speakers.log_in_a_thread, {})], backend=guest)
    assert caplog.messages == ["from the task"] * 100


def test_what_was_said_before_the_worker_of_a_guest_dies_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    out = io.StringIO()
    with caplog.at_level("INFO", "speakers"), contextlib.redirect_stdout(out), ProcessPoolExecutor(1) as executor:
        task = Task(speakers.kill_after_speaking, {"text": "last words", "times": 50})
        (error,) = run([task], backend=executor, return_exceptions=True)
    assert isinstance(error, WorkerDied)
    said = [record.getMessage() for record in caplog.records if record.name == "speakers.log"]
    assert said == [f"last words {n}" for n in range(50)]
    assert out.getvalue() == "last words\n"


def test_a_task_that_says_more_than_the_caller_takes_holds_up_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            time.sleep(0.001)

    slow = Slow()
    logging.getLogger("speakers.log").addHandler(slow)
    try:
        with caplog.at_level("INFO", "speakers"), ProcessPoolExecutor(2) as executor:
            tasks: list[Task[Any]] = [Task(speakers.log_for, {"seconds": 3.0}), Task(double, {"x": 1})]
            started = time.monotonic()
            talks, other = run(tasks, backend=executor, timeout=0.5, return_exceptions=True)
            assert time.monotonic() - started < 3
    finally:
        logging.getLogger("speakers.log").removeHandler(slow)
    assert isinstance(talks, TaskTimeout)
    assert other == 2


def test_a_worker_that_speaks_when_nobody_listens_any_more_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level("INFO", "speakers"),
        ProcessPoolExecutor(1, initializer=speakers.let_broken_pipes_end_it) as executor,
    ):
        tasks: list[Task[Any]] = [Task(double, {"x": 1}), Task(speakers.log_for, {"seconds": 0.5})]
        with contextlib.closing(stream(tasks, backend=executor)) as results:
            assert next(results) == (0, 2)
        assert run([Task(double, {"x": 2})], backend=executor) == [4]


def test_what_is_printed_comes_out_where_the_caller_prints_and_once(tmp_path: Path) -> None:
    program = """
        from concurrent.futures import ProcessPoolExecutor
        from cotality.parallel import Task, run
        from tests.contract import speakers
        if __name__ == "__main__":
            for options in {}, {"initializer": speakers.print_elsewhere, "initargs": (%r,)}:
                with ProcessPoolExecutor(1, **options) as executor:
                    run([Task(print, {"flush": True}, positional=(n,)) for n in range(3)], backend=executor)
    """
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(program) % str(tmp_path / "elsewhere"))
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, str(script)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=True)
    assert ended.stdout == "0\n1\n2\n" * 2
    assert (tmp_path / "elsewhere").read_text() == ""


def test_what_others_say_in_the_same_worker_takes_its_usual_way(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, initializer=speakers.speak_meanwhile, initargs=(str(tmp_path / "log"),)) as executor:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            run([Task(speakers.listen_to_others, {"path": str(tmp_path / "log")})], backend=executor)
    assert out.getvalue() == "mine\n"
    assert {"theirs in a log", "event='theirs, entered'", "theirs, printed"} <= set(
        (tmp_path / "log").read_text().splitlines()
    )


def test_a_worker_that_dies_breaks_a_foreign_executor_and_every_task_is_told() -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context(METHODS[0])) as executor:
        tasks: list[Task[Any]] = [Task(die, {}), *(Task(double, {"x": n}) for n in range(20))]
        results = run(tasks, backend=executor, return_exceptions=True)
    assert [type(result) for result in results] == [WorkerDied] * 21
    assert "the executor is broken: make a new one" in str(results[0])


class Immediate(Executor):
    """An executor of somebody's own: calls at once."""

    def __init__(self) -> None:
        self.calls = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls += 1
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def test_any_executor_will_do_and_many_tiny_tasks_are_one_future() -> None:
    executor = Immediate()
    assert run([Task(double, {"x": n}) for n in range(5000)], backend=executor) == [2 * n for n in range(5000)]
    assert executor.calls < 200


def test_an_executor_that_was_shut_down_is_an_error_at_once() -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="shutdown"):
        run([Task(double, {"x": 1})], backend=executor)


def refuse() -> None:
    raise ConnectionError("no")


def test_an_initializer_that_raises_is_an_error_and_no_hang() -> None:
    with (
        ThreadPoolExecutor(1, initializer=refuse) as executor,
        pytest.raises(Exception, match=r"no worker can be started|not usable"),
    ):
        run([Task(double, {"x": 1})] * 3, backend=executor)


def test_no_more_than_max_workers_run_at_once(pools: dict[str, Any]) -> None:
    pool = ExecutorPool(pools["their processes"], max_workers=1)
    rows = run([Task(when, {}) for _ in range(12)], backend=pool)
    spans = sorted(rows)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def when() -> tuple[float, float]:
    import time

    started = time.monotonic()
    wait(0.01)
    return started, time.monotonic()


def test_loky() -> None:
    loky = pytest.importorskip("loky", reason="loky is not installed: pip install -e '.[cluster-tests]'")
    with loky.get_reusable_executor(2) as executor:
        assert run([Task(double, {"x": n}) for n in range(2000)], backend=executor) == [2 * n for n in range(2000)]
        n = 3
        (error,) = run([Task(lambda: give(n) / 0, {})], backend=executor, return_exceptions=True)
        assert isinstance(error, ZeroDivisionError)


@pytest.mark.parametrize("given", [3, object(), "cluster"])
def test_what_is_no_backend_is_refused(given: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="backend"):
        run([Task(double, {"x": 1})], backend=given)
    with pytest.raises(TypeError, match="executor must be"):
        ExecutorPool(given)
