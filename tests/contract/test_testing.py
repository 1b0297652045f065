"""What the library offers for tests: serial runs, the fake clock, faults, events."""

from __future__ import annotations

import asyncio
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from cotality.parallel import Event, Limit, RetryPolicy, Task, current_task, errors, run, stream
from cotality.parallel.testing import (
    FakeClock,
    capture_events,
    crash,
    failing,
    hang,
    inject,
    serial_runs,
    slow,
    unpicklable_error,
    unpicklable_result,
)
from cotality.workflow import Workflow, task

WHERE = ["serial", "threads", "processes"]


def measure(word: str) -> int:
    return len(word)


@task
def double(number: int) -> int:
    return 2 * number


@task(backend="processes")
def thread_of(number: int) -> int:
    return threading.get_ident()


@task
async def thread_of_coroutine(number: int) -> int:
    return threading.get_ident()


def words(*given: str) -> list[Task[int]]:
    return [Task(measure, {"word": word}) for word in given]


class TestSerialRuns:
    def test_every_task_runs_in_the_callers_thread_whatever_its_options_say(self, serial_runs: None) -> None:
        flow = Workflow(backend="threads")
        everywhere = flow.gather(flow.map(thread_of, range(3)).outputs, flow.map(thread_of_coroutine, range(3)).outputs)
        assert flow.run()[everywhere] == ([threading.get_ident()] * 3,) * 2
        task = Task(threading.get_ident, {})
        assert run([task], backend="processes") == [threading.get_ident()]
        assert list(stream([task])) == [(0, threading.get_ident())]

    def test_of_an_awaited_run_tasks_run_one_after_the_other(self, serial_runs: None) -> None:
        flow = Workflow()
        threads = flow.map(thread_of, range(5))
        assert len(set(asyncio.run(flow.arun())[threads])) == 1

    def test_it_holds_for_runs_of_other_threads(self, serial_runs: None) -> None:
        seen: list[bool] = []

        def serve() -> None:
            seen.extend(ident == threading.get_ident() for ident in run([Task(threading.get_ident, {})]))

        thread = threading.Thread(target=serve)
        thread.start()
        thread.join()
        assert seen == [True]

    def test_it_ends(self) -> None:
        with serial_runs(), serial_runs():
            pass
        assert run([Task(threading.get_ident, {})]) != [threading.get_ident()]

    def test_a_backend_that_does_not_exist_is_refused_all_the_same(self, serial_runs: None) -> None:
        with pytest.raises(ValueError, match="unknown backend"):
            run(words("a"), backend="thread")  # type: ignore[arg-type]


