"""Workers that die, and what they must not take with them."""

from __future__ import annotations

import pytest

from tests.faults.harness import Run
from tests.forks import needs_forks

CRASHES = {
    "exit 0": ("os._exit(0)", "exit code 0"),
    "exit 7": ("os._exit(7)", "exit code 7"),
    "SIGSEGV": ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    "SIGABRT": ("os.abort()", "SIGABRT"),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", "SIGTERM"),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    "null pointer": ("__import__('ctypes').string_at(0)", "SIGSEGV"),
}

WORK = """
import os, signal, time

def work(number, how, secret=None):
    with open(f"run-{number}", "a") as file:
        file.write("x")
    if number == 3:
        exec(how)
    return number
"""


@pytest.mark.parametrize("crash", CRASHES)
def test_worker_dies(run: Run, crash: str) -> None:
    how, name = CRASHES[crash]
    run(
        f"""
        from concurrent.futures.process import BrokenProcessPool
        from work import work

        def main():
            tasks = [Task(work, {{"number": n, "how": {how!r}, "secret": "hunter2"}}) for n in range(8)]
            found = execute(tasks, max_workers=2, use_processes=True, return_exceptions=True)
            equal([n for n in range(8) if found[n] == n], [0, 1, 2, 4, 5, 6, 7])
            died = found[3]
            equal(type(died), errors.WorkerDied)
            assert isinstance(died, BrokenProcessPool)
            assert {name!r} in str(died), died
            assert ("possibly out of memory" in str(died)) == ({name!r} == "SIGKILL"), died
            assert "hunter2" not in told(died)
            equal([open(f"run-{{n}}").read() for n in range(8)], ["x"] * 8)
            equal(execute([Task(abs, {{}}, positional=(-n,)) for n in range(4)], use_processes=True), [0, 1, 2, 3])
        """,
        modules={"work": WORK},
    )


@pytest.mark.parametrize("return_exceptions", [True, False])
def test_error_of_a_dead_worker_names_the_task(run: Run, return_exceptions: bool) -> None:
    run(
        f"""
        from work import work

        def main():
            tasks = [Task(work, {{"number": n, "how": "os._exit(1)"}}) for n in range(8)]
            if {return_exceptions}:
                died = execute(tasks, use_processes=True, return_exceptions=True)[3]
            else:
                died = raised(lambda: execute(tasks, use_processes=True))
            equal(type(died), errors.WorkerDied)
            assert "work" in told(died).split() and "index 3" in told(died), told(died)
        """,
        modules={"work": WORK},
    )


def test_crash_in_the_middle_of_a_large_batch(run: Run) -> None:
    """Tiny tasks travel a thousand at a time: the one is blamed, none is lost, none runs twice."""
    run(
        """
        def tiny(number):
            if number in (5_000, 12_345):
                os._exit(3)
            return number

        def main():
            found = execute(
                [Task(tiny, {"number": n}) for n in range(20_000)], max_workers=2, use_processes=True,
                return_exceptions=True
            )
            equal([n for n in range(20_000) if found[n] != n], [5_000, 12_345])
            equal({type(found[n]) for n in (5_000, 12_345)}, {errors.WorkerDied})
        """
    )


def test_no_task_of_a_crashing_batch_runs_twice(run: Run) -> None:
    run(
        """
        def tiny(number, log):
            os.write(log_of(log), b"%d\\n" % number)
            if number % 100 == 99:
                os.kill(os.getpid(), signal.SIGKILL)
            return number

        opened = {}

        def log_of(path):
            if path not in opened:
                opened[path] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            return opened[path]

        def main():
            tasks = [Task(tiny, {"number": n, "log": os.path.abspath("log")}) for n in range(2_000)]
            found = execute(tasks, max_workers=2, use_processes=True, return_exceptions=True)
            equal([n for n in range(2_000) if found[n] != n], list(range(99, 2_000, 100)))
            equal(sorted(map(int, open("log").read().split())), list(range(2_000)))
        """
    )


