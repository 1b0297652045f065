"""Machines without room, programs without a guard, and other surroundings."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cotality.parallel._backends.processes.pool import default_pool
from tests.faults.harness import Program, Run
from tests.forks import CAN_FORK, STARTS_SECONDS, needs_forks

BOTH = pytest.mark.parametrize("backend", ["threads", "processes"])


# Room ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("warm", [False, True])
def test_descriptors_run_out(run: Run, warm: bool) -> None:
    """At every limit a call works or raises an OSError; afterwards, with room again, calls work and nothing is left."""
    # Without forks each worker is a new interpreter, which takes far longer.
    limits = "range(0, 40)" if CAN_FORK else "range(3, 40, 4)"
    run(
        f"""
        import resource

        def work(number):
            return bytes([number]) * 100_000

        def call():
            tasks = [Task(work, {{"number": n}}) for n in range(6)]
            return [content[0] for content in execute(tasks, max_workers=3, use_processes=True)]

        def main():
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            call()
            before, outcomes = None, []
            for more in list({limits}) * 2:
                if not {warm}:
                    for pid in set(execute([Task(os.getpid, {{}})] * 4, max_workers=3, use_processes=True)):
                        os.kill(pid, signal.SIGKILL)
                room = len(os.listdir("/proc/self/fd")) + more
                resource.setrlimit(resource.RLIMIT_NOFILE, (room, hard))
                try:
                    equal(call(), [0, 1, 2, 3, 4, 5])
                    outcomes.append(True)
                except OSError as error:
                    outcomes.append(False)
                finally:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                equal(call(), [0, 1, 2, 3, 4, 5])
                if more == 39 and before is None:
                    before = meters.held()
            after = meters.held()
            assert outcomes[-1], outcomes
            assert after["processes"] <= 5 and after["descriptors"] <= before["descriptors"] + 15, (before, after)
        """,
        deadline=3 * STARTS_SECONDS,
    )


@pytest.mark.parametrize("direction", ["arguments", "results"])
def test_many_large_values_and_few_descriptors(run: Run, direction: str) -> None:
    run(
        f"""
        import resource

        def give(content, size):
            return bytes(size)

        def main():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            sizes = (100_000, 1) if {direction == "arguments"} else (1, 100_000)
            tasks = (Task(give, {{"content": bytes(sizes[0]), "size": sizes[1]}}) for _ in range(2000))
            seen = 0
            for _, content in streaming(tasks, max_workers=2, use_processes=True):
                seen += len(content)
            equal(seen, 2000 * sizes[1])
        """
    )


def test_a_shortage_is_over_when_nothing_is_under_way() -> None:
    """What was under way may have been recalled instead of ending; then nothing else would ever end the wait."""
    backend = default_pool().open(1)
    try:
        backend._short = True
        assert backend.room() == 1
    finally:
        backend.close()


def test_program_with_thousands_of_open_files(run: Run) -> None:
    """More descriptors than ``select`` can look at."""
    run(
        """
        import resource

        def main():
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            if hard < 3000:
                return
            resource.setrlimit(resource.RLIMIT_NOFILE, (3000, hard))
            kept = [os.open(os.devnull, os.O_RDONLY) for _ in range(2000)]
            equal(execute([Task(abs, {}, positional=(-n,)) for n in range(9)], max_workers=2, use_processes=True),
                list(range(9)))
            found = execute(
                [Task(time.sleep, {}, positional=(30,)), Task(os._exit, {}, positional=(7,)),
                Task(abs, {}, positional=(-1,))],
                max_workers=2, use_processes=True, timeout=0.5, return_exceptions=True,
            )
            equal([type(item) for item in found], [errors.TaskTimeout, errors.WorkerDied, int])
            stream = streaming([Task(time.sleep, {}, positional=(0.2,))] * 9, max_workers=2, use_processes=True)
            next(stream)
            stream.close()
        """
    )


def _foreign_python() -> list[str]:
    """An interpreter that another user can run, with the same packages; root has no limit of processes."""
    if os.getuid() != 0 or not os.access("/usr/bin/python3.11", os.X_OK):
        pytest.skip("needs root and a system Python of the same version")
    return ["/usr/bin/python3.11"]


@pytest.fixture
def for_all() -> Iterator[Path]:
    """A folder that other users may use. Those of pytest are closed to them again whenever another pytest starts."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@pytest.mark.parametrize("backend", ["threads", "processes"])
