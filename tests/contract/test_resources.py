"""What calls leave behind in this process, and what they share."""

from __future__ import annotations

import contextvars
import os
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cotality.core.utils.process import Task, execute_tasks_in_parallel, execute_tasks_in_parallel_streaming
from cotality.parallel import ProcessExecutor, share, unshare
from cotality.parallel._backends.processes.handle import Handle
from cotality.parallel.errors import TaskTimeout
from cotality.parallel.foreseeing import capabilities_of
from tests.contract.functions import double, give, note, note_and_look_for, note_and_wait_for


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_calls_do_not_use_up_descriptors_or_threads(backend: Any) -> None:
    tasks = [Task(give, {"value": np.zeros(50_000)}) for _ in range(8)]
    for _ in range(3):
        execute_tasks_in_parallel(tasks, 2, backend=backend)
    before, threads = descriptors(), threading.active_count()
    for _ in range(20):
        execute_tasks_in_parallel(tasks, 2, backend=backend)
        next(execute_tasks_in_parallel_streaming(tasks, 2, backend=backend))
    assert descriptors() <= before + 2
    # A thread that is still on its way back does not serve the next call; forty calls would leave forty.
    assert threading.active_count() <= threads + 8


def test_a_second_call_finds_the_workers_of_the_first() -> None:
    tasks = [Task(pid_after, {"seconds": 0.05}) for _ in range(2)]
    first = set(execute_tasks_in_parallel(tasks, 2, use_processes=True))
    second = set(execute_tasks_in_parallel(tasks, 2, use_processes=True))
    assert first & second


