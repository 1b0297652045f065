"""What observers, logs and progress displays are told, on every backend."""

from __future__ import annotations

import io
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from cotality.parallel import Event, Progress, Task, run, stream
from cotality.workflow import RetryPolicy, Workflow
from tests.contract import flows, functions

SECRET = "s3cret-argument"


class Notebook:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def notice(self, events: Sequence[Event], /) -> None:
        self.events += events

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def only(self, name: str) -> Event:
        (event,) = (event for event in self.events if event.name == name)
        return event


class Faulty:
    """An observer that raises."""

    def __init__(self) -> None:
        self.told = 0

    def notice(self, events: Sequence[Event], /) -> None:
        self.told += 1
        raise RuntimeError("a broken observer")


# Events --------------------------------------------------------------------------------------------------------------


def test_events_of_a_list(backend: Any) -> None:
    notebook = Notebook()
    tasks = [Task(functions.double, {"x": n}) for n in range(5)]
    run(tasks, backend=backend, observers=[notebook])
    assert Counter(notebook.names) == {"run.started": 1, "task.finished": 5, "run.finished": 1}
    assert notebook.names[0] == "run.started"
    assert notebook.names[-1] == "run.finished"
    assert len({event.run for event in notebook.events}) == 1
    started, finished = notebook.events[0], notebook.events[-1]
    assert started.tasks == 5
    assert started.workflow is None
    assert finished.state == "succeeded"
    assert finished.counts == {"succeeded": 5}
    ended = [event for event in notebook.events if event.name == "task.finished"]
    assert sorted(event.index for event in ended if event.index is not None) == [0, 1, 2, 3, 4]
    for event in ended:
        assert event.item
        assert event.attempt == 1
        assert event.task == "double"
        assert event.worker
        assert event.backend
        assert event.duration is not None
        assert event.duration >= 0
        assert started.at - 1 <= event.at <= finished.at + 1


def test_events_of_attempts(backend: Any, tmp_path: Any) -> None:
    notebook = Notebook()
    tasks = [Task(functions.note_and_fail_until, {"path": str(tmp_path / "seen"), "attempts": 3})]
    policy = RetryPolicy(attempts=4, wait=0.001, jitter=0)
    run(tasks, backend=backend, retries=policy, observers=[notebook])
    assert notebook.names == ["run.started", "task.retried", "task.retried", "task.finished", "run.finished"]
    first, second = notebook.events[1:3]
    assert (first.attempt, second.attempt, notebook.events[3].attempt) == (1, 2, 3)
    assert isinstance(first.error, ConnectionError)
    assert first.retry_in is not None
    assert first.retry_in >= 0.001


def test_events_of_a_workflow(backend: Any) -> None:
    notebook = Notebook()
    flow = Workflow("nightly", backend=backend, failure="finish")
    bad = flow.add(flows.fail("no"))
    flow.add(flows.add(bad.output))
    flow.map(flows.add, [1, 2])
    flow.run(raise_failures=False, observers=[notebook])
    assert Counter(notebook.names) == {
        "run.started": 1,
        "task.failed": 1,
        "task.skipped": 1,
        "task.finished": 2,
        "run.finished": 1,
    }
    failed, skipped = notebook.only("task.failed"), notebook.only("task.skipped")
    assert failed.workflow == "nightly"
    assert not failed.item
    assert failed.worker
    assert failed.waited is not None
    assert isinstance(failed.error, ValueError)
    assert failed.attempt == 1
    assert skipped.first_cause == failed.task
    assert skipped.attempt == 0
    assert skipped.worker is None
    assert all(event.item for event in notebook.events if event.name == "task.finished")
    finished = notebook.events[-1]
    assert finished.state == "failed"
    assert finished.counts == {"failed": 1, "skipped": 1, "succeeded": 2}


@pytest.mark.parametrize("where", ["processes", "spawn"])
def test_the_death_of_a_worker_is_an_event(where: str, pools: dict[str, Any]) -> None:
    notebook = Notebook()
    tasks = [Task(functions.die, {})]
    run(tasks, backend=pools.get(where, where), return_exceptions=True, observers=[notebook])
    assert notebook.names == ["run.started", "worker.died", "task.failed", "run.finished"]
    died = notebook.only("worker.died")
    assert died.worker is not None
    assert "SIGKILL" in str(died.error)


def test_a_timeout_is_an_event(parallel_backend: Any) -> None:
    notebook = Notebook()
    tasks = [Task(functions.wait, {"seconds": 0.5})]
    run(tasks, backend=parallel_backend, timeout=0.1, return_exceptions=True, observers=[notebook])
    assert notebook.names == ["run.started", "task.timed_out", "run.finished"]


def test_a_run_that_is_left_is_cancelled(backend: Any) -> None:
    notebook = Notebook()
    for _index, _result in stream(many(), backend=backend, observers=[notebook], window=4):
        break
    assert notebook.names[-1] == "run.finished"
    assert notebook.events[-1].state == "cancelled"


