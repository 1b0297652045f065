"""The standard library's own tests of executors, run against ours.

They are taken from the running interpreter, where it ships them: their executor types are exchanged for ours, and so
are the names in the programs that they start. Run as a program, this module runs the tests of one kind of executor
and writes what happened to a file.
"""

from __future__ import annotations

import faulthandler
import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import unittest
from collections.abc import Iterator
from concurrent import futures
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "test.test_concurrent_futures"
MODULES = ("as_completed", "deadlock", "init", "process_pool", "shutdown", "thread_pool", "wait")
"""All but ``future``, which is about futures and not about executors."""

SECONDS = 170

LEAST = {"ThreadPool": 35, "ProcessPoolFork": 46, "ProcessPoolForkserver": 46, "ProcessPoolSpawn": 46}
"""How many tests of each kind Python 3.13.0 has that are neither left out nor skipped by themselves."""

LEFT_OUT = {
    "ThreadPoolExecutorTest.test_default_workers": "reads _max_workers",
    "ThreadPoolExecutorTest.test_saturation": "counts _threads",
    "ThreadPoolExecutorTest.test_idle_thread_reuse": "counts _threads",
    "ThreadPoolShutdownTest.test_threads_terminate": "joins _threads",
    "ThreadPoolShutdownTest.test_thread_names_*": "reads the names of _threads",
    "*ShutdownTest.test_context_manager_shutdown": "joins _threads or _processes",
    "*ShutdownTest.test_del_shutdown": "joins _threads, _processes or _executor_manager_thread",
    "*ShutdownTest.test_shutdown_no_wait": "joins _threads, _processes or _executor_manager_thread",
    "*ShutdownTest.test_processes_terminate": "counts and joins _processes",
    "*FailingInitializerTest.test_initializer": "waits for _broken and reads the logger 'concurrent.futures'",
    "FailingInitializerResourcesTest.*": "runs the test of a failing initializer, which is left out",
    "*ProcessPoolExecutorTest.test_killed_child": "kills one of _processes",
    "*ProcessPoolExecutorTest.test_traceback": "wants a cause of the type _RemoteTraceback",
    "*ProcessPoolExecutorTest.test_saturation": "counts _processes",
    "*ProcessPoolExecutorTest.test_idle_process_reuse_*": "counts _processes",
    "ProcessPoolForkserver*.test_max_tasks_per_child": "counts _processes",
    "ProcessPoolSpawn*.test_max_tasks_per_child": "counts _processes",
    "*ProcessPoolExecutorTest.test_max_tasks_per_child_defaults_to_spawn_context": "reads _mp_context",
    "*ProcessPoolExecutorTest.test_python_finalization_error": "lets the second thread fail, and we start one only",
    "*DeadlockTest.test_shutdown_deadlock_pickle": "joins _executor_manager_thread",
    "*DeadlockTest.test_gh105829_*": "replaces _ExecutorManagerThread and _ThreadWakeup",
}
"""Which tests are not run, and why; what they are about is tested in ``test_executors`` where it concerns us."""

SKIPPED_BY_THEMSELVES = ("Windows-only process limit", "Incompatible with the fork start method.", "Hangs, see")

INSTEAD = {
    "concurrent.futures import ThreadPoolExecutor": "cotality.parallel import ThreadExecutor",
    "concurrent.futures import ": "cotality.parallel import ",
    "ThreadPoolExecutor(": "ThreadExecutor(",
}
"""What the programs that the tests start are made to say."""


# The part that runs in a process of its own ---------------------------------------------------------------------------


class _Result(unittest.TextTestResult):
    """Also remembers which tests have been run to their end."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.succeeded: list[str] = []

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self.succeeded.append(_name(test))


def _name(test: unittest.TestCase) -> str:
    return ".".join(test.id().split(".")[-2:])


def _exchange() -> None:
    """Put our executors in the place of the standard's, before a test module takes these over."""
    from cotality.parallel import ProcessExecutor, ThreadExecutor

    script_helper: Any = importlib.import_module("test.support.script_helper")
    mixins: Any = importlib.import_module(f"{PACKAGE}.util")
    mixins.ThreadPoolMixin.executor_type = ThreadExecutor
    for mixin in (mixins.ProcessPoolForkMixin, mixins.ProcessPoolForkserverMixin, mixins.ProcessPoolSpawnMixin):
        mixin.executor_type = ProcessExecutor
    standard: Any = futures
    standard.ThreadPoolExecutor, standard.ProcessPoolExecutor = ThreadExecutor, ProcessExecutor
    run_program = script_helper.assert_python_ok

    def run_ours(*arguments: str, **environment: Any) -> Any:
        for old, new in INSTEAD.items():
            arguments = tuple(argument.replace(old, new) for argument in arguments)
        return run_program(*arguments, **environment)

    script_helper.assert_python_ok = run_ours


