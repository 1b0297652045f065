"""What our executors do beyond, or otherwise than, those of the standard library."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from cotality.core.utils.process import Task, execute_tasks_in_parallel
from cotality.parallel import ProcessExecutor, ThreadExecutor, run, worker_state
from cotality.parallel._backends.cpus import threads_compute
from cotality.parallel.errors import TransferError, WorkerDied, WorkerStartError
from tests.executors import functions
from tests.forks import METHODS, needs_forks

pytestmark = pytest.mark.usefixtures("no_survivors")

Make: TypeAlias = Callable[..., futures.Executor]
WAIT = 20
"""Seconds after which what is waited for will not come any more."""


@pytest.fixture(params=["threads", *METHODS])
def kind(request: pytest.FixtureRequest) -> Make:
    """Threads, or processes that are started in one of three ways."""
    return ThreadExecutor if request.param == "threads" else partial(ProcessExecutor, start_method=request.param)


@pytest.fixture
def make(kind: Make) -> Iterator[Make]:
    """Makes executors of one kind, which are shut down in the end."""
    made: list[futures.Executor] = []

    def make(*args: Any, **options: Any) -> futures.Executor:
        made.append(kind(*args, **options))
        return made[-1]

    yield make
    for executor in made:
        executor.shutdown(cancel_futures=True)


@pytest.fixture(params=METHODS)
def make_processes(request: pytest.FixtureRequest) -> Iterator[Callable[..., ProcessExecutor]]:
    made: list[ProcessExecutor] = []

    def make(*args: Any, **options: Any) -> ProcessExecutor:
        made.append(ProcessExecutor(*args, start_method=request.param, **options))
        return made[-1]

    yield make
    for executor in made:
        executor.shutdown(cancel_futures=True)


class Hold:
    """Calls that run until they are told to end; works for threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.gate = str(folder / "gate")

    def submit(self, executor: futures.Executor) -> futures.Future[str]:
        """Submit one, and return when it runs."""
        self._count += 1
        started = self._folder / f"started-{self._count}"
        future = executor.submit(functions.tell_and_wait, str(started), self.gate)
        functions.wait_for(str(started))
        return future

    def end(self) -> None:
        Path(self.gate).touch()


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    hold = Hold(tmp_path)
    yield hold
    hold.end()


def run_program(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)


def test_a_run_has_no_more_workers_than_the_executor(make: Make, tmp_path: Path) -> None:
    executor: Any = make(2)

    def most_at_once(workers: int) -> int:
        folder = tmp_path / f"{workers}"
        folder.mkdir()
        tasks = [Task(functions.count_at_once, {"folder": str(folder), "name": str(n)}) for n in range(6)]
        return max(run(tasks, backend=executor, max_workers=workers))

    assert most_at_once(5) <= 2
    assert most_at_once(1) == 1


# Results and failures ------------------------------------------------------------------------------------------------


def test_exception_that_is_returned_is_a_result(make: Make) -> None:
    executor = make(1)
    returned = executor.submit(functions.same, ValueError("a value"))
    raised = executor.submit(functions.fail, ValueError("a failure"))
    assert returned.exception(WAIT) is None
    assert isinstance(returned.result(), ValueError)
    with pytest.raises(ValueError, match=r"^a failure$"):
        raised.result(WAIT)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), StopIteration(1), GeneratorExit()])
def test_what_would_end_the_caller_is_the_future_s_exception(make: Make, error: BaseException) -> None:
    executor = make(1)
    found = executor.submit(functions.fail, error).exception(WAIT)
    assert type(found) is type(error)
    assert executor.submit(functions.same, 1).result(WAIT) == 1


def test_traceback_of_the_worker_is_told(make_processes: Callable[..., ProcessExecutor]) -> None:
    error = make_processes(1).submit(functions.fail, ValueError("here")).exception(WAIT)
    assert error is not None
    assert "raise error" in str(error.__cause__)


def test_not_callable(make: Make) -> None:
    not_callable: Any = 3
    with pytest.raises(TypeError, match="callable"):
        make(1).submit(not_callable)