class TestFakeClock:
    def test_waits_between_attempts_pass_at_once(self, fake_clock: FakeClock) -> None:
        began = time.monotonic()
        policy = RetryPolicy(attempts=4, wait=3600, factor=2, max_wait=1e6, jitter=0)
        with inject(measure, failing(ConnectionError), attempts=3):
            assert run(words("abc"), retries=policy) == [3]
        assert fake_clock.passed == 3600 + 7200 + 14400
        assert time.monotonic() - began < 60

    def test_a_rate_is_kept_in_fake_time(self, fake_clock: FakeClock) -> None:
        limit = Limit("api", per_second=2)
        flow = Workflow()
        starts = flow.map(task(limits=[limit])(_now), [fake_clock] * 21)
        times = flow.run()[starts]
        assert all(later - earlier >= 1 for earlier, later in zip(times, times[2:], strict=False))
        assert fake_clock.passed == pytest.approx(10, abs=0.1)

    @pytest.mark.parametrize("retries", [0, 2])
    def test_a_task_is_ended_at_its_timeout(self, fake_clock: FakeClock, retries: int) -> None:
        flow = Workflow()
        slept = flow.add(
            task(timeout=30, retries=RetryPolicy(attempts=retries + 1, wait=1, factor=1, jitter=0))(_nap)(
                fake_clock, 100
            )
        )
        run = flow.run(raise_failures=False)
        assert run.outcome(slept).state == "timed out"
        assert run.outcome(slept).duration == pytest.approx(30)
        assert fake_clock.passed == 30 * (retries + 1) + retries

    def test_a_task_that_is_quick_enough_is_not(self, fake_clock: FakeClock) -> None:
        naps = [Task(_nap, {"clock": fake_clock, "seconds": seconds}) for seconds in (29, 0, 7)]
        assert run(naps, timeout=30) == [29, 0, 7]
        assert fake_clock.passed == 36

    def test_a_run_is_ended_at_its_timeout(self, fake_clock: FakeClock) -> None:
        flow = Workflow()
        flow.map(lambda seconds: task(_nap)(fake_clock, seconds), [40, 40, 40])
        with pytest.raises(errors.RunTimeout):
            flow.run(timeout=100)
        assert fake_clock.passed == 100

    def test_one_waits_for_its_next_attempt_while_another_one_runs(self, fake_clock: FakeClock) -> None:
        tasks = [*words("abc"), Task(_nap, {"clock": fake_clock, "seconds": 50})]
        with inject(measure, failing(ConnectionError), attempts=1):
            assert run(tasks, retries=RetryPolicy(attempts=2, wait=10, jitter=0)) == [3, 50]
        assert fake_clock.passed == 50

    def test_what_hangs_without_a_timeout_is_an_error(self, fake_clock: FakeClock) -> None:
        with inject(measure, hang), pytest.raises(RuntimeError, match="task measure hangs, and no timeout"):
            run(words("abc"))

    def test_events_have_the_times_of_the_clock(self, fake_clock: FakeClock) -> None:
        with capture_events() as events, inject(measure, slow(60)):
            run(words("abc"))
        assert [round(event.at - events[0].at) for event in events] == [0, 60, 60]

    def test_time_is_real_again_afterwards(self) -> None:
        with FakeClock() as clock, serial_runs():
            clock.sleep(1e6)
            assert run(words("abc")) == [3]
        flow = Workflow()
        flow.add(double(1))
        assert flow.run().duration < 1000

    def test_a_clock_is_entered_once_at_a_time(self) -> None:
        with FakeClock() as clock, pytest.raises(RuntimeError, match="in force already"), clock:
            pass


def _now(clock: FakeClock) -> float:
    return clock.now


def _nap(clock: FakeClock, seconds: float) -> float:
    clock.sleep(seconds)
    return seconds


