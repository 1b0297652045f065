"""What a backend can not do is said beforehand, and is so: each capability that the suite asks for, or its absence."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from cotality.parallel import Capabilities, ExecutorPool, Task, ThreadExecutor, run
from cotality.parallel.errors import WorkerDied
from cotality.parallel.foreseeing import capabilities_of
from tests.contract import speakers
from tests.contract.conftest import GUESTS
from tests.contract.functions import die, double, give, wait
from tests.forks import METHODS


def test_ours_can_do_more_than_guests(pools: dict[str, Any], dask: Any) -> None:
    able = {name: capabilities_of(name) for name in ("serial", "threads", "asyncio", "processes")}
    assert all(each is not None and each.replaces and each.recalls and each.relays == "all" for each in able.values())
    assert able["processes"] == pools["spawn"].capabilities
    with ThreadExecutor(1) as executor:
        assert able["threads"] == executor.capabilities
    assert capabilities_of(pools["their threads"]) == Capabilities(False, False, True, True, True, False, "all")
    assert capabilities_of(pools["their processes"]) == Capabilities(
        False, False, False, False, False, False, "records"
    )
    assert capabilities_of(dask) == Capabilities(False, False, False, False, False, True, "records")


def test_what_a_task_mutates_is_its_own_where_no_objects_are_shared(backend: Any) -> None:
    able = capabilities_of(backend)
    assert able is not None
    mine: list[int] = []
    run([Task(mine.append, {}, positional=(1,))], backend=backend)
    assert (mine == [1]) == able.shares_objects


@pytest.mark.parametrize("kind", GUESTS[1:])
def test_guests_relay_records_and_warnings_and_leave_the_workers_set_up_as_it_was(
    kind: str, request: pytest.FixtureRequest, pools: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    backend = pools[kind] if kind in pools else request.getfixturevalue(kind)
    before = run([Task(root_level, {})], backend=backend)
    with caplog.at_level("INFO", "speakers"), pytest.warns(RuntimeWarning, match="careful"):
        run([Task(speakers.log_as, {"name": "speakers.one"}), Task(warn_always, {})], backend=backend)
    assert [record.name for record in caplog.records if record.name.startswith("speakers")] == ["speakers.one"]
    assert run([Task(root_level, {})], backend=backend) == before


def warn_always() -> None:
    import warnings

    warnings.simplefilter("always", RuntimeWarning)
    speakers.warn_of("careful")


def root_level() -> tuple[int, int]:
    return logging.getLogger("speakers").level, len(logging.root.handlers)


def test_a_worker_that_dies_breaks_a_foreign_executor_and_every_task_is_told() -> None:
    from concurrent.futures import ProcessPoolExecutor

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