def test_each_task_of_a_run_that_failed_is_told_of_once(backend: Any) -> None:
    notebook = Notebook()
    flow = Workflow("cut short", backend=backend, max_workers=1)
    bad = flow.add(flows.fail("no"))
    flow.add(flows.add(bad.output))
    for _ in range(50):
        flow.add(flows.sleep(0.01))
    with pytest.raises(ValueError, match="no"):
        flow.run(observers=[notebook])
    told = Counter(event.index for event in notebook.events if event.index is not None)
    assert set(told.values()) == {1}
    assert len(told) == 52
    names = Counter(event.name for event in notebook.events if event.index is not None)
    assert names["task.cancelled"] > 0
    counts = {
        "failed": "task.failed",
        "skipped": "task.skipped",
        "cancelled": "task.cancelled",
        "succeeded": "task.finished",
    }
    assert notebook.events[-1].counts == {state: names[name] for state, name in counts.items() if names[name]}


def test_what_is_refused_as_a_result_is_a_failure_and_nothing_else(backend: Any) -> None:
    notebook, shown = Notebook(), [Progress("", None, 0, 0, 0, 0, 0.0)]
    flow = Workflow("odd", backend=backend, failure="finish")
    flow.add(flows.gives_a_task())
    flow.run(raise_failures=False, observers=[notebook], progress=shown.append)
    assert notebook.names == ["run.started", "task.failed", "run.finished"]
    assert (shown[-1].succeeded, shown[-1].failed, shown[-1].done) == (0, 1, 1)


class Label:
    """A companion that puts its name into what tasks see."""

    def __init__(self, name: str) -> None:
        self.name = name

    def notice(self, events: Sequence[Event], /) -> None:
        pass

    def accompany(self, event: Event, /) -> flows.Labelled:
        return flows.Labelled(f"{self.name} {event.task} {event.attempt}")


def test_companions_go_along_with_each_attempt_one_inside_of_the_other(backend: Any, tmp_path: Any) -> None:
    flow = Workflow("labelled", backend=backend)
    retried = flow.add(flows.labels(str(tmp_path / "made"), 2).after(flow.add(flows.give(1))))
    awaited = flow.add(flows.alabels(retried.output))
    run = flow.run(observers=[Label("a"), Label("b")])
    assert run[retried] == ("a labels 2", "b labels 2")
    assert run[awaited] == ("a alabels 1", "b alabels 1")


def many() -> Any:
    return (Task(functions.double, {"x": n}) for n in range(1_000))


def test_an_observer_that_raises_is_dropped(backend: Any, caplog: pytest.LogCaptureFixture) -> None:
    faulty, notebook = Faulty(), Notebook()
    tasks = [Task(functions.double, {"x": n}) for n in range(20)]
    assert run(tasks, backend=backend, observers=[faulty, notebook]) == [2 * n for n in range(20)]
    assert faulty.told == 1
    assert notebook.names.count("task.finished") == 20
    (record,) = (record for record in caplog.records if record.name == "cotality")
    assert record.levelno == logging.ERROR
    assert "observer.failed" in record.getMessage()
    assert "Faulty" in record.getMessage()


def test_observers_are_checked_when_a_workflow_is_made() -> None:
    with pytest.raises(TypeError, match="a list of observers"):
        Workflow("nightly", observers=Notebook())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="notice"):
        Workflow("nightly", observers=[object()])  # type: ignore[list-item]


def test_what_can_not_observe_is_refused_before_anything_runs() -> None:
    with pytest.raises(TypeError, match="notice"):
        run([Task(functions.double, {"x": 1})], observers=[object()])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="progress"):
        run([Task(functions.double, {"x": 1})], progress=7)


# Logs ----------------------------------------------------------------------------------------------------------------


def test_failures_are_logged_with_their_traceback(backend: Any, caplog: pytest.LogCaptureFixture) -> None:
    run([Task(functions.fail, {"message": "no"})], backend=backend, return_exceptions=True)
    (record,) = (record for record in caplog.records if record.name == "cotality")
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("task.failed: run=")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)
    assert (record.task, record.index, record.attempt) == ("fail", 0, 1)  # type: ignore[attr-defined]


def test_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "cotality")
    flow = Workflow("levels", failure="finish")
    flow.add(flows.add(1))
    flow.map(flows.add, [1, 2])
    run_of_flow = flow.run()
    run([Task(functions.double, {"x": 1})])
    seen = [(record.levelname, record.event) for record in caplog.records if record.name == "cotality"]  # type: ignore[attr-defined]
    of_flow = seen[: 1 + 3 + 1]
    assert Counter(of_flow) == {
        ("DEBUG", "run.started"): 1,
        ("INFO", "task.finished"): 1,
        ("DEBUG", "task.finished"): 2,
        ("INFO", "run.finished"): 1,
    }
    assert Counter(seen[5:]) == {
        ("DEBUG", "run.started"): 1,
        ("DEBUG", "task.finished"): 1,
        ("INFO", "run.finished"): 1,
    }
    assert f"run={run_of_flow.id}" in caplog.records[0].getMessage()


