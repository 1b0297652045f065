"""Workflows, end to end, on every backend."""

from __future__ import annotations

import asyncio
import gc
import itertools
import pickle
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cotality.parallel import Event
from cotality.parallel._observers.log import facts_of
from cotality.parallel.errors import (
    ArgumentError,
    CycleError,
    ReferenceMisuse,
    ResultNotKept,
    ResultRefused,
    RunCancelled,
    RunTimeout,
    TaskCancelled,
    TaskSkipped,
    TaskTimeout,
    UnknownTask,
    WorkerDied,
    WorkflowFailed,
)
from cotality.parallel.foreseeing import capabilities_of
from cotality.workflow import Limit, RetryPolicy, RunRecord, Task, Workflow, errors, task
from tests.contract import flows
from tests.contract.flows import add, fail, fail_if_odd, give, noted, numbers_to, sleep, total, wait
from tests.contract.lasting import lasting, patience

# Results -------------------------------------------------------------------------------------------------------------


def test_results_are_read_by_task(backend: Any) -> None:
    flow = Workflow(backend=backend)
    first = flow.add(add(1))
    second = flow.add(add(first.output, first.output))
    run = flow.run()
    assert (run[first], run[second]) == (2, 4)
    assert run.state == "succeeded"
    assert run.counts == {"succeeded": 2}
    outcome = run.outcome(second)
    assert (outcome.state, outcome.attempts, outcome.value, outcome.name) == ("succeeded", 1, 4, "add")
    assert outcome.duration >= 0
    assert outcome.waited >= 0
    assert outcome.worker
    assert "2 succeeded" in run.summary()


def test_outputs_inside_of_containers(backend: Any) -> None:
    flow = Workflow(backend=backend)
    one, two = give(1), give({"a": [2]})
    last = flow.add(give({"x": [one.output, (two.output["a"][0],)], "y": {one.output}}))
    assert flow.run()[last] == {"x": [1, (2,)], "y": {1}}


def test_a_map_over_a_list_that_only_the_run_knows(backend: Any) -> None:
    flow = Workflow(backend=backend)
    mapped = flow.map(add, numbers_to(50).output)
    whole = flow.add(total(mapped.outputs))
    assert flow.run()[whole] == sum(range(1, 51))


def test_maps_of_maps_of_several_iterables(backend: Any) -> None:
    flow = Workflow(backend=backend)
    first = flow.map(add, [1, 2, 3], (10, 20, 30))
    second = flow.map(add, first.outputs)
    nested = flow.map(lambda n: flow.map(add, range(n)), [1, 2])
    run = flow.run()
    assert run[second] == [12, 23, 34]
    assert run[nested] == [[1], [1, 2]]
    with pytest.raises(ResultNotKept, match=r"flow\.add"):
        run[first]


def test_gather(backend: Any) -> None:
    flow = Workflow(backend=backend)
    both = flow.gather(add(1).output, flow.map(add, [1, 2]).outputs)
    assert flow.run()[both] == (2, [2, 3])


def test_a_thousand_tasks_and_a_long_chain(backend: Any) -> None:
    flow = Workflow(backend=backend)
    ends = [flow.add(add(number)) for number in range(1000)]
    chained = add(0)
    for _ in range(300):
        chained = add(chained.output)
    flow.add(chained)
    run = flow.run()
    assert [run[end] for end in ends] == list(range(1, 1001))
    assert run[chained] == 301


CHAINS: dict[str, Callable[[int, int], Task[int]]] = {
    "by position": lambda number, before: flows.by_position(before, number),
    "by name": lambda number, before: flows.by_name(number=number, before=before),
    "in a row": lambda number, before: flows.in_a_row(number, before, 0),
    "in their order": lambda number, before: flows.in_their_order(z=number, a=before),
}


@pytest.mark.parametrize("kind", CHAINS)
def test_chains_by_every_kind_of_parameter(backend: Any, kind: str) -> None:
    """Two of them, so that a worker goes from one to the other within a batch."""
    flow = Workflow(backend=backend)
    ends, expected = [], []
    for first in (7, 8):
        last, value = CHAINS[kind](0, first), (3 * first) % 1000
        for number in range(1, 100):
            last, value = CHAINS[kind](number, last.output), (3 * value + number) % 1000
        ends.append(flow.add(last))
        expected.append(value)
    run = flow.run()
    assert [run[end] for end in ends] == expected