def test_worker_that_dies_fails_its_own_call_only(make_processes: Callable[..., ProcessExecutor], hold: Hold) -> None:
    executor = make_processes(2)
    held = hold.submit(executor)
    calls = [executor.submit(functions.die) if n == 20 else executor.submit(functions.same, n) for n in range(40)]
    died = calls[20].exception(WAIT)
    assert isinstance(died, WorkerDied)
    assert isinstance(died, BrokenProcessPool)
    assert "SIGKILL" in str(died)
    assert "die" in "".join(died.__notes__)
    assert [call.result(WAIT) for n, call in enumerate(calls) if n != 20] == [n for n in range(40) if n != 20]
    hold.end()
    assert held.result(WAIT) == hold.gate


def test_worker_that_is_killed_from_outside(make_processes: Callable[..., ProcessExecutor]) -> None:
    executor = make_processes(1)
    before = executor.submit(os.getpid).result(WAIT)
    os.kill(before, signal.SIGKILL)
    # It may take the call yet, and fail it, or be replaced before.
    call = executor.submit(os.getpid)
    assert isinstance(call.exception(WAIT), WorkerDied) or call.result() != before
    assert executor.submit(os.getpid).result(WAIT) != before


@pytest.mark.parametrize("make_call", [(functions.same, functions.Unloadable()), (functions.make_unloadable,)])
def test_what_can_not_be_loaded(make_processes: Callable[..., ProcessExecutor], make_call: Any) -> None:
    executor = make_processes(1)
    error = executor.submit(*make_call).exception(WAIT)
    assert isinstance(error, TransferError)
    assert isinstance(error, BrokenProcessPool)
    assert isinstance(pickle.loads(pickle.dumps(error)), TransferError)
    assert executor.submit(functions.same, 1).result(WAIT) == 1


# Workers -------------------------------------------------------------------------------------------------------------


def test_initializer_with_a_queue(make_processes: Callable[..., ProcessExecutor]) -> None:
    queue: Any = multiprocessing.get_context("spawn").Queue()
    queue.put("a")
    queue.put("b")
    executor = make_processes(2, initializer=functions.take, initargs=(queue, "got "))
    found = {executor.submit(functions.token).result(WAIT) for _ in range(4)}
    assert found <= {"got a", "got b"}
    queue.cancel_join_thread()
    queue.close()


def test_initializer_that_raises(make: Make) -> None:
    executor = make(2, initializer=functions.refuse)
    call = executor.submit(functions.same, 1)
    error = call.exception(WAIT)
    assert isinstance(error, WorkerStartError)
    assert isinstance(error, futures.BrokenExecutor)
    with pytest.raises(WorkerStartError, match="initializer"):
        executor.submit(functions.same, 2)


def test_worker_state_lasts_as_long_as_the_worker(make: Make) -> None:
    executor = make(1)
    assert [executor.submit(functions.count_calls).result(WAIT)[1] for _ in range(4)] == [1, 2, 3, 4]
    assert "calls" not in worker_state()


@pytest.mark.parametrize("method", [method for method in METHODS if method != "fork"])
def test_max_tasks_per_child(method: Any) -> None:
    with ProcessExecutor(1, start_method=method, max_tasks_per_child=3) as executor:
        one_by_one = [executor.submit(functions.count_calls).result(WAIT) for _ in range(7)]
        at_once = [call.result(WAIT) for call in [executor.submit(functions.count_calls) for _ in range(20)]]
    assert [calls for _pid, calls in one_by_one] == [1, 2, 3, 1, 2, 3, 1]
    assert len({pid for pid, _calls in one_by_one}) == 3
    assert max(calls for _pid, calls in at_once) == 3


def test_memory_limit() -> None:
    with ProcessExecutor(1, memory_limit=256 * 2**20) as executor:
        small, large = executor.submit(functions.allocate, 2**20), executor.submit(functions.allocate, 2**30)
        assert isinstance(large.exception(WAIT), MemoryError)
        assert small.result(WAIT) == 2**20
        assert executor.submit(functions.allocate, 2**20).result(WAIT) == 2**20


def test_thread_names() -> None:
    def name() -> str:
        return threading.current_thread().name

    with ThreadExecutor(2, thread_name_prefix="mine") as executor:
        assert executor.submit(name).result(WAIT) in {"mine_0", "mine_1"}
    with ThreadExecutor(2) as executor:
        assert executor.submit(name).result(WAIT).startswith("ThreadExecutor-")


def test_no_context_variable_of_who_submits_first() -> None:
    whose = contextvars.ContextVar("whose", default="nobody")
    with ThreadExecutor(1) as executor:
        whose.set("the first")
        assert executor.submit(whose.get).result(WAIT) == "nobody"