def pid_after(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not tell how long a process ran")
def test_a_worker_that_runs_out_of_work_goes_to_sleep() -> None:
    """It stays awake a moment, in case that more comes; not until then."""
    (worker,) = execute_tasks_in_parallel([Task(os.getpid, {})], 1, use_processes=True)

    def nanoseconds() -> int:
        return int(Path(f"/proc/{worker}/schedstat").read_text().split()[0])

    deadline = time.monotonic() + 20
    while True:
        before = nanoseconds()
        time.sleep(0.05)
        if nanoseconds() == before:
            break
        assert time.monotonic() < deadline, "it never sleeps"


def start_slowly_unless_first(path: str) -> None:
    try:
        open(path, "x").close()
    except FileExistsError:
        time.sleep(0.3)


def test_a_worker_that_is_still_starting_when_a_stream_is_left_is_kept(tmp_path: Path) -> None:
    """It has nothing to do any more and will read so: to end it would be to start another one for the next call."""
    path = str(tmp_path / "first")
    with ProcessExecutor(2, start_method="spawn", initializer=start_slowly_unless_first, initargs=(path,)) as pool:
        before = children()
        tasks = [Task(double, {"x": n}) for n in range(8)]
        assert next(execute_tasks_in_parallel_streaming(tasks, 2, backend=pool, ordered=False))
        workers = children() - before
        assert len(workers) == 2
        assert execute_tasks_in_parallel(tasks, 2, backend=pool) == [2 * n for n in range(8)]
        assert children() - before == workers


def children() -> set[int]:
    """The processes that this one has started."""
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        # A thread may end between being listed and being asked.
        with suppress(OSError):
            found.update(map(int, path.read_text().split()))
    return found


def test_a_stream_that_was_left_keeps_nothing_borrowed(parallel_backend: Any) -> None:
    """The argument is large enough to be lent; some of its borrowers end while the stream is being closed."""
    able = capabilities_of(parallel_backend)
    assert able is not None
    for _ in range(10):
        data = np.zeros(50_000)
        alive = weakref.ref(data)
        stream = execute_tasks_in_parallel_streaming([Task(give, {"value": data})] * 8, 2, backend=parallel_backend)
        next(stream)
        stream.close()
        del stream, data
        if able.interrupts:
            # Others that were left may still be at it.
            assert alive() is None


def test_never_more_workers_than_tasks() -> None:
    pids = execute_tasks_in_parallel([Task(pid_after, {"seconds": 0.1}) for _ in range(3)], 10_000, use_processes=True)
    assert len(set(pids)) <= 3
    before = threading.active_count()
    execute_tasks_in_parallel([Task(double, {"x": n}) for n in range(3)], 10_000)
    assert threading.active_count() <= before + 3


place = contextvars.ContextVar("place", default="nowhere")


def read_place() -> str:
    found = place.get()
    place.set("changed by a task")
    return found


@pytest.mark.parametrize("backend", ["serial", "threads"])
def test_tasks_see_the_callers_context_and_can_not_change_it(backend: Any) -> None:
    token = place.set("here")
    try:
        assert execute_tasks_in_parallel([Task(read_place, {})] * 5, backend=backend) == ["here"] * 5
        assert place.get() == "here"
    finally:
        place.reset(token)


def total(data: Any, k: int) -> tuple[float, bool]:
    return float(data.sum()) + k, bool(getattr(data, "flags", None) is None or data.flags.writeable)


def test_a_large_array_arrives_mapped_and_read_only_and_goes_back_writable() -> None:
    data = np.arange(200_000.0)
    tasks = [Task(total, {"data": data, "k": k}) for k in range(20)]
    results = execute_tasks_in_parallel(tasks, 2, use_processes=True)
    assert results == [(data.sum() + k, False) for k in range(20)]
    (back,) = execute_tasks_in_parallel([Task(double, {"x": data})], use_processes=True)
    assert np.array_equal(back, 2 * data)
    back[0] = 7


def identity(data: Any) -> tuple[int, int]:
    return os.getpid(), id(data)


def test_a_large_object_is_built_once_per_worker() -> None:
    data = list(range(400_000))
    seen = execute_tasks_in_parallel([Task(identity, {"data": data}) for _ in range(30)], 2, use_processes=True)
    assert len(set(seen)) == len({pid for pid, _ in seen})


def append_and_count(data: list[int]) -> int:
    data.append(1)
    return len(data)


@pytest.mark.parametrize("size", [0, 10, 20_000])
def test_a_small_shared_object_is_each_tasks_own_in_processes(size: int) -> None:
    data = [0] * size
    tasks = [Task(append_and_count, {"data": data}) for _ in range(30)]
    assert execute_tasks_in_parallel(tasks, 2, use_processes=True) == [size + 1] * 30
    assert len(data) == size


def test_an_array_from_a_generator_of_tasks_is_lent_once() -> None:
    data = np.ones(400_000)
    tasks = (Task(identity, {"data": data}) for _ in range(30))
    seen = execute_tasks_in_parallel(tasks, 2, use_processes=True)
    assert len(set(seen)) == len({pid for pid, _ in seen})


def test_shared_memory_serves_many_calls_and_is_released() -> None:
    data = share(list(range(300_000)))
    before = descriptors()
    for _ in range(3):
        assert set(execute_tasks_in_parallel([Task(len, {}, positional=(data,))] * 4, use_processes=True)) == {300_000}
    unshare(data)
    assert descriptors() <= before + 8
    array = share(np.ones(100_000))
    held = descriptors()
    del array
    assert descriptors() == held - 1


@pytest.mark.parametrize("ordered", [True, False])
def test_leaving_a_stream_ends_what_runs_in_processes(tmp_path: Path, ordered: bool) -> None:
    path = tmp_path / "pids"

    def source() -> Any:
        yield Task(double, {"x": 1})
        while True:
            yield Task(note_pid_and_wait, {"path": str(path)})

    stream = execute_tasks_in_parallel_streaming(source(), 2, use_processes=True, ordered=ordered)
    assert next(stream) == (0, 2)
    started = time.monotonic()
    stream.close()
    assert time.monotonic() - started < 3
    for pid in path.read_text().split() if path.exists() else []:
        assert not os.path.exists(f"/proc/{pid}") or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]


def note_pid_and_wait(path: str) -> None:
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(60)