def test_methods_and_nested_functions(backend: Any) -> None:
    offset = 5

    @task
    def shifted(number: int) -> int:
        return number + offset

    flow = Workflow(backend=backend)
    nodes = [
        flow.add(shifted(1)),
        flow.add(flows.Scaler(3).scale(shifted(0).output)),
        flow.add(flows.Scaler.half(3)),
        flow.add(flows.Scaler.named(3)),
        flow.add(task(lambda number: number * offset)(2)),
    ]
    run = flow.run()
    assert [run[node] for node in nodes] == [6, 15, 1.5, "Scaler3", 10]


@pytest.mark.parametrize("ordered", [True, False])
def test_a_stream_hands_out_outcomes(backend: Any, ordered: bool) -> None:
    flow = Workflow(backend=backend)
    before = flow.add(give("before"))
    mapped = flow.map(add, range(30))
    after = flow.add(give("after"))
    with flow.stream(before, mapped, after, ordered=ordered) as stream:
        values = [outcome.value for outcome in stream]
    expected = ["before", *range(1, 31), "after"]
    assert values == expected if ordered else sorted(map(str, values)) == sorted(map(str, expected))
    assert stream.run.state == "succeeded"
    with pytest.raises(ResultNotKept):
        stream.run[before]


def test_a_stream_of_an_endless_map_can_be_left(backend: Any) -> None:
    taken = []

    def source() -> Any:
        for number in itertools.count():
            taken.append(number)
            yield number

    flow = Workflow(backend=backend, window=4)
    mapped = flow.map(add, source())
    with flow.stream(mapped) as stream:
        for outcome in stream:
            if outcome.value == 10:
                break
    assert stream.run.state == "cancelled"
    assert len(taken) <= 10 + 2 * 4 + 1
    stream.close()
    assert next(stream, None) is None


def test_nothing_is_started_before_a_stream_is_asked(backend: Any, tmp_path: Path) -> None:
    path = tmp_path / "seen"
    flow = Workflow(backend=backend)
    flow.add(noted(str(path), "x"))
    flow.stream().close()
    assert not path.exists()


def test_an_empty_workflow_gives_nothing_and_a_warning(backend: Any, caplog: pytest.LogCaptureFixture) -> None:
    flow = Workflow(backend=backend)
    assert flow.run().counts == {}
    assert list(flow.stream()) == []
    assert [record.levelname for record in caplog.records if record.name == "cotality"] == ["WARNING"] * 2


def test_what_can_not_be_read_says_why(backend: Any) -> None:
    flow = Workflow(backend=backend)
    hidden = add(1)
    flow.add(add(hidden.output))
    run = flow.run()
    with pytest.raises(ResultNotKept, match="add"):
        run[hidden]
    with pytest.raises(UnknownTask, match="not part of this run"):
        run[add(1)]
    with pytest.raises(UnknownTask, match="not for int"):
        run[1]  # type: ignore[call-overload]
    with pytest.raises(UnknownTask):
        next(flow.stream(add(5)))


def test_the_workflow_can_be_looked_at() -> None:
    flow = Workflow("looked at")
    first = add(1)
    second = flow.add(add(first.output))
    assert len(flow) == 2
    assert list(flow) == [first, second]
    assert first in flow
    assert add(1) not in flow
    assert "looked at" in repr(flow)
    with pytest.raises(TypeError, match="not int"):
        flow.add(5)  # type: ignore[type-var]
    with pytest.raises(ReferenceMisuse, match="add the task itself"):
        flow.add(first.output)  # type: ignore[type-var]