@needs_forks
def test_forked_workers_run_their_own_exit_functions_only() -> None:
    program = run_program(
        "import atexit\n"
        "from cotality.parallel import ProcessExecutor\n"
        "atexit.register(print, 'end')\n"
        "with ProcessExecutor(2, start_method='fork') as executor:\n"
        "    print(executor.submit(pow, 2, 3).result())\n"
    )
    assert (program.stdout, program.stderr) == ("8\nend\n", "")


# As a pool and inside of others --------------------------------------------------------------------------------------


def test_as_backend(make: Make) -> None:
    executor: Any = make(2)
    tasks = [Task(functions.same, {"value": n}) for n in range(50)]
    assert execute_tasks_in_parallel(tasks, backend=executor) == list(range(50))
    assert executor.submit(functions.same, 1).result(WAIT) == 1
    assert execute_tasks_in_parallel(tasks, backend=executor) == list(range(50))
    executor.shutdown()
    with pytest.raises(RuntimeError, match="shutdown"):
        execute_tasks_in_parallel(tasks, backend=executor)


def test_as_backend_without_a_submit(make: Make) -> None:
    executor: Any = make(2)
    assert execute_tasks_in_parallel([Task(functions.same, {"value": 1})], backend=executor) == [1]


def test_asyncio(make: Make) -> None:
    executor = make(2)

    async def run() -> list[Any]:
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(executor, functions.same, n) for n in range(20)]
        failed = loop.run_in_executor(executor, functions.fail, ValueError("here"))
        return await asyncio.gather(*calls, failed, return_exceptions=True)

    *results, failure = asyncio.run(run())
    assert results == list(range(20))
    assert isinstance(failure, ValueError)


def test_submit_from_several_threads(make: Make) -> None:
    executor = make(2)
    results: dict[int, list[int]] = {}

    def submit(number: int) -> None:
        calls = [executor.submit(functions.same, 1000 * number + n) for n in range(300)]
        results[number] = [call.result(WAIT) for call in calls]

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [1000 * number + n for n in range(300)] for number in range(6)}


def test_submit_inside_of_a_thread() -> None:
    with ThreadExecutor(2) as executor:

        def outer(depth: int) -> futures.Future[Any] | int:
            return executor.submit(outer, depth - 1) if depth else 7

        inner: Any = executor.submit(outer, 5)
        for _ in range(6):
            inner = inner.result(WAIT)
        assert inner == 7


def test_executor_inside_of_a_worker() -> None:
    with ProcessExecutor(1) as executor:
        assert executor.submit(functions.nested, 2).result(WAIT) == 3


def test_submit_in_a_callback(make: Make) -> None:
    executor = make(1)
    done = threading.Event()
    executor.submit(functions.same, 1).add_done_callback(
        lambda _: executor.submit(functions.same, 2).add_done_callback(lambda _: done.set())
    )
    assert done.wait(WAIT)


def test_chunksize_of_map_is_checked_and_not_needed() -> None:
    with ProcessExecutor(1) as executor:
        assert list(executor.map(functions.same, range(10), chunksize=3)) == list(range(10))
        with pytest.raises(ValueError, match="chunksize"):
            executor.map(functions.same, range(10), chunksize=0)


def seconds_for_tiny_calls(kind: Make) -> float:
    with kind(2) as executor:
        executor.submit(functions.same, 0).result(WAIT)
        began = time.perf_counter()
        calls = [executor.submit(functions.same, n) for n in range(20_000)]
        assert [call.result(WAIT) for call in calls] == list(range(20_000))
        return time.perf_counter() - began


@needs_forks
def test_tiny_calls_in_processes_cost_less_than_the_standard_s() -> None:
    ours = min(seconds_for_tiny_calls(ProcessExecutor) for _ in range(2))
    assert ours < 0.8 * seconds_for_tiny_calls(futures.ProcessPoolExecutor)


def test_tiny_calls_in_threads_cost_about_what_the_standard_s_do() -> None:
    # There is no message to save here; the loop between the caller and the threads costs something.
    ours = min(seconds_for_tiny_calls(ThreadExecutor) for _ in range(2))
    assert ours < 4 * seconds_for_tiny_calls(futures.ThreadPoolExecutor)


# Ends ----------------------------------------------------------------------------------------------------------------


