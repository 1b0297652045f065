"""Dask: where tasks and results are, and what happens when parts of the cluster fail."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cotality.parallel import DaskPool, RetryPolicy, Task, run, stream
from cotality.parallel.errors import TaskTimeout, TransferError, WorkerDied
from cotality.workflow import Workflow
from tests.benchmarks.gauges import Received
from tests.clusters.functions import (
    Noting,
    make,
    more,
    nested,
    note_and_die_once,
    note_pid_and_wait,
    said,
    size_of,
    speak_and_die,
    speak_and_wait,
    total,
    weigh,
    zeros,
)
from tests.clusters.local import MISSING, dask_client
from tests.contract.functions import double, note, wait

distributed = pytest.importorskip("distributed", reason=f"distributed {MISSING}")


def eventually(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + 20
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    return true()


def ours(dask_scheduler: Any) -> list[str]:
    return [key for key in dask_scheduler.tasks if str(key).startswith("cotality-")]


# Where things are ----------------------------------------------------------------------------------------------------


def test_outcomes_tell_the_worker_and_its_times(client: Any) -> None:
    flow = Workflow(backend=client)
    node = flow.add(total(zeros(10).output))
    outcome = flow.run().outcome(node)
    assert outcome.worker in client.scheduler_info()["workers"]
    assert 0 <= outcome.duration < 5


def test_what_only_tasks_need_never_comes_to_the_caller_and_is_released(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    flow = Workflow(backend=client)
    nodes = [flow.add(weigh(make(str(path)).output)) for _ in range(8)]
    found = flow.run()
    assert [found[node] for node in nodes] == [200_000] * 8
    assert str(os.getpid()) not in path.read_text().split()
    assert eventually(lambda: not client.run_on_scheduler(ours))


def test_results_that_several_need_stay_on_the_cluster_too(client: Any) -> None:
    flow = Workflow(backend=client)
    source = zeros(100_000)
    nodes = [flow.add(total(more(source.output).output)) for _ in range(4)]
    found = flow.run()
    assert [found[node] for node in nodes] == [100_000.0] * 4


def test_the_caller_receives_no_bytes_of_what_only_tasks_need(client: Any) -> None:
    flow = Workflow(backend=client)
    source = zeros(1_000_000)
    nodes = [flow.add(total(more(source.output).output)) for _ in range(4)]
    with Received() as received:
        found = flow.run()
    assert [found[node] for node in nodes] == [1_000_000.0] * 4
    # Of five arrays of 8 MB.
    assert received.megabytes < 0.5
    kept = Workflow(backend=client)
    array = kept.add(zeros(1_000_000))
    with Received() as received:
        assert kept.run()[array].nbytes == 8_000_000
    assert received.megabytes > 8


def test_a_large_argument_is_sent_once(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    shared = Noting(str(path), 2_000_000)
    tasks = [Task(size_of, {"value": shared, "number": n}) for n in range(20)]
    assert run(tasks, backend=client) == [2_000_000 + n for n in range(20)]
    events = Counter(line.split()[0] for line in path.read_text().splitlines())
    assert events["written"] == 1
    # Once in each worker.
    assert events["read"] <= 2


def test_a_function_that_has_closed_over_something_large_is_sent_once(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    closed_over = Noting(str(path), 2_000_000)

    def sized(number: int) -> int:
        return len(closed_over.ballast) + number

    assert run([Task(sized, {"number": n}) for n in range(500)], backend=client) == [2_000_000 + n for n in range(500)]
    events = Counter(line.split()[0] for line in path.read_text().splitlines())
    assert events["written"] == 1
    assert events["read"] <= 2


def test_many_tiny_tasks_are_few_of_dask(client: Any) -> None:
    def transitions(dask_scheduler: Any) -> int:
        return int(dask_scheduler.transition_counter)

    before = client.run_on_scheduler(transitions)
    assert run([Task(double, {"x": n}) for n in range(20_000)], backend=client) == [2 * n for n in range(20_000)]
    # Each task of Dask makes a few.
    assert client.run_on_scheduler(transitions) - before < 5_000


def test_the_client_at_hand_and_runs_inside_of_tasks(client: Any) -> None:
    with client.as_current():
        assert run([Task(double, {"x": 4})], backend="dask") == [8]
        # More of them than there are threads: each of them waits for tasks that need one.
        assert run([Task(nested, {"count": 3})] * 4, backend="dask") == [[0, 2, 4]] * 4


def test_workers_and_resources_are_passed_on(client: Any) -> None:
    worker = sorted(client.scheduler_info()["workers"])[0]
    flow = Workflow(backend=DaskPool(client, workers=[worker], priority=3))
    nodes = [flow.add(total(zeros(n).output)) for n in range(6)]
    found = flow.run()
    assert {found.outcome(node).worker for node in nodes} == {worker}
    results = stream([Task(double, {"x": 1})], backend=DaskPool(client, resources={"GPU": 1}), timeout=None)
    # Nobody has one: it waits, and can be left.
    results.close()


def test_a_cluster_within_the_process() -> None:
    with dask_client(1, processes=False, threads_per_worker=2) as client:
        assert run([Task(double, {"x": n}) for n in range(2000)], backend=client) == [2 * n for n in range(2000)]
        with pytest.raises(ZeroDivisionError):
            run([Task(divmod, {}, positional=(1, 0))], backend=client)


# Faults --------------------------------------------------------------------------------------------------------------


def test_a_worker_that_is_killed_fails_what_it_had_and_nothing_runs_twice(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "starts"
    tasks: list[Task[Any]] = [Task(note, {"path": str(path), "line": str(n)}) for n in range(300)]
    tasks[20] = Task(note_and_die_once, {"path": str(tmp_path / "died"), "name": "x"})
    results = run(tasks, backend=client, return_exceptions=True)
    died = [index for index, result in enumerate(results) if isinstance(result, WorkerDied)]
    assert 20 in died
    assert "the worker tcp://127.0.0.1" in str(results[20])
    assert all(results[n] == str(n) for n in range(300) if n not in died)
    assert max(Counter(path.read_text().splitlines()).values()) == 1
    assert (tmp_path / "died").read_text() == "x\n"


def test_what_a_task_has_said_before_its_worker_dies_is_heard(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    (error,) = run([Task(speak_and_die, {"times": 50})], backend=client, return_exceptions=True)
    assert isinstance(error, WorkerDied)
    assert said(caplog) == [f"last words {n}" for n in range(50)]


def test_what_tasks_say_comes_through_the_scheduler_where_the_caller_can_not_be_reached(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # As if everything were encrypted.
    from cotality.parallel._backends.dask import carrier

    monkeypatch.setattr(carrier, "_host", lambda _scheduler: None)
    path = str(tmp_path / "notes")

    class Answer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            note(path, "heard")

    answer = Answer()
    logging.getLogger("tests.clusters").addHandler(answer)
    try:
        assert run([Task(speak_and_wait, {"path": path})], backend=client) == [True]
    finally:
        logging.getLogger("tests.clusters").removeHandler(answer)
    assert said(caplog) == ["is anybody there?"]


def test_what_workers_tell_does_not_pile_up_in_the_scheduler(client: Any) -> None:
    def kept(dask_scheduler: Any) -> int:
        topics = dask_scheduler._broker._topics.items()
        return sum(len(topic.events) for name, topic in topics if name.startswith("cotality"))

    run([Task(wait, {"seconds": 0.01})] * 10, backend=client, timeout=20)
    assert client.run_on_scheduler(kept) == 0


def test_a_killed_task_is_tried_again_when_asked(client: Any, tmp_path: Path) -> None:
    task = Task(note_and_die_once, {"path": str(tmp_path / "died"), "name": "again"})
    policy = RetryPolicy(attempts=2, on=WorkerDied, wait=0)
    assert run([task], backend=client, retries=policy) == ["again"]
    assert (tmp_path / "died").read_text() == "again\nagain\n"


def test_a_worker_that_is_stopped_costs_the_task_that_it_is_at_its_timeout(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "pid"

    def stop() -> None:
        assert eventually(lambda: path.exists() and bool(path.read_text()))
        os.kill(int(path.read_text()), signal.SIGSTOP)

    stopper = threading.Thread(target=stop)
    stopper.start()
    tasks: list[Task[Any]] = [Task(note_pid_and_wait, {"path": str(path), "seconds": 2})]
    tasks += [Task(wait, {"seconds": 0.01, "value": n}) for n in range(6)]
    started = time.monotonic()
    try:
        stuck, *others = run(tasks, backend=client, timeout=1.0, return_exceptions=True)
    finally:
        stopper.join()
        os.kill(int(path.read_text()), signal.SIGCONT)
    assert time.monotonic() - started < 15
    assert isinstance(stuck, TaskTimeout)
    assert others == list(range(6))


def test_a_worker_that_hangs_before_its_task_begins_costs_that_task_its_timeout(client: Any) -> None:
    pid = sorted(client.run(os.getpid).values())[0]
    os.kill(pid, signal.SIGSTOP)
    started = time.monotonic()
    try:
        tasks = [Task(wait, {"seconds": 0.01, "value": n}) for n in range(6)]
        results = run(tasks, backend=client, timeout=1.0, return_exceptions=True)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert time.monotonic() - started < 15
    stuck = [index for index, result in enumerate(results) if isinstance(result, TaskTimeout)]
    assert len(stuck) == 1
    assert [n for n in range(6) if results[n] == n] == [n for n in range(6) if n not in stuck]


def test_a_function_that_workers_can_not_import_is_sent_along(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_the_caller_has.py").write_text(
        "def triple(x):\n    return 3 * x\n\ndef needs():\n    import nowhere_at_all\n"
    )
    (tmp_path / "and_this.py").write_text("class Point:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import and_this  # type: ignore[import-not-found]
    import only_the_caller_has  # type: ignore[import-not-found]

    assert run([Task(only_the_caller_has.triple, {"x": 5})] * 3, backend=client) == [15] * 3
    (error,) = run([Task(double, {"x": and_this.Point()})], backend=client, return_exceptions=True)
    assert isinstance(error, TransferError)
    assert "argument 'x' could not be loaded in the worker (ModuleNotFoundError)" in str(error)
    assert "upload" in "".join(error.__notes__)


def test_another_version_is_refused() -> None:
    from cotality.parallel._backends.futures.remote import run_batch

    with pytest.raises(TransferError, match=r"the caller cotality-workflow 0\.0\.1 on Python 3\.9: install the same"):
        run_batch(("0.0.1", 3, 9), b"")


def test_no_scheduler_at_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from cotality.parallel._backends.dask import pool

    monkeypatch.setattr(pool, "CONNECT_SECONDS", 1)
    with pytest.raises(ConnectionError, match=r"tcp://127\.0\.0\.1:9"):
        DaskPool("tcp://127.0.0.1:9")
    with pytest.raises(TypeError, match="must be a client"):
        DaskPool(3)


def start(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.{program}", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def far(tmp_path: Path) -> Iterator[tuple[str, Any]]:
    """A scheduler and a worker as programs of their own: the address and the scheduler's process."""
    file = tmp_path / "scheduler.json"
    common = ["--scheduler-file", str(file), "--no-dashboard"]
    scheduler = start("dask_scheduler", "--port", "0", *common)
    worker = start("dask_worker", "--nthreads", "1", "--no-nanny", *common)
    try:
        assert eventually(lambda: file.exists() and file.stat().st_size > 0)
        yield json.loads(file.read_text())["address"], scheduler
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()


def test_a_scheduler_that_goes_away_ends_the_run_and_is_named(
    far: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cotality.parallel._backends.dask import pool as module

    # So long it is looked for.
    monkeypatch.setattr(module, "CONNECT_SECONDS", 2)
    address, scheduler = far
    pool = DaskPool(address)
    results = stream([Task(wait, {"seconds": 0.05, "value": n}) for n in range(1000)], backend=pool)
    assert next(results) == (0, 0)
    scheduler.kill()
    started = time.monotonic()
    with pytest.raises(ConnectionError, match=address):
        list(results)
    assert time.monotonic() - started < 20