def test_a_circle_made_after_add_is_found_before_anything_runs(backend: Any, tmp_path: Path) -> None:
    path = tmp_path / "seen"
    flow = Workflow(backend=backend)
    first = noted(str(path), "x")
    second = flow.add(give(first.output))
    first.after(second)
    with pytest.raises(CycleError, match=r"noted → give → noted|give → noted → give"):
        flow.run()
    assert not path.exists()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_workers": 0}, ValueError),
        ({"max_workers": "2"}, TypeError),
        ({"max_workers": True}, TypeError),
        ({"window": 0}, ValueError),
        ({"timeout": -1}, ValueError),
        ({"failure": "never"}, TypeError),
        ({"failure": 0}, ValueError),
        ({"failure": 1.5}, ValueError),
        ({"failure": True}, TypeError),
        ({"backend": "nowhere"}, ValueError),
        ({"backend": 5}, TypeError),
        ({"retries": 3}, TypeError),
    ],
)
def test_bad_options_fail_at_once(options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Workflow(**options)
    with pytest.raises(error):
        Workflow().run(**options)


# Failures ------------------------------------------------------------------------------------------------------------


def test_fail_fast_raises_the_error_itself_and_starts_nothing_more(backend: Any, tmp_path: Path) -> None:
    path = tmp_path / "seen"
    flow = Workflow(backend=backend, max_workers=1)
    bad = flow.add(fail("its message"))
    for _ in range(5):
        flow.add(noted(str(path), "x").after(bad))
    with pytest.raises(ValueError, match="its message") as caught:
        flow.run()
    assert not path.exists()
    assert caught.value.__notes__[0] == "a note of its own"
    assert "in task fail (index 0)" in caught.value.__notes__[-1]
    assert "raise error" in "".join(traceback.format_exception(caught.value))


def test_finish_runs_everything_else_and_raises_a_group(backend: Any) -> None:
    flow = Workflow("nightly", backend=backend, failure="finish")
    top = flow.add(fail("top"))
    left, right = flow.add(give(top.output)), flow.add(give(top.output))
    bottom = flow.add(give([left.output, right.output]))
    other = flow.add(add(1))
    flow.add(fail("other"))
    with pytest.raises(WorkflowFailed, match="2 of 6 tasks of 'nightly' failed") as caught:
        flow.run()
    assert sorted(map(str, caught.value.exceptions)) == ["other", "top"]
    run = caught.value.run
    assert run[other] == 2
    assert run.state == "failed"
    for node in (left, right, bottom):
        assert run.outcome(node).state == "skipped"
        assert run.outcome(node).first_cause == "fail"
        with pytest.raises(TaskSkipped, match="fail failed") as skipped:
            run[node]
        assert str(skipped.value.__cause__) == "top"
    assert len(run.failures) == 2
    assert "failed: fail" in run.summary()
    assert caught.value.subgroup(ValueError).run is run  # type: ignore[union-attr]


def test_failures_beside_the_results(backend: Any) -> None:
    flow = Workflow(backend=backend, failure="finish", raise_failures=False)
    bad, good = flow.add(fail("bad")), flow.add(add(1))
    run = flow.run()
    assert run[good] == 2
    with pytest.raises(ValueError, match="bad"):
        run[bad]
    with pytest.raises(WorkflowFailed):
        run.raise_failures()


@pytest.mark.parametrize(("failure", "ends"), [(1, True), (2, False), (0.25, True), (0.5, False)])
def test_so_many_failures_are_borne(backend: Any, failure: float, ends: bool) -> None:
    flow = Workflow(backend=backend, failure=failure, raise_failures=False, max_workers=1)
    for number in range(4):
        flow.add(fail_if_odd(number))
    run = flow.run()
    assert (run.error is not None) == ends
    assert run.state == "failed"


def test_survivors_go_on(backend: Any) -> None:
    flow = Workflow(backend=backend)
    mapped = flow.map(fail_if_odd, range(4))
    whole = flow.add(flows.summary(mapped.outcomes))
    single = flow.add(flows.state_of(fail("x").outcome))
    run = flow.run()
    assert run[whole] == ["succeeded", "failed", "succeeded", "failed"]
    assert run[single] == "failed"
    assert run.state == "succeeded"
    assert [outcome.state for outcome in run.outcomes(mapped)] == run[whole]


def test_a_bad_item_is_that_items_failure(backend: Any) -> None:
    flow = Workflow(backend=backend, failure="finish", raise_failures=False)
    mapped = flow.map(add, give([1, "x", 3]).output)
    run = flow.run()
    assert [outcome.value for outcome in run.outcomes(mapped)] == [2, None, 4]
    assert isinstance(run.outcomes(mapped)[1].error, ArgumentError)
    with pytest.raises(TaskSkipped):
        run[mapped]


def test_a_value_of_the_wrong_type_is_the_consumers_error_without_the_value(backend: Any) -> None:
    flow = Workflow(backend=backend)
    flow.add(add(give("a secret").output))
    with pytest.raises(ArgumentError, match="argument 'left' must be int, not str") as caught:
        flow.run()
    assert "a secret" not in "".join(traceback.format_exception(caught.value))


def test_a_task_that_gives_a_task(backend: Any) -> None:
    flow = Workflow(backend=backend)
    flow.add(flows.gives_a_task())
    with pytest.raises(ReferenceMisuse, match=r"\.call"):
        flow.run()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, asyncio.CancelledError])