@pytest.mark.parametrize("more", [0, 1, 2, 3])
def test_threads_and_processes_run_out(for_all: Path, backend: str, more: int) -> None:
    source = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    program = Program(
        for_all,
        f"""
        import resource

        def nap(number):
            time.sleep(0.01)
            return number

        def main():
            resource.setrlimit(resource.RLIMIT_NPROC, (1 + {more}, 1 + {more}))
            tasks = [Task(nap, {{"number": n}}) for n in range(20)]
            for turn in range(3):
                try:
                    equal(execute(tasks, max_workers=8, backend=BACKEND), list(range(20)))
                except OSError as error:
                    assert error.errno or "thread" in str(error), error
                    assert turn > 0 or {more} < (1 if BACKEND == "threads" else 2), error
        """,
        backend=backend,
        command=_foreign_python(),
        # A user of its own for each test: the limit counts what others have left, too.
        user=54000 + (16 * os.getpid() + 4 * more + len(backend)) % 9000,
        environment={"PYTHONPATH": os.pathsep.join([f"{source}/src", *filter(os.path.isdir, sys.path)])},
    )
    try:
        program.finish()
    finally:
        program.kill()


@pytest.mark.parametrize("what", ["argument", "result", "everything"])
def test_shared_memory_runs_out(run: Run, what: str) -> None:
    """A limit of file sizes refuses memory files as a full machine does: with an error, never with a SIGBUS."""
    run(
        f"""
        import resource

        def give(content, size):
            return bytes(size)

        def limit(size):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

        def main():
            if {what == "everything"}:
                limit(1000)
                error = raised(lambda: execute([Task(abs, {{}}, positional=(-1,))], use_processes=True))
                assert isinstance(error, OSError), repr(error)
                limit(resource.RLIM_INFINITY)
            else:
                limit(4_000_000)
                large = {{"content": bytes(5_000_000), "size": 1}} if {what == "argument"} else {{"content": b"",
                    "size": 5_000_000}}
                tasks = [Task(give, {{"content": b"", "size": 1}}), Task(give, large),
                    Task(give, {{"content": b"", "size": 3}})]
                found = execute(tasks, max_workers=2, use_processes=True, return_exceptions=True)
                equal([found[0], type(found[1]), found[2]], [bytes(1), errors.TransferError, bytes(3)])
                expected = "argument 'content'" if {what == "argument"} else "the task ran"
                assert expected in str(found[1]), found[1]
            equal(execute([Task(abs, {{}}, positional=(-1,))], use_processes=True), [1])
        """
    )


# Programs ------------------------------------------------------------------------------------------------------------


def test_script_without_a_guard(run: Run) -> None:
    ended = run(
        """
        from cotality.core.utils.process import Task, execute_tasks_in_parallel

        def double(number):
            return 2 * number

        print("top")
        print(execute_tasks_in_parallel([Task(double, {"number": n}) for n in range(4)], use_processes=True))
        """,
        whole=True,
        code=None,
        end=False,
        stderr=".*",
    )
    assert ended.seconds < 8
    assert ended.stdout.count("top") <= 1 + len(os.sched_getaffinity(0))
    if "[0, 2, 4, 6]" not in ended.stdout:
        assert ended.code == 1
        assert 'if __name__ == "__main__":' in ended.stderr


def test_script_without_a_guard_and_with_a_class_of_its_own(run: Run) -> None:
    """What is defined in the script can only be found by importing the script: an error with the cure."""
    ended = run(
        """
        from cotality.core.utils.process import Task, execute_tasks_in_parallel

        class Number:
            def __init__(self, value):
                self.value = value

        def double(number):
            return Number(2 * number.value)

        print("top")
        found = execute_tasks_in_parallel([Task(double, {"number": Number(n)}) for n in range(4)], use_processes=True)
        print([number.value for number in found])
        """,
        whole=True,
        code=None,
        end=False,
        stderr=".*",
    )
    assert ended.seconds < 8
    if "[0, 2, 4, 6]" not in ended.stdout:
        assert ended.code == 1
        assert 'if __name__ == "__main__":' in ended.stderr