def test_every_task_crashes_its_worker(run: Run) -> None:
    ended = run(
        """
        def crash(number):
            with open("started", "a") as file:
                file.write("x")
            os._exit(9)

        def main():
            tasks = [Task(crash, {"number": n}) for n in range(30)]
            found = execute(tasks, max_workers=2, use_processes=True, return_exceptions=True)
            equal([type(item) for item in found], [errors.WorkerDied] * 30)
            equal(open("started").read(), "x" * 30)
            equal(execute([Task(abs, {}, positional=(-1,))], use_processes=True), [1])
        """
    )
    assert ended.seconds < 8


def test_crashes_leave_nothing_behind(run: Run) -> None:
    run(
        """
        def crash(number):
            os._exit(9)

        def main():
            tasks = [Task(crash, {"number": n}) for n in range(3)]
            execute([Task(time.sleep, {}, positional=(0.2,))] * 2, max_workers=2, use_processes=True)
            meters.no_growth(lambda: execute(tasks, max_workers=2, use_processes=True, return_exceptions=True))
            meters.no_growth(lambda: raised(lambda: execute(tasks, max_workers=2, use_processes=True)))
        """
    )


def test_crash_is_retried_when_asked(run: Run) -> None:
    run(
        """
        def crash_once(number):
            try:
                os.close(os.open(f"attempt-{number}", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return number
            os._exit(1)

        def crash_always():
            with open("attempts", "a") as file:
                file.write("x")
            os._exit(1)

        def main():
            tasks = [Task(crash_once, {"number": n}) for n in range(4)]
            equal(execute(tasks, max_workers=2, use_processes=True, retries=1), [0, 1, 2, 3])
            died = raised(lambda: execute([Task(crash_always, {})], use_processes=True, retries=2))
            equal(type(died), errors.WorkerDied)
            assert "3" in told(died), told(died)
            equal(open("attempts").read(), "xxx")
        """
    )


def test_dies_while_megabytes_are_written_to_it(run: Run) -> None:
    run(
        """
        class Crash:
            def __init__(self, size):
                self.content = bytes(size)
            def __setstate__(self, state):
                os._exit(4)

        def take(value):
            raise AssertionError("never called")

        def main():
            tasks = [Task(take, {"value": Crash(20_000_000 + n)}) for n in range(3)]
            tasks.append(Task(len, {}, positional=(bytes(20_000_000),)))
            found = execute(tasks, max_workers=2, use_processes=True, return_exceptions=True)
            equal([type(item) for item in found], [errors.WorkerDied] * 3 + [int])
            assert all("did not start" in str(item) for item in found[:3]), found
        """
    )


def test_killed_in_the_middle_of_writing_its_result(run: Run) -> None:
    run(
        """
        import pickle

        class Killer:
            def __reduce__(self):
                os.kill(os.getpid(), signal.SIGKILL)

        def give(number):
            return [bytes(3_000_000), Killer() if number == 1 else number, bytes(3_000_000)]

        def main():
            tasks = [Task(give, {"number": n}) for n in range(5)]
            found = execute(tasks, max_workers=2, use_processes=True, return_exceptions=True)
            equal(type(found[1]), errors.WorkerDied)
            equal([item[1] for item in found if isinstance(item, list)], [0, 2, 3, 4])
            equal(execute([Task(len, {}, positional=("ab",))], use_processes=True), [2])
        """
    )


def test_killed_from_outside_at_any_moment(run: Run) -> None:
    """Workers are killed again and again while they send and receive: every task still has one result or one error."""
    run(
        """
        import random

        def echo(number, content):
            return number, os.getpid(), content

        def main():
            random.seed(7)
            pids = set()
            tasks = (Task(echo, {"number": n, "content": bytes(300 + 7000 * (n % 40))}) for n in range(1500))
            seen = {}
            for index, result in streaming(tasks, max_workers=2, use_processes=True, return_exceptions=True,
                ordered=False):
                assert index not in seen
                seen[index] = result
                if isinstance(result, Exception):
                    equal(type(result), errors.WorkerDied)
                else:
                    equal((result[0], len(result[2])), (index, 300 + 7000 * (index % 40)))
                    pids.add(result[1])
                if random.random() < 0.02:
                    for pid in list(pids)[-2:]:
                        try:
                            os.kill(pid, signal.SIGKILL)
                        except ProcessLookupError:
                            pass
                    pids.clear()
            equal(sorted(seen), list(range(1500)))
            assert sum(isinstance(result, Exception) for result in seen.values()) < 150
        """
    )


