"""What a task can do besides raising and dying."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.faults.harness import Run

BOTH = pytest.mark.parametrize("backend", ["threads", "processes"])
ALL = pytest.mark.parametrize("backend", ["serial", "threads", "processes"])

RESULTS = {
    "cannot be pickled": """
        def give():
            return {"one": [1, threading.Lock()]}
        """,
    "exits when pickled": """
        class Odd:
            def __reduce__(self):
                raise SystemExit
        def give():
            return {"one": [1, Odd()]}
        """,
    "raises when unpickled": """
        class Odd:
            def __setstate__(self, state):
                raise ValueError
        def give():
            odd = Odd()
            odd.content = 1
            return odd
        """,
    "exits when unpickled": """
        class Odd:
            def __setstate__(self, state):
                raise SystemExit
        def give():
            odd = Odd()
            odd.content = bytes(200_000)
            return odd
        """,
    "is a generator": """
        def give():
            return (n for n in range(3))
        """,
    "is nested too deeply": """
        def give():
            nested = []
            for _ in range(100_000):
                nested = [nested]
            return nested
        """,
    "has hostile attributes and cannot be pickled": """
        class Odd:
            def __getattribute__(self, name):
                if name.startswith("__reduce"):
                    raise TypeError("cannot pickle")
                raise LookupError(name)
        def give():
            return Odd()
        """,
}


@pytest.mark.parametrize("what", RESULTS)
def test_result_that_cannot_travel(run: Run, what: str) -> None:
    from textwrap import dedent

    run(
        f"EXITS = {what == 'exits when pickled'}\n"
        + dedent(RESULTS[what])
        + dedent(
            """
            def main():
                tasks = [Task(abs, {}, positional=(-1,)), Task(give, {}), Task(abs, {}, positional=(-2,))]
                found = execute(tasks, max_workers=2, use_processes=True, return_exceptions=True)
                equal([found[0], found[2]], [1, 2])
                # An exit stays an exit, as anywhere in a task, and says when it was.
                kind = errors.RemoteError if EXITS else errors.TransferError
                equal(type(found[1]), kind)
                assert "the task ran" in str(found[1]) + told(found[1].__cause__), found[1]
                error = raised(lambda: execute(tasks, max_workers=2, use_processes=True))
                equal(type(error), kind)
                assert "give" in told(error) and "index 1" in told(error), told(error)
            """
        ),
    )


ARGUMENTS = {
    "holds a lock": (
        """
        class Box:
            def __init__(self):
                self.inner = {"key": [1, threading.Lock()]}
        """,
        ["argument 'box'", ".inner", "['key']", "[1]", "lock"],
    ),
    "raises when pickled": (
        """
        class Box:
            def __reduce__(self):
                raise ValueError
        """,
        ["argument 'box'", "Box"],
    ),
    "exits when pickled": (
        """
        class Box:
            def __reduce__(self):
                raise SystemExit
        """,
        ["argument 'box'", "Box"],
    ),
    "raises when unpickled": (
        """
        class Box:
            def __init__(self):
                self.content = 1
            def __setstate__(self, state):
                raise ValueError
        """,
        ["argument 'box'", "ValueError"],
    ),
    "exits when unpickled": (
        """
        class Box:
            def __init__(self):
                self.content = 1
            def __setstate__(self, state):
                sys.exit(3)
        """,
        ["argument 'box'", "SystemExit"],
    ),
    "has hostile attributes and cannot be pickled": (
        """
        class Box:
            def __getattribute__(self, name):
                if name.startswith("__reduce"):
                    raise TypeError("cannot pickle")
                raise LookupError(name)
        """,
        ["argument 'box'"],
    ),
    "is a closure with an empty cell and a lock": (
        """
        def Box():
            lock = threading.Lock()
            def function():
                return lock, empty
            if lock is None:
                empty = 1
            return function
        """,
        ["argument 'box'"],
    ),
}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("what", ARGUMENTS)
def test_argument_that_cannot_travel(run: Run, what: str, large: bool) -> None:
    from textwrap import dedent

    source, parts = ARGUMENTS[what]
    run(
        dedent(source)
        + dedent(
            f"""
            def take(box, secret):
                open("started", "w").close()

            def main():
                box = [Box(), bytes(200_000)] if {large} else Box()
                tasks = [Task(abs, {{}}, positional=(-1,)), Task(take, {{"box": box, "secret": "hunter2"}})]
                tasks += [Task(abs, {{}}, positional=(-2,))]
                found = execute(tasks, max_workers=2, use_processes=True, return_exceptions=True)
                equal([found[0], found[2]], [1, 2])
                equal(type(found[1]), errors.TransferError)
                assert "did not start" in str(found[1]) and not os.path.exists("started"), found[1]
                for part in {parts!r}:
                    assert part in str(found[1]), (part, str(found[1]))
                assert "hunter2" not in str(found[1])
                error = raised(lambda: execute(tasks, max_workers=2, use_processes=True))
                assert "take" in told(error) and "index 1" in told(error), told(error)
            """
        ),
    )


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("how", ["os._exit(6)", "os.kill(os.getpid(), signal.SIGSEGV)"])
def test_argument_that_crashes_the_worker_when_unpickled(run: Run, how: str, large: bool) -> None:
    run(
        f"""
        class Box:
            def __init__(self, content):
                self.content = content
            def __setstate__(self, state):
                {how}

        def take(box):
            open("started", "w").close()

        def main():
            box = Box(bytes(200_000 if {large} else 10))
            found = execute([Task(take, {{"box": box}}), Task(abs, {{}}, positional=(-2,))], use_processes=True,
                            return_exceptions=True)
            equal([type(item) for item in found], [errors.WorkerDied, int])
            assert "did not start" in str(found[0]) and not os.path.exists("started"), found[0]
            assert ("exit code 6" if "_exit" in {how!r} else "SIGSEGV") in str(found[0]), found[0]
        """
    )


@ALL
def test_hostile_results_and_arguments(run: Run, backend: str) -> None:
    run(
        """
        class Hostile:
            def refuse(self, *_):
                raise SystemExit("touched")
            __eq__ = __ne__ = __bool__ = __len__ = __lt__ = __contains__ = __iter__ = __str__ = __repr__ = refuse
            __hash__ = None

        def give(value=None):
            return value if value is not None else Hostile()

        def main():
            tasks = [Task(give, {}) for _ in range(30)] + [Task(give, {"value": Hostile()}) for _ in range(30)]
            for call in (execute, unordered):
                for found in (call(tasks, backend=BACKEND), call(tasks, backend=BACKEND, return_exceptions=True)):
                    assert [type(item) for item in found] == [Hostile] * 60
            assert [type(item) for _, item in streaming(tasks, backend=BACKEND)] == [Hostile] * 60
        """,
        backend=backend,
    )


@ALL
def test_callable_that_is_false(run: Run, backend: str) -> None:
    run(
        """
        class Empty:
            def __init__(self):
                self.names = []
            def __len__(self):
                return len(self.names)
            def __call__(self, number):
                return number

        class Hostile(Empty):
            def __bool__(self):
                raise ValueError

        def main():
            for make in (Empty, Hostile):
                equal(execute([Task(make(), {"number": n}) for n in range(3)], backend=BACKEND), [0, 1, 2])
        """,
        backend=backend,
    )


@BOTH
def test_arrays_and_data_frames(run: Run, backend: str) -> None:
    run(
        """
        import numpy, pandas

        def scale(array):
            return 2 * array

        def main():
            arrays = [numpy.arange(n) for n in (0, 3, 100_000)]
            found = execute([Task(scale, {"array": array}) for array in arrays], backend=BACKEND)
            assert all((item == 2 * array).all() for item, array in zip(found, arrays))
            frame, = execute([Task(scale, {"array": pandas.DataFrame({"a": range(50_000)})})], backend=BACKEND)
            equal(int(frame["a"].sum()), 2 * sum(range(50_000)))
        """,
        backend=backend,
    )


def test_leaves_threads_children_cwd_environment_and_umask(run: Run) -> None:
    ended = run(
        """
        import subprocess

        def litter(number):
            threading.Thread(target=time.sleep, args=(3,)).start()
            threading.Thread(target=time.sleep, args=(3,), daemon=True).start()
            subprocess.Popen(["sleep", "2"])
            os.chdir("/")
            os.environ["LITTER"] = "1"
            os.umask(0o777)
            sys.path.append("/litter")
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            return number

        def main():
            folder = os.getcwd()
            umask = os.umask(0)
            os.umask(umask)
            equal(execute([Task(litter, {"number": n}) for n in range(4)], max_workers=2, use_processes=True),
                [0, 1, 2, 3])
            equal(os.getcwd(), folder)
            assert "LITTER" not in os.environ and "/litter" not in sys.path
            equal(os.umask(umask), umask)
            equal(signal.getsignal(signal.SIGUSR1), signal.SIG_DFL)
            equal(threading.active_count(), 1)
        """
    )
    assert ended.seconds < 6


def test_starts_processes_of_its_own(run: Run) -> None:
    run(
        """
        import multiprocessing

        def child(queue):
            queue.put(os.getpid())

        def parent(number):
            context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
            queue = context.Queue()
            process = context.Process(target=child, args=(queue,))
            process.start()
            found = queue.get()
            process.join()
            return found != os.getpid() and number

        def main():
            equal(execute([Task(parent, {"number": n}) for n in range(1, 5)], max_workers=2, use_processes=True),
                [1, 2, 3, 4])
        """
    )


@BOTH
def test_prints_each_line_once(run: Run, backend: str) -> None:
    ended = run(
        """
        import subprocess

        def say(number):
            print(f"line {number}")
            if number % 10 == 0:
                os.system("true")
            if number == 33:
                print("no newline at the end", end="")

        def main():
            execute([Task(say, {"number": n}) for n in range(60)], max_workers=2, backend=BACKEND)
        """,
        backend=backend,
    )
    assert sorted(map(int, re.findall(r"line (\d+)", ended.stdout))) == list(range(60))
    assert ended.stdout.count("no newline at the end") == 1


def test_what_tasks_print_without_ending_the_line_is_out_before_the_call_ends(run: Run) -> None:
    ended = run(
        """
        def say(seconds):
            time.sleep(seconds)
            print("part", end=" ")

        def main():
            for count in (1, 2, 40):
                for seconds in (0, 0.02):
                    execute([Task(say, {"seconds": seconds}) for _ in range(count)], max_workers=2, use_processes=True)
                    print(count, flush=True)
        """
    )
    assert ended.stdout == "".join("part " * count + f"{count}\n" for count in (1, 1, 2, 2, 40, 40)) + "the end\n"


def test_what_a_worker_printed_before_it_crashed_is_kept(run: Run) -> None:
    ended = run(
        """
        def say(number):
            print(f"line {number}")
            os._exit(1)

        def main():
            execute([Task(say, {"number": n}) for n in range(3)], use_processes=True, return_exceptions=True)
        """
    )
    assert [ended.stdout.count(f"line {number}\n") for number in range(3)] == [1, 1, 1]


def test_reads_stdin(run: Run) -> None:
    run(
        """
        def read():
            return sys.stdin.read(), os.read(0, 10)

        def main():
            equal(execute([Task(read, {})] * 3, max_workers=2, use_processes=True), [("", b"")] * 3)
        """
    )


@BOTH
def test_stdout_is_none(run: Run, backend: str) -> None:
    run(
        """
        def say():
            print("nobody hears this")
            return sys.stdout is None

        def silence():
            sys.stdout = sys.stderr = sys.stdin = None
            return say()

        def main():
            shown, shown_too = sys.stdout, sys.stderr
            try:
                sys.stdout = sys.stderr = None
                found = execute([Task(say, {})] * 3 + [Task(silence, {})] * 3, max_workers=2, backend=BACKEND)
                equal(len(found), 6)
                equal(found[3:], [True] * 3)
            finally:
                sys.stdout, sys.stderr = shown, shown_too
        """,
        backend=backend,
    )


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- >&- 2>&-"])
@BOTH
def test_program_without_standard_streams(run: Run, backend: str, closed: str) -> None:
    ended = run(
        """
        def work(number):
            return number, bytes(100_000)

        def main():
            found = execute([Task(work, {"number": n}) for n in range(20)], max_workers=2, backend=BACKEND)
            open("seen", "w").write(str([number for number, _ in found] == list(range(20))))
        """,
        backend=backend,
        command=["/bin/sh", "-c", f'exec "$0" "$1" {closed}', sys.executable],
        end=False,
        code=None,
    )
    assert ended.code == 0
    assert ended.stdout in ("", "the end\n")


def test_program_without_standard_streams_gives_the_results(run: Run, tmp_path: Path) -> None:
    run(
        """
        def main():
            open("seen", "w").write(str(execute([Task(abs, {}, positional=(-n,)) for n in range(5)],
                use_processes=True)))
        """,
        command=["/bin/sh", "-c", 'exec "$0" "$1" <&- >&- 2>&-', sys.executable],
        end=False,
    )
    assert (tmp_path / "seen").read_text() == "[0, 1, 2, 3, 4]"


@pytest.mark.parametrize("outer", ["serial", "threads", "processes"])
@pytest.mark.parametrize("middle", ["threads", "processes"])
@pytest.mark.parametrize("inner", ["serial", "threads", "processes"])
def test_calls_this_library_again(run: Run, outer: str, middle: str, inner: str) -> None:
    run(
        f"""
        from nest import first

        def main():
            for workers in (1, 2):
                tasks = [Task(first, {{"number": n, "backends": {[middle, inner]!r},
                    "workers": workers}}) for n in range(3)]
                equal(execute(tasks, max_workers=workers, backend={outer!r}), [n * 100 + 22 for n in range(3)])
        """,
        modules={
            "nest": """
            from cotality.core.utils.process import Task, execute_tasks_in_parallel as execute

            def first(number, backends, workers):
                tasks = [Task(second, {"number": n, "backend": backends[1], "workers": workers}) for n in (1, 2)]
                return number * 100 + sum(execute(tasks, max_workers=workers, backend=backends[0]))

            def second(number, backend, workers):
                tasks = [Task(abs, {}, positional=(-n,)) for n in (number, 2 * number, number)]
                return sum(execute(tasks, max_workers=workers, backend=backend)) + 5
            """
        },
    )


def test_nested_calls_use_about_as_many_processes_as_there_are_cpus(run: Run) -> None:
    run(
        """
        from nest import first

        def main():
            cpus = len(os.sched_getaffinity(0))
            meters_of = [Task(first, {"number": n}) for n in range(2 * cpus)]
            execute(meters_of, use_processes=True)
            most = max(map(int, open("busy").read().split()))
            assert most <= 2 * cpus, most
        """,
        modules={
            "nest": """
            import os, time
            from cotality.core.utils.process import Task, execute_tasks_in_parallel as execute

            def first(number):
                execute([Task(second, {})] * 4, use_processes=True)

            def second():
                me = f"busy-{os.getpid()}"
                open(me, "w").close()
                time.sleep(0.05)
                with open("busy", "a") as file:
                    file.write(f"{sum(name.startswith('busy-') for name in os.listdir())} ")
                os.remove(me)
            """
        },
    )


def test_workers_of_a_nested_call_go_with_a_killed_worker(run: Run) -> None:
    run(
        """
        from nest import first

        def main():
            found = execute([Task(first, {})], use_processes=True, timeout=1.0, return_exceptions=True)
            equal(type(found[0]), errors.TaskTimeout)
            for _ in range(100):
                # The program and its own fork server.
                if meters.processes() <= 2:
                    return
                time.sleep(0.05)
            raise AssertionError(meters.processes())
        """,
        modules={
            "nest": """
            import time
            from cotality.core.utils.process import Task, execute_tasks_in_parallel as execute

            def first():
                execute([Task(time.sleep, {}, positional=(60,))] * 4, max_workers=2, use_processes=True)
            """
        },
    )


@BOTH
def test_many_megabytes_both_ways_at_once(run: Run, backend: str) -> None:
    run(
        """
        def echo(content):
            return content[::-1]

        def main():
            tasks = (Task(echo, {"content": bytes([n]) * 8_000_000}) for n in range(24))
            for index, content in streaming(tasks, max_workers=2, backend=BACKEND):
                assert content == bytes([index]) * 8_000_000
        """,
        backend=backend,
    )


@pytest.mark.parametrize("kind", ["argument", "result", "result in bytes"])
def test_more_than_two_gigabytes(run: Run, kind: str) -> None:
    if os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 12 << 30:
        pytest.skip("needs 12 GB of memory")
    if kind == "result in bytes" and not os.environ.get("COTALITY_SLOW_TESTS"):
        pytest.skip("copies 2 GiB several times: set COTALITY_SLOW_TESTS=1")
    run(
        f"""
        import numpy

        SIZE = (1 << 31) + 10

        def main():
            if {kind == "argument"}:
                task = Task(len, {{}}, positional=(numpy.zeros(SIZE, dtype="uint8"),))
            elif {kind == "result"}:
                task = Task(numpy.zeros, {{"shape": SIZE, "dtype": "uint8"}})
            else:
                task = Task(bytes, {{}}, positional=(SIZE,))
            found, one = execute([task, Task(abs, {{}}, positional=(-1,))], max_workers=2, use_processes=True,
                                 return_exceptions=True)
            equal(one, 1)
            if isinstance(found, Exception):
                assert isinstance(found, errors.TransferError) and "GiB" in str(found), repr(found)
            else:
                equal(found if {kind == "argument"} else len(found), SIZE)
        """,
        deadline=60,
    )