FUNCTIONS = """
from functools import partial, wraps

def plain(number):
    return 2 * number

def nested(factor):
    def inner(number):
        return factor * number
    return inner

def decorated(function):
    @wraps(function)
    def wrapper(number):
        return function(number)
    return wrapper

@decorated
def wrapped(number):
    return 2 * number

class Numbers:
    factor = 2
    def method(self, number):
        return self.factor * number
    @classmethod
    def of_class(cls, number):
        return cls.factor * number
    @staticmethod
    def static(number):
        return 2 * number
    def __call__(self, number):
        return self.factor * number

shadowed = plain
def plain_too(number):
    return 2 * number
hidden = plain_too
plain_too = None

ALL = [
    plain, nested(2), lambda number: 2 * number, partial(nested(2)), wrapped, wrapped.__wrapped__, Numbers().method,
    Numbers.of_class, Numbers.static, Numbers(), shadowed, hidden,
]
"""
CALL = """
if __name__ == "__main__":
    from cotality.core.utils.process import Task, execute_tasks_in_parallel as execute
    for number, function in enumerate(ALL):
        found = execute([Task(function, {"number": n}) for n in range(3)], max_workers=2, use_processes=True)
        assert found == [0, 2, 4], (number, found)
    print("the end")
"""


@pytest.mark.parametrize("how", ["script", "module", "standard input", "-c", "-m"])
def test_functions_of_all_kinds(run: Run, tmp_path: Path, how: str) -> None:
    """From the main script, a closure, a lambda, a method, as in a notebook, and decorated ones, by reference."""
    options: dict[str, object] = {}
    body = FUNCTIONS + CALL
    if how == "module":
        options["modules"] = {"functions": FUNCTIONS}
        body = "from functions import ALL\n" + CALL
    elif how == "standard input":
        options["through_stdin"] = True
    elif how == "-c":
        options["command"] = ["/bin/sh", "-c", 'exec "$0" -c "$(cat "$1")"', sys.executable]
    elif how == "-m":
        options["command"] = ["/bin/sh", "-c", 'exec "$0" -m program', sys.executable]
    run(body, whole=True, **options)


def test_notebook_cell(run: Run) -> None:
    """A main module without a file whose functions change from one cell to the next."""
    run(
        """
        import sys
        from cotality.core.utils.process import Task, execute_tasks_in_parallel as execute
        main = sys.modules["__main__"]
        del main.__file__
        main.__spec__ = None
        CELL = '''
        class Number:
            def __init__(self, value): self.value = value
        def work(number, factor=FACTOR):
            return Number(factor * number.value)
        found = execute([Task(work, {"number": Number(n)}) for n in range(4)], max_workers=2, use_processes=True)
        assert [number.value for number in found] == [FACTOR * n for n in range(4)]
        assert all(type(number) is Number for number in found)
        '''
        import textwrap
        for factor in (2, 3):
            exec(textwrap.dedent(CELL).replace("FACTOR", str(factor)), main.__dict__)
        print("the end")
        """,
        whole=True,
    )


def test_other_threads_hold_locks_while_workers_start(run: Run) -> None:
    run(
        """
        import logging, tempfile
        log = logging.getLogger("noise")
        log.addHandler(logging.FileHandler("noise"))
        over = threading.Event()
        mine = threading.Lock()

        def noise():
            while not over.is_set():
                with mine:
                    log.warning("noise")
                    print("noise", file=open(os.devnull, "w"))

        def work(number):
            with mine:
                logging.getLogger("noise").debug("quiet")
                return tempfile.gettempdir() and number

        def main():
            threads = [threading.Thread(target=noise) for _ in range(4)]
            for thread in threads:
                thread.start()
            try:
                for _ in range(5):
                    equal(execute([Task(work, {"number": n}) for n in range(8)], max_workers=3, use_processes=True),
                        list(range(8)))
                    for pid in set(execute([Task(os.getpid, {})] * 8, max_workers=3, use_processes=True)):
                        os.kill(pid, signal.SIGKILL)
            finally:
                over.set()
        """
    )


@BOTH
def test_calls_from_many_threads_at_once(run: Run, backend: str) -> None:
    run(
        """
        def work(number):
            return number

        def main():
            found = {}

            def call(number):
                tasks = [Task(work, {"number": number * 1000 + n}) for n in range(200)]
                for _ in range(3):
                    found[number] = execute(tasks, max_workers=2, backend=BACKEND)

            threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            equal(found, {number: [number * 1000 + n for n in range(200)] for number in range(8)})
        """,
        backend=backend,
    )


@needs_forks
@BOTH
def test_program_forks_with_warm_workers(run: Run, backend: str) -> None:
    run(
        """
        def work(number):
            return number

        def main():
            tasks = [Task(work, {"number": n}) for n in range(20)]
            equal(execute(tasks, max_workers=2, backend=BACKEND), list(range(20)))
            # Python 3.12 and later warn of it: the program is one that does it all the same.
            import warnings
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
            equal(execute(tasks, max_workers=2, backend=BACKEND), list(range(20)))
            if pid == 0:
                sys.exit(0)
            equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
            equal(execute(tasks, max_workers=2, backend=BACKEND), list(range(20)))
        """,
        backend=backend,
    )


