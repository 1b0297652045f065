"""Systems that lack, or refuse, what others have."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import pytest

from cotality.parallel import ProcessExecutor, Task
from cotality.parallel import run as run_tasks
from tests.docs.harness import ROOT, run_python
from tests.faults.harness import Run, Start
from tests.forks import METHODS


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the system has none")
def test_a_system_that_refuses_pidfds_has_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSYS, "refused")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with ProcessExecutor(1, start_method="spawn") as executor:
        assert run_tasks([Task(len, {}, positional=("ab",))], backend=executor) == [2]


LESS = """
import fcntl, os, select
del fcntl.F_SETSIG, os.memfd_create, os.pidfd_open, os.sched_getaffinity, select.epoll
"""
"""Takes away what Linux has and other POSIX systems, such as macOS, have not; imported by every interpreter."""


@pytest.mark.parametrize("method", METHODS)
def test_a_system_that_is_not_linux_has_processes(run: Run, method: str) -> None:
    run(
        f"""
        from cotality.parallel import ProcessExecutor

        def work(number):
            if number == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            if number == 6:
                time.sleep(60)
            return bytes([number]) * 3_000_000

        def main():
            with ProcessExecutor(2, start_method={method!r}) as pool:
                found = execute([Task(work, {{"number": n}}) for n in range(12)], backend=pool, timeout=2,
                    return_exceptions=True)
            equal([type(each).__name__ if isinstance(each, Exception) else each[:1] for each in found],
                [bytes([n]) if n not in (5, 6) else "WorkerDied" if n == 5 else "TaskTimeout" for n in range(12)])
        """,
        modules={"sitecustomize": LESS},
    )


@pytest.mark.parametrize("method", METHODS)
def test_workers_end_with_a_caller_that_is_not_on_linux(start: Start, method: str) -> None:
    program = start(
        f"""
        from cotality.parallel import ProcessExecutor

        def work(number):
            print(f"at work {{number}}", flush=True)
            time.sleep(60)

        def main():
            with ProcessExecutor(2, start_method={method!r}) as pool:
                execute([Task(work, {{"number": n}}) for n in range(2)], backend=pool)
        """,
        modules={"sitecustomize": LESS},
    )
    program.wait_for("at work 0")
    program.interrupt(signal.SIGKILL)
    program.finish(code=-signal.SIGKILL, end=False)


def test_a_system_that_has_nothing_of_posix() -> None:
    """Every module can be imported there, and all but processes and journals work."""
    done = run_python("-m", "tests.architecture.bare_system", folder=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 150


def test_a_system_without_forks_has_threads() -> None:
    forkless = "import os; vars(os).pop('fork', 0); vars(os).pop('register_at_fork', 0); "
    code = forkless + "import cotality.parallel as parallel; parallel.ThreadExecutor(1).submit(print, 7).result()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "7\n"


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_development_mode_tells_of_nothing_that_was_left_open(run: Run, backend: str) -> None:
    run(
        """
        from cotality.parallel import ProcessExecutor, share, unshare
        from cotality.workflow import Workflow, task

        @task
        def large(size):
            return bytes(size)

        @task
        def length(data):
            return len(data)

        def main():
            data, shared = bytes(500_000), share(bytes(400_000))
            equal(execute([Task(len, {}, positional=(data,))] * 3, backend=BACKEND), [500_000] * 3)
            equal(execute([Task(len, {}, positional=(shared,))] * 3, backend=BACKEND), [400_000] * 3)
            unshare(shared)
            flow = Workflow(backend=BACKEND)
            made = large(900_000)
            lengths, kept = [flow.add(length(made.output)) for _ in range(3)], flow.add(large(800_000))
            run = flow.run()
            equal([run[each] for each in lengths], [900_000] * 3)
            equal(len(run[kept]), 800_000)
            with ProcessExecutor(2) as executor:
                equal(list(executor.map(len, [data, data])), [500_000] * 2)
        """,
        backend=backend,
        command=(sys.executable, "-X", "dev"),
    )