def test_what_would_end_the_caller_is_a_remote_error(parallel_backend: Any, kind: type[BaseException]) -> None:
    from cotality.parallel.errors import RemoteError

    def throw() -> None:
        raise kind

    flow = Workflow(backend=parallel_backend)
    flow.add(task(throw)())
    with pytest.raises(RemoteError, match=kind.__name__):
        flow.run()


def test_a_worker_that_dies_is_one_tasks_error() -> None:
    flow = Workflow(backend="processes", max_workers=2, failure="finish", raise_failures=False)
    dead = flow.add(flows.die())
    below = flow.add(give(dead.output))
    others = [flow.add(add(number)) for number in range(50)]
    run = flow.run()
    assert run.outcome(dead).state == "worker died"
    assert isinstance(run.outcome(dead).error, WorkerDied)
    assert run.outcome(below).state == "skipped"
    assert [run[other] for other in others] == list(range(1, 51))


# Retries, timeouts, limits -------------------------------------------------------------------------------------------


def test_retries(backend: Any, tmp_path: Path) -> None:
    flow = Workflow(backend=backend)
    quick = RetryPolicy(attempts=3, wait=0.001)
    node = flow.add(flows.flaky.options(retries=quick)(str(tmp_path / "a"), 3))
    run = flow.run()
    assert run[node] == 3
    assert run.outcome(node).attempts == 3


def test_the_error_tells_the_number_of_attempts(backend: Any, tmp_path: Path) -> None:
    flow = Workflow(backend=backend)
    flow.add(flows.flaky.options(retries=RetryPolicy(attempts=2, wait=0))(str(tmp_path / "a"), 9))
    with pytest.raises(ConnectionError, match="attempt 2") as caught:
        flow.run()
    assert caught.value.__notes__[-1].endswith("attempt 2")


def test_results_can_be_refused(backend: Any, tmp_path: Path) -> None:
    flow = Workflow(backend=backend)
    node = flow.add(flows.attempts_made.options(retries=flows.REFUSE_SMALL)(str(tmp_path / "a")))
    never = RetryPolicy(attempts=2, wait=0, on_result=lambda value: True)
    refused = flow.add(add.options(retries=never)(1))
    run = flow.run(failure="finish", raise_failures=False)
    assert run[node] == 3
    assert isinstance(run.outcome(refused).error, ResultRefused)


def test_objects_of_tenacity(backend: Any, tmp_path: Path) -> None:
    tenacity = pytest.importorskip("tenacity")
    policy = RetryPolicy(
        attempts=4,
        on=tenacity.retry_if_exception_type(ConnectionError),
        wait=tenacity.wait_exponential(multiplier=0.001, max=0.01) + tenacity.wait_random(0, 0.001),
    )
    flow = Workflow(backend=backend, failure="finish", raise_failures=False)
    node = flow.add(flows.flaky.options(retries=policy)(str(tmp_path / "a"), 3))
    other = flow.add(fail.options(retries=policy)("not of that type"))
    run = flow.run()
    assert run[node] == 3
    assert run.outcome(other).attempts == 1


def test_a_timeout_in_the_middle_of_a_workflow(parallel_backend: Any) -> None:
    flow = Workflow(backend=parallel_backend, max_workers=2, failure="finish", raise_failures=False)
    slow = flow.add(sleep.options(timeout=0.2)(lasting(parallel_backend)))
    below = flow.add(give(slow.output))
    others = [flow.add(add(number)) for number in range(20)]
    began = time.monotonic()
    run = flow.run()
    assert time.monotonic() - began < 15
    assert run.outcome(slow).state == "timed out"
    assert isinstance(run.outcome(slow).error, TaskTimeout)
    assert run.outcome(below).state == "skipped"
    assert [run[other] for other in others] == list(range(1, 21))