@BOTH
def test_the_clock_jumps(run: Run, backend: str) -> None:
    run(
        """
        import time as clock
        days = iter(range(10**9))
        jumping = lambda: 1e9 + 86_400 * next(days) * (-1) ** next(days)

        def nap(number):
            time.sleep(0.05)
            return number

        def main():
            clock.time = jumping
            tasks = [Task(nap, {"number": n}) for n in range(8)]
            equal(execute(tasks, max_workers=2, backend=BACKEND, timeout=5, retries=2), list(range(8)))
            equal(len(list(streaming(tasks, max_workers=2, backend=BACKEND, timeout=5))), 8)
        """,
        backend=backend,
    )


@BOTH
@pytest.mark.parametrize("code", [0, 5])
def test_program_ends_with_a_half_read_stream(run: Run, backend: str, code: int) -> None:
    ended = run(
        f"""
        from itertools import count

        def nap(number):
            time.sleep(0.05 if number < 3 else 30)

        def main():
            global stream
            stream = streaming((Task(nap, {{"number": n}}) for n in count()), max_workers=2, backend=BACKEND)
            next(stream)
            sys.exit({code})
        """,
        backend=backend,
        code=code,
        end=False,
    )
    assert ended.seconds < 5


@BOTH
def test_program_ends_with_an_error_and_a_half_read_stream(run: Run, backend: str) -> None:
    ended = run(
        """
        def nap(number):
            time.sleep(0.05 if number < 3 else 30)

        def main():
            for index, _ in streaming([Task(nap, {"number": n}) for n in range(50)], max_workers=2, backend=BACKEND):
                raise LookupError("the program's own")
        """,
        backend=backend,
        code=1,
        end=False,
        stderr="(?:(?!Traceback).)*Traceback(?:(?!Traceback).)*LookupError: the program's own\n",
    )
    assert ended.seconds < 5


@BOTH
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("when", ["early atexit", "atexit", "thread", "finalizer"])
def test_call_at_exit(run: Run, backend: str, when: str, warm: bool) -> None:
    run(
        f"""
        import atexit, weakref

        def call():
            try:
                found = execute([Task(abs, {{}}, positional=(-n,)) for n in range(5)], max_workers=2, backend=BACKEND)
                equal(found, [0, 1, 2, 3, 4])
            except RuntimeError:
                pass

        class Late:
            def __del__(self):
                call()

        def late_thread():
            threading.main_thread().join()
            call()

        late = None
        if {when == "early atexit"}:
            # Before the library registers what ends its workers, so it runs after that.
            atexit.register(call)

        def main():
            global late
            if {warm}:
                call()
            if {when == "thread"}:
                threading.Thread(target=late_thread).start()
            elif {when == "finalizer"}:
                late = Late()
            elif {when == "atexit"}:
                atexit.register(call)
        """,
        backend=backend,
        # What a module's end has taken away is an error of the finalizer, not a hang.
        stderr=".*" if when == "finalizer" else "",
    )


def test_import(run: Run) -> None:
    run(
        """
        import logging, os, sys, threading, warnings

        def state():
            import atexit, signal
            return (
                threading.active_count(), sorted(os.listdir("/proc/self/fd")), logging.root.handlers[:],
                logging.getLogger("cotality").handlers[:], logging.root.level, signal.getsignal(signal.SIGINT),
                signal.getsignal(signal.SIGCHLD), len(warnings.filters), os.getcwd(), dict(os.environ), len(sys.path),
            )

        before = state()
        import cotality.core.utils.process
        import cotality.parallel
        assert state() == before, (before, state())
        assert not {"multiprocessing", "numpy", "structlog", "rich", "beartype", "asyncio"} & set(sys.modules)
        from cotality.parallel import ProcessExecutor, ThreadExecutor
        from cotality.parallel.errors import WorkerDied
        assert state()[:4] == before[:4], (before, state())
        print("the end")
        """,
        whole=True,
    )


def test_caller_stays_without_threads_of_ours(run: Run) -> None:
    """The process backend needs no thread in the caller, and what it keeps between calls is bounded."""
    run(
        """
        def work(number):
            return [number] * 1000

        def main():
            tasks = [Task(work, {"number": n}) for n in range(50)]
            execute([Task(time.sleep, {}, positional=(0.1,))] * 2, max_workers=2, use_processes=True)
            meters.no_growth(lambda: execute(tasks, max_workers=2, use_processes=True), calls=20)
            equal(threading.active_count(), 1)
        """
    )