def test_idle_workers_are_killed_between_calls(run: Run) -> None:
    run(
        """
        def main():
            for _ in range(3):
                pids = set(execute([Task(os.getpid, {})] * 8, max_workers=2, use_processes=True))
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
        """
    )


@needs_forks
@pytest.mark.parametrize("when", ["between calls", "during a call"])
def test_fork_server_is_killed(run: Run, when: str) -> None:
    run(
        f"""
        def parent(seconds=0.0):
            time.sleep(seconds)
            return os.getppid()

        def crash():
            os._exit(5)

        def main():
            server, = set(execute([Task(parent, {{}})] * 2, use_processes=True))
            assert server != os.getpid()
            if {when!r} == "between calls":
                os.kill(server, signal.SIGKILL)
            else:
                threading.Timer(0.3, os.kill, (server, signal.SIGKILL)).start()
                equal(len(execute([Task(parent, {{"seconds": 0.3}})] * 4, max_workers=2, use_processes=True)), 4)
            found = execute([Task(crash, {{}}), Task(abs, {{}}, positional=(1,))], use_processes=True,
                return_exceptions=True)
            equal([type(item) for item in found], [errors.WorkerDied, int])
            assert len(execute([Task(parent, {{}})] * 4, max_workers=2, use_processes=True)) == 4
        """
    )


IMPORT_CRASH = {
    "exits": "os._exit(3)",
    "raises": "raise ValueError('not here')",
    "SystemExit": "sys.exit(3)",
}


@pytest.mark.parametrize("how", IMPORT_CRASH)
def test_module_that_cannot_be_imported_in_a_worker(run: Run, how: str) -> None:
    """No respawn storm and no hang: the task's error, or the function's code is sent instead."""
    ended = run(
        """
        import evil

        def main():
            found = execute([Task(evil.work, {})] * 3, max_workers=2, use_processes=True, return_exceptions=True)
            assert all(item == 1 or isinstance(item, Exception) for item in found), found
            equal(execute([Task(abs, {}, positional=(-1,))], use_processes=True), [1])
        """,
        modules={
            "evil": f"""
            import os, sys
            if os.environ.setdefault("CALLER", str(os.getpid())) != str(os.getpid()):
                {IMPORT_CRASH[how]}
            def work():
                return 1
            """
        },
    )
    assert ended.seconds < 10


def test_program_that_exits_when_a_worker_imports_it(run: Run) -> None:
    ended = run(
        """
        if __name__ != "__main__":
            os._exit(3)

        def work():
            return 1

        def main():
            found = execute([Task(work, {})] * 3, max_workers=2, use_processes=True, return_exceptions=True)
            assert all(isinstance(item, Exception) for item in found), found
            equal(execute([Task(abs, {}, positional=(-1,))], use_processes=True), [1])
        """
    )
    assert ended.seconds < 10


def test_deadline_while_a_function_is_imported(run: Run) -> None:
    """A worker that hangs before the task's first line is overdue as well."""
    ended = run(
        """
        import evil

        def main():
            found = execute([Task(evil.work, {})], use_processes=True, timeout=0.5, return_exceptions=True)
            equal(type(found[0]), errors.TaskTimeout)
        """,
        modules={
            "evil": """
            import os, time
            if os.environ.setdefault("CALLER", str(os.getpid())) != str(os.getpid()):
                time.sleep(60)
            def work():
                return 1
            """
        },
        deadline=10,
    )
    assert ended.seconds < 5


def test_task_closes_every_descriptor(run: Run) -> None:
    run(
        """
        def close_all():
            os.closerange(0, 200)

        def main():
            tasks = [Task(close_all, {}), *[Task(abs, {}, positional=(-n,)) for n in range(1, 5)]]
            found = execute(tasks, max_workers=2, use_processes=True, return_exceptions=True)
            assert found[0] is None or isinstance(found[0], errors.WorkerDied), found
            equal(found[1:], [1, 2, 3, 4])
        """,
        stderr=".*",
    )