def test_cancel(make: Make, hold: Hold) -> None:
    executor = make(1)
    running = hold.submit(executor)
    calls = [executor.submit(functions.same, n) for n in range(100)]
    assert not running.cancel()
    assert calls[-1].cancel()
    hold.end()
    assert running.result(WAIT) == hold.gate
    assert [call.result(WAIT) for call in calls[:-1]] == list(range(99))
    assert calls[-1].cancelled()


def test_thread_calls_can_be_cancelled_until_they_start(hold: Hold) -> None:
    with ThreadExecutor(1) as executor:
        hold.submit(executor)
        calls = [executor.submit(functions.same, n) for n in range(3)]
        assert all(call.cancel() for call in calls)
        hold.end()


def test_shutdown_that_cancels(make: Make, hold: Hold) -> None:
    executor = make(1)
    running = hold.submit(executor)
    calls = [executor.submit(functions.same, n) for n in range(100)]
    executor.shutdown(wait=False, cancel_futures=True)
    assert calls[-1].cancelled()
    assert sum(call.cancelled() for call in calls) > 90
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(functions.same, 1)
    hold.end()
    executor.shutdown()
    assert running.result(WAIT) == hold.gate
    assert all(call.done() for call in calls)


def test_shutdown_without_waiting_ends_by_itself(make: Make, hold: Hold) -> None:
    executor = make(1)
    running = hold.submit(executor)
    calls = [executor.submit(functions.same, n) for n in range(10)]
    executor.shutdown(wait=False)
    hold.end()
    assert [call.result(WAIT) for call in calls] == list(range(10))
    assert running.result(WAIT) == hold.gate


def test_shutdown_ends_the_thread(make: Make) -> None:
    with make(2) as executor:
        executor.submit(functions.same, 1)
    assert not [thread for thread in threading.enumerate() if thread.name == "cotality-executor"]
    executor.shutdown()


def test_executor_that_is_dropped(kind: Make, hold: Hold) -> None:
    executor = kind(1)
    running = hold.submit(executor)
    calls = [executor.submit(functions.same, n) for n in range(10)]
    gone = weakref.ref(executor)
    del executor
    gc.collect()
    assert gone() is None
    hold.end()
    assert [call.result(WAIT) for call in calls] == list(range(10))
    assert running.result(WAIT) == hold.gate


def test_nothing_is_kept_of_calls_that_ended(make: Make) -> None:
    executor = make(1)
    argument = functions.Method()
    gone = threading.Event()
    weakref.finalize(argument, gone.set)
    # Kept is neither the argument nor the object of a bound method.
    executor.submit(functions.same, argument)
    executor.submit(argument.method)
    del argument
    until = time.monotonic() + WAIT
    while not gone.wait(0.05) and time.monotonic() < until:
        if threads_compute():
            # Without the global lock a thread lets go of what it has made, and others have dropped, when it runs again.
            executor.submit(functions.same, 0)
    assert gone.is_set()


@pytest.mark.parametrize(
    "executor", ["ThreadExecutor(2)", *(f"ProcessExecutor(2, start_method={m!r})" for m in METHODS)]
)
@pytest.mark.parametrize("ending", ["", "executor.shutdown(wait=False)", "del executor"])
def test_end_of_the_program(executor: str, ending: str) -> None:
    program = run_program(
        "import time\n"
        "from cotality.parallel import ProcessExecutor, ThreadExecutor\n"
        f"executor = {executor}\n"
        "calls = [executor.submit(time.sleep, 0.1) for _ in range(6)]\n"
        "calls[-1].add_done_callback(lambda _: print('all'))\n"
        f"{ending}\n"
    )
    assert (program.returncode, program.stdout, program.stderr) == (0, "all\n", "")


@needs_forks
def test_executor_at_work_in_a_forked_child(make: Make) -> None:
    executor = make(1)
    executor.submit(functions.same, 1).result(WAIT)
    child = os.fork()
    if child == 0:
        try:
            executor.submit(functions.same, 1)
        except RuntimeError:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("executor", [ThreadExecutor, ProcessExecutor])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_workers": 0}, ValueError),
        ({"max_workers": 1.5}, TypeError),
        ({"initializer": 3}, TypeError),
    ],
)
def test_bad_options(executor: Any, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        executor(**options)


@pytest.mark.parametrize(
    "options",
    [{"start_method": "magic"}, {"max_tasks_per_child": 0}, {"start_method": "fork", "max_tasks_per_child": 3}],
)
def test_bad_options_of_processes(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"start_method|max_tasks_per_child"):
        ProcessExecutor(**options)