def test_structlog_gets_events_when_the_application_has_configured_it(backend: Any) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    try:
        with capture_logs() as entries:
            flow = Workflow("nightly", backend=backend, failure="finish")
            flow.add(flows.fail("no"))
            flow.run(raise_failures=False)
    finally:
        structlog.reset_defaults()
    assert [entry["event"] for entry in entries] == ["run.started", "task.failed", "run.finished"]
    failed = entries[1]
    assert failed["log_level"] == "error"
    assert failed["workflow"] == "nightly"
    assert failed["error"] == "ValueError: no"
    data = failed["exception_data"]
    assert data["type"] == "ValueError"
    assert data["message"] == "no"
    # Where it was raised is told, whatever side of a process it was on.
    assert "fail" in str(data.get("frames")) or "in fail" in data["worker_traceback"]
    assert "ValueError: no" in failed["exception"]


def test_the_level_of_structlog_counts(backend: Any) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        with capture_logs() as entries:
            run([Task(functions.double, {"x": 1})], backend=backend)
    finally:
        structlog.reset_defaults()
    assert entries == []


def test_no_argument_is_logged(backend: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    notebook = Notebook()
    flow = Workflow("secrets", backend=backend, failure="finish")
    flow.add(flows.give(SECRET))
    flow.add(flows.fail_with(SECRET))
    flow.run(raise_failures=False, observers=[notebook])
    assert len(caplog.records) == 4
    assert SECRET not in caplog.text
    assert all(SECRET not in repr(event) for event in notebook.events)


# Progress ------------------------------------------------------------------------------------------------------------


def test_progress_of_a_workflow(backend: Any) -> None:
    shown: list[Progress] = []
    flow = Workflow("nightly", backend=backend, failure="finish")
    bad = flow.add(flows.fail("no"))
    flow.add(flows.add(bad.output))
    flow.map(flows.add, range(10))
    flow.run(raise_failures=False, progress=shown.append)
    first, last = shown[0], shown[-1]
    assert first.done == 0
    assert not first.finished
    assert first.total is None
    assert (last.total, last.succeeded, last.failed, last.skipped, last.finished) == (12, 10, 1, 1, True)
    assert last.name == "nightly"
    assert {part.name: part.done for part in last.parts.values()} == {"fail": 1, "add": 11}
    assert last.parts["add"].total == 11


def test_progress_of_a_map_over_a_list_has_a_total_before_its_end(backend: Any) -> None:
    shown: list[Progress] = []
    flow = Workflow("long", backend=backend)
    flow.map(flows.sleep, [0.02] * 20)
    flow.run(progress=shown.append, max_workers=1)
    under_way = [progress for progress in shown if 0 < progress.done < 20]
    assert under_way
    assert {(progress.total, progress.parts["sleep"].total) for progress in under_way} == {(20, 20)}
    assert all(progress.remaining is not None for progress in under_way)


def test_progress_of_a_list_and_of_a_stream(backend: Any, tmp_path: Any) -> None:
    shown: list[Progress] = []
    tasks = [Task(functions.double, {"x": n}) for n in range(10)]
    run(tasks, backend=backend, progress=shown.append)
    assert shown[0].total == 10
    assert shown[-1].succeeded == shown[-1].total == 10
    shown.clear()
    assert len(list(stream(iter(tasks), backend=backend, progress=shown.append))) == 10
    assert shown[0].total is None
    assert shown[-1].succeeded == shown[-1].total == 10


def test_an_object_may_show_progress_and_a_broken_one_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Display:
        def __init__(self) -> None:
            self.last: Progress | None = None

        def show(self, progress: Progress, /) -> None:
            self.last = progress

    display = Display()
    tasks = [Task(functions.double, {"x": n}) for n in range(3)]
    run(tasks, progress=display)
    assert display.last is not None
    assert display.last.finished
    assert run(tasks, progress=lambda progress: 1 / 0) == [0, 2, 4]
    assert "ZeroDivisionError" in caplog.text


def test_a_bar_of_tqdm_is_moved(backend: Any) -> None:
    tqdm = pytest.importorskip("tqdm")
    with tqdm.tqdm(file=io.StringIO()) as bar:
        run((Task(functions.double, {"x": n}) for n in range(10)), backend=backend, progress=bar)
        assert bar.n == bar.total == 10


def test_only_the_first_attempt_has_waited_for_a_worker(backend: Any, tmp_path: Path) -> None:
    notebook = Notebook()
    flow = Workflow("stubborn", backend=backend)
    policy = RetryPolicy(attempts=3, wait=0.2, jitter=0)
    stubborn = flow.add(flows.flaky.options(retries=policy)(str(tmp_path / "notes"), 3))
    run = flow.run(observers=[notebook])
    told = [event for event in notebook.events if event.name in ("task.retried", "task.finished")]
    assert [event.attempt for event in told] == [1, 2, 3]
    assert [event.waited is None for event in told] == [False, True, True]
    # What it waited between its attempts is not what it waited for a worker.
    assert run.outcome(stubborn).waited == pytest.approx(told[0].waited, abs=1e-6)