def test_a_timeout_of_a_coroutine_cancels_it() -> None:
    seen: list[str] = []

    @task(timeout=0.05)
    async def slow() -> None:
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    flow = Workflow(failure="finish", raise_failures=False)
    node = flow.add(slow())
    run = flow.run()
    assert run.outcome(node).state == "timed out"
    assert seen == ["cancelled"]


def test_a_run_has_a_timeout(parallel_backend: Any) -> None:
    flow = Workflow(backend=parallel_backend, max_workers=2)
    quick, slow, never = flow.add(add(1)), flow.add(sleep(lasting(parallel_backend))), add(2)
    flow.add(never.after(slow))
    # Workers of others may take longer to start than the run may last.
    warm = Workflow(backend=parallel_backend, max_workers=2)
    warm.add(*[sleep(0.01) for _ in range(4)])
    warm.run()
    seconds = patience(parallel_backend) + 0.2
    with pytest.raises(RunTimeout, match=f"{seconds:g} s") as caught:
        flow.run(timeout=seconds)
    run = caught.value.run
    assert run.state == "timed out"
    assert run[quick] == 2
    assert isinstance(run.outcome(never).error, TaskCancelled)
    assert isinstance(caught.value, TimeoutError)


def test_concurrency_is_limited_over_all_backends() -> None:
    limit = Limit("few", concurrency=2)
    lock, inside, most = threading.Lock(), [0], [0]

    def enter() -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.002)
        with lock:
            inside[0] -= 1

    @task(limits=[limit])
    def threaded() -> None:
        enter()

    @task(limits=[limit])
    async def awaited() -> None:
        await asyncio.sleep(0)
        enter()

    flow = Workflow(max_workers=8)
    for _ in range(20):
        flow.add(threaded())
        flow.add(awaited())
    flow.run()
    assert most[0] <= 2


def test_a_rate_holds_in_any_window(backend: Any, tmp_path: Path) -> None:
    flow = Workflow(backend=backend, max_workers=2)
    path = tmp_path / "starts"
    # What is loaded before the function's first line is no start of it, so it is loaded before.
    warm = [flows.note_the_time(str(tmp_path / "warm")) for _ in range(10)]
    for _ in range(9):
        flow.add(flows.note_the_time.options(limits=[Limit("rate", per_second=4)])(str(path)).after(*warm))
    flow.run()
    starts = sorted(map(float, path.read_text().split()))
    assert len(starts) == 9
    # Written down by the task, a moment after it has started, or been sent; and that is longer on a cluster.
    able = capabilities_of(backend)
    assert able is not None
    least = 0.9 if able.replaces else 0.6
    assert all(last - first > least for first, last in zip(starts, starts[4:], strict=False))


# Ending early --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["threads", "processes", "asyncio", "mixed", "retry in serial"])
def test_a_run_can_be_cancelled_from_another_thread(kind: str) -> None:
    flow = Workflow(backend="serial" if "serial" in kind else kind if kind in ("threads", "processes") else "threads")
    waiting = RetryPolicy(attempts=2, wait=60)
    if kind == "retry in serial":
        flow.add(fail.options(retries=waiting)("again"))
    if kind in ("asyncio", "mixed"):
        flow.add(wait(60))
    if kind not in ("asyncio", "retry in serial"):
        flow.add(fail.options(retries=waiting)("again"))
    last = flow.add(add(1))
    stream = flow.stream(last)
    assert next(stream).value == 2
    timer = threading.Timer(0.1, stream.run.cancel)
    timer.start()
    began = time.monotonic()
    with pytest.raises(RunCancelled) as caught:
        next(stream)
    assert time.monotonic() - began < 15
    assert caught.value.run is stream.run
    assert stream.run.state == "cancelled"
    timer.join()


def test_to_cancel_a_run_that_is_over_changes_nothing(backend: Any) -> None:
    flow = Workflow(backend=backend)
    node = flow.add(add(1))
    run = flow.run()
    run.cancel()
    assert run.state == "succeeded"
    assert run[node] == 2


def test_a_cancelled_run_need_not_raise(backend: Any) -> None:
    flow = Workflow(backend=backend, raise_failures=False)
    first, second = flow.add(add(1)), flow.add(add(2))
    stream = flow.stream(first, second)
    stream.run.cancel()
    assert list(stream) == []
    assert stream.run.outcome(first).state == "cancelled"