@needs_forks
def test_task_forks(run: Run) -> None:
    """The child that comes out of a task answers for nobody."""
    run(
        """
        def fork(number):
            pid = os.fork()
            if pid == 0:
                return "the child"
            os.waitpid(pid, 0)
            return number

        def main():
            equal(execute([Task(fork, {"number": n}) for n in range(6)], max_workers=2, use_processes=True),
                list(range(6)))
        """
    )


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_deadline(run: Run, backend: str) -> None:
    run(
        """
        import logging
        logging.getLogger("cotality").addHandler(logging.NullHandler())

        def nap(seconds):
            time.sleep(seconds)
            return seconds

        def main():
            tasks = [Task(nap, {"seconds": s}) for s in (0.01, 30.0, 0.02, 0.03)]
            began = time.monotonic()
            found = execute(tasks, max_workers=2, backend=BACKEND, timeout=0.5, return_exceptions=True)
            assert 0.5 <= time.monotonic() - began < 2.5
            equal([found[0], type(found[1]), found[2], found[3]], [0.01, errors.TaskTimeout, 0.02, 0.03])
            assert isinstance(found[1], TimeoutError) and "0.5" in str(found[1]), found
            error = raised(lambda: execute(tasks, max_workers=2, backend=BACKEND, timeout=0.5))
            equal(type(error), errors.TaskTimeout)
            assert "nap" in told(error) and "index 1" in told(error), told(error)
        """,
        backend=backend,
    )


STUBBORN = {
    "ignores SIGTERM and SIGINT": """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            time.sleep(1)
        """,
    "catches everything": """
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        while True:
            try:
                time.sleep(1)
            except BaseException:
                pass
        """,
    "holds the GIL": """
        __import__("ctypes").PyDLL(None).sleep(60)
        """,
    "holds the GIL and ignores SIGTERM": """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        libc = __import__("ctypes").PyDLL(None)
        while True:
            libc.sleep(60)
        """,
    "is stopped": """
        os.kill(os.getpid(), signal.SIGSTOP)
        """,
}


@pytest.mark.parametrize("how", STUBBORN)
def test_deadline_of_a_stubborn_task(run: Run, how: str) -> None:
    ended = run(
        """
        from work import stay

        def main():
            began = time.monotonic()
            tasks = [Task(abs, {}, positional=(-1,)), Task(stay, {}), Task(abs, {}, positional=(-2,))]
            found = execute(tasks, max_workers=2, use_processes=True, timeout=0.5, return_exceptions=True)
            equal([found[0], type(found[1]), found[2]], [1, errors.TaskTimeout, 2])
            assert time.monotonic() - began < 4
        """,
        modules={"work": "import os, signal, time\ndef stay():" + STUBBORN[how].replace("\n        ", "\n    ")},
    )
    assert ended.seconds < 8


def test_deadline_of_an_argument_that_never_loads(run: Run) -> None:
    run(
        """
        class Slow:
            def __setstate__(self, state):
                time.sleep(60)

        def take(value):
            return 1

        def main():
            slow = Slow()
            slow.content = 1
            found = execute([Task(take, {"value": slow}), Task(take, {"value": 1})], use_processes=True, timeout=0.5,
                            return_exceptions=True)
            equal([type(item) for item in found], [errors.TaskTimeout, int])
        """
    )


def test_busy_worker_is_ended_when_a_call_is_given_up(run: Run) -> None:
    """Abandoned, a stubborn task is ended by force, and the call's end waits for no more than the grace."""
    run(
        """
        from work import stay, fail

        def main():
            began = time.monotonic()
            error = raised(lambda: execute([Task(stay, {}), Task(fail, {})], max_workers=2, use_processes=True))
            equal(type(error), ValueError)
            assert time.monotonic() - began < 4
            assert not os.path.exists(f"/proc/{open('ready').read()}")
        """,
        modules={
            "work": """
            import os, signal, time
            def stay():
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                with open("writing", "w") as file:
                    file.write(str(os.getpid()))
                os.rename("writing", "ready")
                time.sleep(60)
            def fail():
                while True:
                    try:
                        open("ready").close()
                        raise ValueError
                    except OSError:
                        time.sleep(0.01)
            """
        },
    )