class TestFaults:
    @pytest.mark.parametrize("backend", WHERE)
    def test_a_crash_is_one_tasks_error(self, backend: Any) -> None:
        with inject("measure", _crash_at_b):
            first, second, third = run(words("a", "bb", "ccc"), backend=backend, return_exceptions=True)
        assert (first, third) == (1, 3)
        assert isinstance(second, errors.WorkerDied)
        assert "exit code 70" in str(second)

    @pytest.mark.parametrize("backend", ["threads", "processes"])
    def test_what_hangs_is_ended_by_its_timeout(self, backend: Any) -> None:
        with inject(measure, hang):
            [error] = run(words("a"), backend=backend, timeout=0.05, return_exceptions=True)
        assert isinstance(error, errors.TaskTimeout)

    def test_what_hangs_leaves_no_thread_behind_and_is_not_called_later(self) -> None:
        called = threading.Event()
        threads: list[threading.Thread] = []

        def hang_here(call: Callable[[], int]) -> Any:
            threads.append(threading.current_thread())
            return hang(called.set)

        with inject(measure, hang_here):
            run(words("a"), timeout=0.05, return_exceptions=True)
        # It goes back to its crew as soon as nothing is injected any more.
        assert _soon(lambda: run([Task(threading.current_thread, {})]) and not _is_at(threads[0], "hang"))
        assert not called.is_set()

    def test_what_hangs_in_a_serial_run_is_refused(self, serial_runs: None) -> None:
        with inject(measure, hang), pytest.raises(RuntimeError, match="can not be ended in a serial run"):
            run(words("a"))

    @pytest.mark.parametrize("backend", WHERE)
    def test_attempts_after_the_first_ones_are_spared(self, backend: Any) -> None:
        policy = RetryPolicy(attempts=3, wait=0)
        with capture_events() as events, inject(measure, failing(ConnectionError("down")), attempts=2):
            assert run(words("a", "bb"), backend=backend, retries=policy) == [1, 2]
        assert sorted(event.attempt for event in events if event.name == "task.retried") == [1, 1, 2, 2]

    def test_a_fault_happens_to_what_it_is_meant_for(self) -> None:
        flow = Workflow(failure="finish", raise_failures=False)
        plain, named = flow.add(double(1)), flow.add(double.options(name="special")(2))
        with inject("special", failing(OSError)):
            assert flow.run().counts == {"succeeded": 1, "failed": 1}
        with inject(double, failing(OSError)):
            assert flow.run().counts == {"failed": 2}
        assert flow.run()[plain] == 2
        assert flow.run()[named] == 4

    @pytest.mark.parametrize("backend", WHERE)
    def test_what_can_not_be_pickled_stops_at_the_border_of_a_process(self, backend: Any) -> None:
        with inject(measure, unpicklable_result):
            [result] = run(words("a"), backend=backend, return_exceptions=True)
        assert isinstance(result, errors.TransferError) == (backend == "processes")
        with inject(measure, unpicklable_error):
            [error] = run(words("a"), backend=backend, return_exceptions=True)
        assert isinstance(error, errors.RemoteError) == (backend == "processes")
        assert "it holds a lock" in str(error)

    def test_a_coroutine_is_slow_without_holding_up_the_others(self) -> None:
        flow = Workflow()
        flow.map(thread_of_coroutine, range(50))
        with inject(thread_of_coroutine, slow(0.2)):
            run = flow.run()
        assert 0.2 <= run.duration < 5

    def test_a_coroutine_that_hangs_is_ended(self) -> None:
        flow = Workflow(raise_failures=False)
        hanging = flow.add(thread_of_coroutine.options(timeout=0.05)(1))
        with inject(thread_of_coroutine, hang):
            assert flow.run().outcome(hanging).state == "timed out"

    def test_a_fault_is_inside_of_its_task(self) -> None:
        def tell(call: Callable[[], int]) -> Any:
            current = current_task()
            return current and (current.task, current.attempt, call())

        with inject(measure, tell):
            assert run(words("abc")) == [("measure", 1, 3)]


def _crash_at_b(call: Any) -> Any:
    return crash(call) if call.keywords["word"] == "bb" else call()


def _is_at(thread: threading.Thread, function: str) -> bool:
    import sys

    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None and frame.f_code.co_name != function:
        frame = frame.f_back
    return frame is not None


def _soon(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def test_a_fault_that_no_task_had_is_told() -> None:
    with pytest.warns(UserWarning, match="nothing was injected: no task wrods has run") as told, inject("wrods", crash):
        run(words("a"))
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(KeyError), inject("wrods", crash):
            raise KeyError("the test has another reason to fail")


class TestEvents:
    def test_events_of_all_runs_are_captured(self, captured_events: list[Event]) -> None:
        run(words("a", "bb"))
        flow = Workflow("doubles")
        flow.add(double(1))
        flow.run()
        assert [event.name for event in captured_events if event.workflow is None] == [
            "run.started",
            "task.finished",
            "task.finished",
            "run.finished",
        ]
        assert {event.task for event in captured_events if event.workflow == "doubles"} == {None, "double"}

    def test_it_ends(self) -> None:
        with capture_events() as outer:
            with capture_events() as inner:
                run(words("a"))
            seen = len(inner)
            run(words("a"))
        run(words("a"))
        assert (seen, len(inner), len(outer)) == (3, 3, 6)