def _keep_idle_threads() -> None:
    """Start the threads that the tests will use, for each of them looks for threads that it has left behind."""
    from cotality.parallel import ThreadExecutor
    from cotality.parallel._backends import crew

    crew.IDLE_SECONDS = 3600
    together = threading.Barrier(40)
    with ThreadExecutor(40) as executor:
        for _ in range(40):
            executor.submit(together.wait)


def _tests(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            yield from _tests(part)
        else:
            yield part


def _of_kind(kind: str, test: unittest.TestCase) -> bool:
    name = _name(test)
    other = kind == "ProcessPoolFork" and name.startswith("ProcessPoolForkserver")
    # What belongs to no kind counts once.
    return (name.startswith(kind) and not other) or (kind == "ThreadPool" and not name.startswith("ProcessPool"))


def run_kind(kind: str) -> dict[str, Any]:
    """Run the tests of one kind and tell what happened to each."""
    support: Any = importlib.import_module("test.support")
    _exchange()
    modules = [importlib.import_module(f"{PACKAGE}.test_{name}") for name in MODULES]
    found = [
        test
        for module in modules
        for test in _tests(unittest.defaultTestLoader.loadTestsFromModule(module))
        if _of_kind(kind, test)
    ]
    left_out = {_name(test) for test in found if any(fnmatchcase(_name(test), pattern) for pattern in LEFT_OUT)}
    _keep_idle_threads()
    runner = unittest.TextTestRunner(sys.stderr, verbosity=2, resultclass=_Result)
    result: Any = runner.run(unittest.TestSuite(test for test in found if _name(test) not in left_out))
    return {
        "found": [_name(test) for test in found],
        "left out": sorted(left_out),
        "succeeded": result.succeeded,
        "failed": [f"{test}\n{text}" for test, text in result.failures + result.errors],
        "skipped": {_name(test): reason for test, reason in result.skipped},
        "left behind": support.environment_altered,
    }


def main(kind: str, report: str) -> None:
    faulthandler.dump_traceback_later(SECONDS - 5, exit=True)
    Path(report).write_text(json.dumps(run_kind(kind)))


# The tests -----------------------------------------------------------------------------------------------------------


def _why_not() -> str | None:
    if sys.version_info[:2] != (3, 13):
        return "what is left out is listed for the tests of Python 3.13"
    if not hasattr(os, "fork"):
        return "this system can not fork, which these tests count on"
    if importlib.util.find_spec("test") is None or importlib.util.find_spec(PACKAGE) is None:
        return f"this interpreter comes without {PACKAGE}"
    return None


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[subprocess.Popen[bytes], Path]]]:
    """A program for each kind, all at the same time: they mostly sleep."""
    folder = tmp_path_factory.mktemp("reports")
    started = {}
    for kind in LEAST:
        report = folder / kind
        command = [sys.executable, "-m", "tests.executors.test_cpython_suite", kind, str(report)]
        with Path(f"{report}.log").open("w") as log:
            program = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        started[kind] = (program, report)
    yield started
    for program, _report in started.values():
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()


def _processes_of(session: int) -> list[str]:
    """The commands of the processes that belong to a session."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.skipif(_why_not() is not None, reason=str(_why_not()))
@pytest.mark.parametrize("kind", list(LEAST))
def test_cpython_suite(kind: str, programs: dict[str, tuple[subprocess.Popen[bytes], Path]]) -> None:
    program, path = programs[kind]
    code = program.wait(SECONDS)
    told = Path(f"{path}.log").read_text()[-5000:]
    assert code == 0, told
    report = json.loads(path.read_text())
    assert not report["failed"], "\n".join(report["failed"])
    unknown = {name: why for name, why in report["skipped"].items() if not why.startswith(SKIPPED_BY_THEMSELVES)}
    assert not unknown
    assert sorted([*report["succeeded"], *report["skipped"], *report["left out"]]) == sorted(report["found"])
    assert len(report["succeeded"]) >= LEAST[kind]
    assert not report["left behind"], told
    assert not _processes_of(program.pid)


if __name__ == "__main__":
    main(*sys.argv[1:])