# Coroutines ----------------------------------------------------------------------------------------------------------


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop that counts how often another thread calls it."""

    calls = 0

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        self.calls += 1
        return super().call_soon_threadsafe(callback, *args, context=context)


def test_coroutines_run_a_thousand_at_once() -> None:
    room: list[None] = []
    flow = Workflow()
    for _ in range(1000):
        flow.add(flows.meet(1000, room))
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        runner.run(flow.arun())
        loop = runner.get_loop()
        assert isinstance(loop, CountingLoop)
    assert len(room) == 1000
    # Each call lets a busy event loop have the interpreter for 5 ms before the next one can start.
    assert loop.calls < 50


def test_no_more_coroutines_run_at_once_than_workers() -> None:
    room: list[None] = []
    flow = Workflow(backend="asyncio", max_workers=3)
    nodes = [flow.add(flows.crowd(room)) for _ in range(300)]
    run = flow.run()
    assert max(run[node] for node in nodes) == 3


@pytest.mark.parametrize("where", ["asyncio", "threads", "processes", "serial"])
def test_coroutine_functions_run_wherever_they_are_told_to(where: Any) -> None:
    flow = Workflow(backend="serial" if where == "serial" else "threads")
    first = wait.options(backend=where)(0.001, 5)
    last = flow.add(add(first.output))
    assert flow.run()[last] == 6


def test_arun_uses_the_callers_loop_and_does_not_hold_it_up() -> None:
    async def main() -> None:
        flow = Workflow()
        inner, plain = flow.add(flows.loop_id()), flow.add(sleep(0.3, "done"))
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        ticking = asyncio.create_task(tick())
        run = await flow.arun()
        ticking.cancel()
        assert run[inner] == (id(asyncio.get_running_loop()), threading.get_ident())
        assert run[plain] == "done"
        assert ticks > 10

    asyncio.run(main())


@pytest.mark.parametrize("ordered", [True, False])
def test_astream(backend: Any, ordered: bool) -> None:
    async def main() -> list[int]:
        flow = Workflow(backend=backend)
        mapped = flow.map(add, range(20))
        async with flow.astream(mapped, ordered=ordered) as stream:
            values = [outcome.value async for outcome in stream]
        assert stream.run.state == "succeeded"
        return values

    values = asyncio.run(main())
    assert values == list(range(1, 21)) if ordered else sorted(values) == list(range(1, 21))


def test_failures_of_arun_and_astream(backend: Any) -> None:
    async def main() -> None:
        flow = Workflow(backend=backend)
        flow.add(fail("its message"))
        with pytest.raises(ValueError, match="its message"):
            await flow.arun()
        stream = flow.astream()
        assert (await anext(stream)).state == "failed"
        with pytest.raises(ValueError, match="its message"):
            await anext(stream)

    asyncio.run(main())


def test_who_cancels_the_caller_cancels_the_run() -> None:
    seen: list[str] = []

    @task
    async def long() -> None:
        seen.append("started")
        try:
            await asyncio.sleep(60)
        finally:
            seen.append("ended")

    async def main() -> None:
        flow = Workflow()
        flow.add(long())
        running = asyncio.create_task(flow.arun())
        while not seen:
            await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert seen == ["started", "ended"]

    asyncio.run(main())


def test_an_astream_that_is_dropped_leaves_no_thread() -> None:
    async def main() -> None:
        flow = Workflow()
        mapped = flow.map(add, itertools.count())
        async for _outcome in flow.astream(mapped):
            break

    asyncio.run(main())
    gc.collect()
    until = time.monotonic() + 10
    while any(thread.name == "cotality-run" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_two_runs_in_one_event_loop() -> None:
    async def main() -> None:
        flow = Workflow()
        node = flow.add(add(wait(0.01, 1).output))
        runs = await asyncio.gather(*(flow.arun() for _ in range(5)))
        assert [run[node] for run in runs] == [2] * 5

    asyncio.run(main())


# Several backends and several runs -----------------------------------------------------------------------------------


def test_one_workflow_on_several_backends() -> None:
    flow = Workflow(max_workers=2)
    here = flow.add(flows.where())
    there = flow.add(flows.where.options(backend="processes")())
    caller = flow.add(flows.where.options(backend="serial")())
    async_one = wait(0.001, 1)
    last = flow.add(total([add.options(backend="processes")(async_one.output).output, async_one.output]))
    run = flow.run()
    assert run[last] == 3
    assert run[here][0] == run[caller][0] != run[there][0]
    assert run[caller][1] == threading.get_ident() != run[here][1]


def test_backends_do_not_wait_for_each_other() -> None:
    """What is waited at is rung by the others, whatever the order in which they are opened."""
    makers: list[Callable[[], Any]] = [
        lambda: add.options(backend="serial")(1),
        lambda: add.options(backend="threads")(1),
        lambda: add.options(backend="processes")(1),
        lambda: wait(0, 1),
    ]
    for first, second in itertools.permutations(makers, 2):
        flow = Workflow()
        node = first()
        for _ in range(30):
            node = give.options(backend=None)(second().after(node).output)
            node = first().after(node)
        flow.add(node)
        flow.run(timeout=20)


def test_serial_runs_everything_in_the_callers_thread() -> None:
    flow = Workflow(backend="serial")
    nodes = [flow.add(flows.where.options(backend=name)()) for name in ("threads", "processes", "asyncio")]
    inner = flow.add(flows.loop_id())
    run = flow.run()
    assert {run[node][1] for node in nodes} == {threading.get_ident()}
    assert run[inner][1] == threading.get_ident()


def test_one_task_in_two_workflows_and_two_runs_of_one(backend: Any) -> None:
    shared = add(1)
    first, second = Workflow(backend=backend), Workflow(backend=backend)
    first.add(shared)
    last = second.add(add(shared.output))
    runs = [first.run(), first.run()]
    assert [run[shared] for run in runs] == [2, 2]
    assert runs[0].id != runs[1].id
    assert second.run()[last] == 3


def test_two_runs_at_once(backend: Any) -> None:
    flow = Workflow(backend=backend)
    mapped = flow.map(add, list(range(50)))
    last = flow.add(total(mapped.outputs))
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(flow.run()[last])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [sum(range(1, 51))] * 3


def test_a_run_inside_of_a_task(backend: Any) -> None:
    def outer() -> int:
        flow = Workflow(backend="threads", max_workers=1)
        node = flow.add(flows.add(1))
        return flow.run()[node]

    flow = Workflow(backend=backend, max_workers=1)
    node = flow.add(task(outer)())
    assert flow.run()[node] == 2


@pytest.mark.parametrize("backend", ["serial", "threads"])
def test_context_variables_are_those_of_the_caller(backend: Any) -> None:
    token = flows.VARIABLE.set("set")
    try:
        flow = Workflow(backend=backend)
        plain, awaited = flow.add(flows.read_variable()), flow.add(flows.aread_variable())
        run = flow.run()
        assert (run[plain], run[awaited]) == ("set", "set")

        async def main() -> None:
            run = await flow.arun()
            assert (run[plain], run[awaited]) == ("set", "set")

        asyncio.run(main())
    finally:
        flows.VARIABLE.reset(token)


def test_a_dropped_result_is_not_taken_for_none() -> None:
    flow = Workflow()
    mapped = flow.map(task(abs), [-1, 2])
    with flow.stream(mapped) as outcomes:
        assert [outcome.result() for outcome in outcomes] == [1, 2]
        run = outcomes.run
    first, _second = run.outcomes(mapped)
    assert (first.state, first.kept, first.value) == ("succeeded", False, None)
    with pytest.raises(errors.ResultNotKept, match="was not kept"):
        first.result()


def test_an_iterator_that_is_used_up_is_an_error_and_no_empty_result() -> None:
    flow = Workflow()
    mapped = flow.map(task(abs), iter([-1, 2]))
    assert flow.run()[mapped] == [1, 2]
    with pytest.raises(ValueError, match="used up by an earlier run"):
        flow.run()


def test_what_is_given_in_the_place_of_a_task_is_named() -> None:
    flow = Workflow()
    added = flow.add(task(abs)(-1))
    run = flow.run()
    for ask in (run.outcome, run.__getitem__, flow.stream):
        with pytest.raises(errors.ReferenceMisuse, match="pass the task itself"):
            ask(added.output)  # type: ignore[operator]
    with pytest.raises(TypeError, match=r"run\.outcome\(task\)"):
        run.outcomes(added)  # type: ignore[arg-type]
    assert repr(run.outcome(added)) == "<Outcome of abs (index 0): succeeded>"


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError


def test_an_exception_that_can_not_be_shown_spoils_neither_summary_nor_repr() -> None:
    def raise_mute() -> None:
        raise Mute

    flow = Workflow()
    added = flow.add(task(raise_mute)())
    run = flow.run(raise_failures=False)
    assert "Mute: <its message can not be shown>" in run.summary()
    assert "Mute: <its message can not be shown>" in repr(run.outcome(added))


def test_a_stream_begins_when_its_first_outcome_is_asked_for() -> None:
    flow = Workflow("late")
    flow.add(task(lambda: 1)())
    with flow.stream() as stream:
        time.sleep(0.2)
        list(stream)
        assert stream.run.duration < 0.2
        (event,) = stream.run.events()
        assert event["start"] < 0.2


def test_what_tells_of_an_item_says_its_place_in_its_map(backend: Any, tmp_path: Any) -> None:
    flow = Workflow("places", backend=backend, failure="finish")
    alone = flow.add(flows.add(1))
    mapped = flow.map(flows.fail_if_odd, [0, 2, 4, 5])
    logged: list[Event] = []

    class Failures:
        def notice(self, events: Sequence[Event], /) -> None:
            logged.extend(event for event in events if event.name == "task.failed")

    run = flow.run(raise_failures=False, observers=[Failures()])
    failed = run.outcomes(mapped)[3]
    told = f"(item 3, index {failed.index})"
    assert (run.outcome(alone).place, failed.place, run.outcomes(mapped)[0].place) == (None, 3, 0)
    assert f"fail_if_odd {told}: " in run.summary()
    assert told in repr(failed)
    assert getattr(failed.error, "__notes__", []) == [f"in task fail_if_odd {told}"]
    assert {event["index"]: event["place"] for event in run.events()}[failed.index] == 3
    assert [event.place for event in logged] == [3]
    assert facts_of(logged[0])["place"] == 3
    assert pickle.loads(pickle.dumps(failed)).place == 3
    run.save(tmp_path / "run.json")
    assert RunRecord.load(tmp_path / "run.json").rows == run.record().rows


def test_a_summary_tells_failures_that_are_alike_once_and_messages_to_their_end() -> None:
    flow = Workflow("alike", backend="serial", failure="finish")
    flow.map(flows.fail, ["no room"] * 30)
    flow.add(flows.fail("very " * 60 + "long, and here is the cure"))
    told = flow.run(raise_failures=False).summary()
    assert told.count("no room") == 1
    assert "and 29 more for the same reason" in told
    assert "here is the cure" in told


class Large:
    """What a run has given, and nobody may keep."""


@task
def large() -> Large:
    return Large()


@pytest.mark.parametrize("journal", [False, True])
@pytest.mark.parametrize("where", ["serial", "threads", "processes", "mixed"])
def test_results_go_with_their_run_and_not_when_garbage_is_collected(where: str, journal: bool, tmp_path: Path) -> None:
    flow = Workflow("large", backend="processes" if where == "mixed" else where)  # type: ignore[arg-type]
    kept = flow.add(large.options(backend="threads" if where == "mixed" else None)())
    options: Any = {"journal": tmp_path / "run.db"} if journal else {}
    for _ in range(2):
        gc.collect()
        gc.disable()
        try:
            run = flow.run(**options)
            alive = weakref.ref(run[kept])
            del run
            # Threads may be on their way back.
            until = time.monotonic() + 5
            while alive() is not None and time.monotonic() < until:
                time.sleep(0.001)
            assert alive() is None
        finally:
            gc.enable()


def test_the_result_of_a_map_that_is_not_whole_leads_to_what_its_items_came_to(backend: Any) -> None:
    flow = Workflow(backend=backend, failure="finish")
    mapped = flow.map(flows.fail_if_odd, [0, 1])
    run = flow.run(raise_failures=False)
    for _ in range(2):
        with pytest.raises(errors.TaskSkipped) as caught:
            run[mapped]
        assert caught.value.__notes__ == ["run.outcomes(…) of the map tells what each of its items came to"]


def test_what_stands_for_an_item_is_called_as_the_others_are() -> None:
    flow = Workflow(failure="finish", max_workers=1)
    listed = flow.map(flows.fail_if_odd, [0, 1, 2])
    flow.map(lambda number: flows.add(number), listed.outputs)
    run = flow.run(raise_failures=False)
    assert {event["task"] for event in run.events() if event["state"] == "skipped"} == {"add"}