def test_one_long_task_does_not_hold_up_those_behind_it(parallel_backend: Any, tmp_path: Path) -> None:
    """Tiny tasks teach the engine to send batches; then one task waits for the last of its own batch."""
    path = str(tmp_path / "seen")
    tasks: list[Task[Any]] = [Task(double, {"x": n}) for n in range(3000)]
    tasks[2000] = Task(note_and_wait_for, {"path": path, "line": "long", "other": "last", "seconds": 30})
    tasks.append(Task(note_and_wait_for, {"path": path, "line": "last", "other": "last", "seconds": 1}))
    started = time.monotonic()
    results = execute_tasks_in_parallel(tasks, 2, backend=parallel_backend)
    assert results[2000] is True
    assert time.monotonic() - started < 15


def test_the_others_results_come_while_a_long_task_runs(parallel_backend: Any, tmp_path: Path) -> None:
    able = capabilities_of(parallel_backend)
    assert able is not None
    path = str(tmp_path / "notes")
    tasks: list[Task[Any]] = [Task(double, {"x": n}) for n in range(3000)]
    tasks[1500] = Task(
        note_and_look_for, {"path": path, "others": ["many", "all"], "seconds": 20 if able.recalls else 3}
    )
    results = execute_tasks_in_parallel_streaming(tasks, 2, ordered=False, backend=parallel_backend)
    arrived = 0
    for index, result in results:
        if index == 1500:
            seen = result
            continue
        arrived += 1
        if arrived in (1000, 2999):
            note(path, "many" if arrived == 1000 else "all")
    assert arrived == 2999
    # Elsewhere some have to wait behind it.
    assert seen == (["many", "all"] if able.recalls else ["many"])


def nested(depth: int, backend: str) -> int:
    if depth == 0:
        return 1
    tasks = [Task(nested, {"depth": depth - 1, "backend": backend}) for _ in range(2)]
    return sum(execute_tasks_in_parallel(tasks, 1, backend=backend))  # type: ignore[call-overload]


@pytest.mark.parametrize("inner", ["serial", "threads", "processes"])
def test_calls_within_tasks_do_not_deadlock(backend: Any, inner: str) -> None:
    tasks = [Task(nested, {"depth": 2, "backend": inner}) for _ in range(2)]
    assert execute_tasks_in_parallel(tasks, 1, backend=backend) == [4, 4]


def test_several_threads_may_call_at_once(parallel_backend: Any) -> None:
    results: dict[int, list[int]] = {}

    def call(number: int) -> None:
        results[number] = execute_tasks_in_parallel(
            [Task(double, {"x": n + number}) for n in range(300)], 2, backend=parallel_backend
        )

    callers = [threading.Thread(target=call, args=(n,)) for n in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert results == {number: [2 * (n + number) for n in range(300)] for number in range(6)}


def test_who_changes_a_large_argument_is_told_why_it_is_read_only() -> None:
    (error,) = execute_tasks_in_parallel(
        [Task(overwrite, {"array": np.zeros(10_000)})], use_processes=True, return_exceptions=True
    )
    assert isinstance(error, ValueError)
    assert any("larger than 64 KiB" in note for note in error.__notes__)


def overwrite(array: Any) -> None:
    array[0] = 1


def test_a_task_that_begins_when_the_one_before_runs_out_of_time_is_let_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, begun = tmp_path / "go", tmp_path / "begun"
    recall = Handle.recall

    def recall_late(handle: Handle, now: float) -> None:
        # The first task ends after it was found to be late, and before the worker can know.
        go.touch()
        wait_for(str(begun))
        recall(handle, now)

    monkeypatch.setattr(Handle, "recall", recall_late)
    with ProcessExecutor(1) as pool:
        backend = pool.open(1)
        backend.submit([(1, Task(wait_for, {"path": str(go)})), (2, Task(begin, {"path": str(begun)}))])
        while [ticket for ticket, _started in backend.running()] != [1]:
            time.sleep(0.001)
        backend.interrupt(1, TaskTimeout("too long"))
        endings: list[Any] = []
        while len(endings) < 2:
            endings += backend.collect(1.0)
        backend.close()
    assert [(planned[0], failure) for planned, failure, *_rest in endings] == [(1, None), (2, None)]


def wait_for(path: str) -> None:
    while not os.path.exists(path):
        time.sleep(0.001)


def begin(path: str) -> None:
    Path(path).touch()
    time.sleep(0.2)
