"""Ctrl-C, kills, and the program's own signal handlers."""

from __future__ import annotations

import signal
import time

import pytest

from tests.faults.harness import Run, Start
from tests.forks import STARTS_SECONDS

BOTH = pytest.mark.parametrize("backend", ["threads", "processes"])
ALL = pytest.mark.parametrize("backend", ["serial", "threads", "processes"])
ONE_TRACEBACK = r"Traceback(?:(?!Traceback).)*KeyboardInterrupt\s*"

BUSY = """
import signal

def nap(seconds):
    time.sleep(seconds)

class Telling:
    # Says so once the first task has started.
    def __call__(self, seconds):
        print("started", flush=True)
        time.sleep(seconds)

def main():
    tasks = [Task(Telling(), {"seconds": 30}), Task(nap, {"seconds": 30}), *[Task(nap, {"seconds": 1})] * 50]
    try:
        CALL
    finally:
        AFTER
"""
CALLS = {
    "call": "execute(tasks, max_workers=2, backend=BACKEND)",
    "stream": "list(streaming(tasks, max_workers=2, backend=BACKEND))",
    "unordered": "unordered(tasks, max_workers=2, backend=BACKEND)",
}


@ALL
@pytest.mark.parametrize("group", [True, False])
@pytest.mark.parametrize("how", CALLS)
def test_ctrl_c(start: Start, backend: str, group: bool, how: str) -> None:
    program = start(BUSY.replace("CALL", CALLS[how]).replace("AFTER", "pass"), backend=backend)
    program.wait_for("started")
    began = program.seconds
    program.interrupt(group=group)
    ended = program.finish(code=-signal.SIGINT, stderr=ONE_TRACEBACK, end=False)
    assert ended.seconds - began < 2


@BOTH
def test_call_after_ctrl_c(start: Start, backend: str) -> None:
    program = start(
        """
        def nap(seconds):
            print("started", flush=True)
            time.sleep(seconds)

        def interrupted():
            error = raised(lambda: execute([Task(nap, {"seconds": 0.5})] * 9, max_workers=2, backend=BACKEND))
            equal(type(error), KeyboardInterrupt)

        def main():
            interrupted()
            equal(execute([Task(abs, {}, positional=(-n,)) for n in range(50)], backend=BACKEND), list(range(50)))
        """,
        backend=backend,
    )
    program.wait_for("started")
    program.interrupt(group=True)
    program.finish()


@BOTH
def test_second_ctrl_c_ends_at_once(start: Start, backend: str) -> None:
    """The task does not go by itself; the first Ctrl-C gives it a grace, the second one none."""
    program = start(
        """
        def stay():
            if BACKEND == "processes":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("started", flush=True)
            time.sleep(30)

        def main():
            execute([Task(stay, {})] * 2, max_workers=2, backend=BACKEND)
        """,
        backend=backend,
    )
    program.wait_for("started")
    began = program.seconds
    program.interrupt(group=True)
    time.sleep(0.3)
    try:
        program.interrupt(group=True)
    except ProcessLookupError:
        pass
    ended = program.finish(code=-signal.SIGINT, stderr=".*KeyboardInterrupt\\s*", end=False)
    assert ended.seconds - began < 1


@BOTH
def test_ctrl_c_at_any_moment(run: Run, backend: str) -> None:
    """Interrupted forty times, also while workers start: each time a later call works, and nothing piles up."""
    run(
        """
        def nap(number):
            time.sleep(0.002)
            return number

        def calls():
            tasks = [Task(nap, {"number": n}) for n in range(20)]
            for _ in range(50):
                equal(execute(tasks, max_workers=2, backend=BACKEND), list(range(20)))

        def interrupted(after):
            signal.setitimer(signal.ITIMER_REAL, after)
            try:
                calls()
            except KeyboardInterrupt:
                return
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)

        def main():
            def handler(*_):
                raise KeyboardInterrupt
            signal.signal(signal.SIGALRM, handler)
            for step in range(20):
                interrupted(0.001 + 0.0037 * step)
            time.sleep(0.1)
            before = meters.held()
            for step in range(20):
                interrupted(0.001 + 0.0041 * step)
                equal(execute([Task(nap, {"number": n}) for n in range(4)], max_workers=2, backend=BACKEND),
                    [0, 1, 2, 3])
            time.sleep(0.1)
            after = meters.held()
            # Two warm workers and what they need may come and go.
            assert after["processes"] <= max(before["processes"], 4), (before, after)
            assert after["descriptors"] <= before["descriptors"] + 12, (before, after)
            assert after["threads"] <= before["threads"] + 4, (before, after)
        """,
        backend=backend,
        deadline=STARTS_SECONDS,
    )


def test_ctrl_c_while_the_first_workers_start(run: Run) -> None:
    """The moments in which a process is half started are the ones to be interrupted at."""
    run(
        """
        def main():
            def handler(*_):
                raise KeyboardInterrupt
            signal.signal(signal.SIGALRM, handler)
            for step in range(30):
                signal.setitimer(signal.ITIMER_REAL, 0.0005 + 0.0004 * step)
                try:
                    try:
                        # Other workers each time: the last ones are killed below.
                        pids = execute([Task(os.getpid, {})] * 2, max_workers=2, use_processes=True)
                        time.sleep(0.05)
                    finally:
                        signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt:
                    pass
                for pid in set(execute([Task(os.getpid, {})] * 4, max_workers=2, use_processes=True)):
                    os.kill(pid, signal.SIGKILL)
                if step == 5:
                    before = meters.held()
            time.sleep(0.1)
            after = meters.held()
            assert after["processes"] <= 4, (before, after)
            assert after["descriptors"] <= before["descriptors"] + 12, (before, after)
        """
    )


STEPS = {
    "steps": '''
    """Interrupts that need no luck: raised before a chosen step of the interpreter within the library."""
    import sys

    class Steps:
        def __init__(self, left):
            self.left = left

        def trace(self, frame, event, _argument):
            code = frame.f_code
            # What is raised in a finalizer, or where a generator is closed, is shown and then forgotten.
            unseen = "__del__", "_unmapped", "<lambda>", "<genexpr>"
            if "cotality/parallel" not in code.co_filename or code.co_name in unseen:
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            if event == "opcode":
                self.left -= 1
                if not self.left:
                    sys.settrace(None)
                    raise KeyboardInterrupt
            return self.trace

    def interrupted(call, at):
        steps = Steps(at)
        sys.settrace(steps.trace)
        try:
            call()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)

    def count(call):
        """How many steps a call has."""
        steps = Steps(-1)
        sys.settrace(steps.trace)
        try:
            call()
        finally:
            sys.settrace(None)
        return -steps.left
    '''
}


@pytest.mark.parametrize("size", [1, 20_000], ids=["small", "large"])
def test_an_interrupt_between_any_two_steps_loses_no_descriptor(run: Run, size: int) -> None:
    run(
        f"""
        import gc
        from cotality.parallel._backends.processes.pool import default_pool
        from steps import count, interrupted

        def echo(content):
            return content

        def call():
            execute([Task(echo, {{"content": [bytes({size})] * 8}}) for _ in range(4)], 2, use_processes=True)

        def main():
            call()
            steps = count(call)
            default_pool().close()
            gc.collect()
            before = meters.held()
            for number in range(60):
                interrupted(call, 1 + steps * number // 60)
                if number % 2:
                    # Every other call finds no workers.
                    default_pool().close()
            default_pool().close()
            gc.collect()
            after = meters.held()
            # The fork server and the channel to it may be gone for the moment.
            assert after["descriptors"] <= before["descriptors"], (before, after)
            assert after["processes"] <= before["processes"], (before, after)
        """,
        modules=STEPS,
        deadline=STARTS_SECONDS,
    )


def test_an_interrupt_between_any_two_steps_of_its_end_leaves_no_busy_worker(run: Run) -> None:
    run(
        """
        from cotality.parallel._backends.processes.pool import default_pool
        from steps import count, interrupted

        def left():
            tasks = [Task(abs, {}, positional=(-1,)), *[Task(time.sleep, {}, positional=(30,))] * 3]
            stream = streaming(tasks, max_workers=2, use_processes=True)
            next(stream)
            return stream.close

        def main():
            steps = count(left())
            for number in range(60):
                interrupted(left(), 1 + steps * number // 60)
                default_pool().close()
                until = time.monotonic() + 5
                # The program and the fork server.
                while meters.processes() > 2:
                    assert time.monotonic() < until, number
                    time.sleep(0.01)
        """,
        modules=STEPS,
        deadline=STARTS_SECONDS,
    )


@BOTH
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_caller_is_killed_while_workers_are_busy(start: Start, backend: str, number: signal.Signals) -> None:
    program = start(BUSY.replace("CALL", CALLS["call"]).replace("AFTER", "pass"), backend=backend)
    program.wait_for("started")
    program.interrupt(number)
    program.finish(code=-number, end=False)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_caller_is_killed_while_workers_are_idle(start: Start, number: signal.Signals) -> None:
    program = start(
        """
        def main():
            execute([Task(abs, {}, positional=(-n,)) for n in range(9)], max_workers=2, use_processes=True)
            print("idle", flush=True)
            time.sleep(30)
        """
    )
    program.wait_for("idle")
    program.interrupt(number)
    program.finish(code=-number, end=False)


STUCK = {
    "ignores SIGTERM": "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
    "holds the GIL": "__import__('ctypes').PyDLL(None).sleep(60)",
    "has a nested call": "execute([Task(time.sleep, {}, positional=(60,))] * 2, use_processes=True)",
}


@pytest.mark.parametrize("how", STUCK)
def test_caller_is_killed_while_a_worker_is_stuck(start: Start, how: str) -> None:
    program = start(
        f"""
        def stay():
            print("started", flush=True)
            {STUCK[how]}

        def main():
            execute([Task(stay, {{}})] * 2, max_workers=2, use_processes=True)
        """
    )
    program.wait_for("started")
    program.interrupt(signal.SIGKILL)
    program.finish(code=-signal.SIGKILL, end=False)


@ALL
def test_handlers_run_during_a_call(run: Run, backend: str) -> None:
    run(
        """
        def nap(number):
            time.sleep(0.1)
            return number

        def main():
            seen = []
            signal.signal(signal.SIGALRM, lambda *_: seen.append(time.monotonic()))
            signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
            began = time.monotonic()
            equal(execute([Task(nap, {"number": n}) for n in range(6)], max_workers=2, backend=BACKEND), list(range(6)))
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert len(seen) >= 3 and seen[0] - began < 0.2, seen
        """,
        backend=backend,
    )


@BOTH
def test_exception_of_a_handler_ends_the_call(run: Run, backend: str) -> None:
    run(
        """
        class Enough(Exception):
            pass

        def handler(*_):
            raise Enough

        def main():
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            began = time.monotonic()
            error = raised(lambda: execute([Task(time.sleep, {}, positional=(20,))] * 2, max_workers=2,
                backend=BACKEND))
            equal(type(error), Enough)
            assert time.monotonic() - began < 2
            equal(execute([Task(abs, {}, positional=(-1,))], backend=BACKEND), [1])
        """,
        backend=backend,
    )


@ALL
def test_handlers_are_left_as_they_were(run: Run, backend: str) -> None:
    run(
        """
        def mine(*_):
            pass

        def handlers():
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
            return blocked, {number: signal.getsignal(number) for number in signal.valid_signals()}

        def main():
            signal.signal(signal.SIGCHLD, mine)
            signal.signal(signal.SIGTERM, mine)
            wake, other = os.pipe()
            os.set_blocking(other, False)
            signal.set_wakeup_fd(other)
            before = handlers()
            execute([Task(abs, {}, positional=(-1,))] * 9, backend=BACKEND)
            next(streaming([Task(abs, {}, positional=(-1,))] * 9, backend=BACKEND))
            equal(handlers(), before)
            equal(signal.set_wakeup_fd(-1), other)
        """,
        backend=backend,
    )


def test_signals_that_the_caller_ignores_or_blocks(run: Run) -> None:
    """Deadlines and ends do not depend on the caller's signal mask, nor on who reaps its children."""
    run(
        """
        def main():
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1, signal.SIGIO})
            found = execute(
                [Task(time.sleep, {}, positional=(30,)), Task(os._exit, {}, positional=(7,)),
                Task(abs, {}, positional=(-1,))],
                max_workers=2, use_processes=True, timeout=0.5, return_exceptions=True,
            )
            equal([type(item) for item in found], [errors.TaskTimeout, errors.WorkerDied, int])
            # Without forks the worker is a child of the caller, who does not want to know how its children end.
            assert ("exit code 7" if hasattr(os, "fork") else "unknown reason") in str(found[1]), found[1]
        """
    )


AT_EVERY_POINT = """
import gc
from cotality.parallel._backends import crew
from cotality.workflow import Workflow, task

class Interrupt:
    # Interrupts at the n-th of the points at which the interpreter looks for an interrupt.
    def __init__(self, number):
        self.number, self.passed, self.where = number, 0, ""

    def __call__(self, frame, event, argument):
        if event in ("call", "c_return"):
            self.passed += 1
            if self.passed == self.number:
                sys.setprofile(None)
                self.where = f"{event} {argument} in {frame.f_code.co_qualname} of {frame.f_code.co_filename}"
                # No real interrupt holds the method that was called last, nor what that is a method of.
                del frame, argument
                signal.raise_signal(signal.SIGINT)

@task
def same(number: int) -> int:
    return number

@task
def add(one: int, other: int) -> int:
    return one + other

TASKS = [Task(abs, {}, positional=(-n,)) for n in range(20)]

def listed():
    return execute(TASKS, max_workers=2, backend=BACKEND)

def streamed():
    results = [None] * len(TASKS)
    for index, result in streaming(TASKS, max_workers=2, backend=BACKEND):
        results[index] = result
    return results

def flow():
    flow = Workflow()
    first, second = same(1), same(2)
    both = add(first.output, second.output)
    items = flow.map(same, [4, 5, 6])
    flow.add(both)
    run = flow.run(max_workers=2, backend=BACKEND)
    return [run[both], *run[items]]

def main():
    # What is interrupted in a finalizer is told here, and lost: no library can do anything about that.
    lost = []
    sys.unraisablehook = lost.append
    # A thread that is kept for the next run need not be started.
    crew.IDLE_SECONDS = 0.0
    expected = WHAT()
    interrupt, number = None, 1
    while interrupt is None or interrupt.where:
        interrupt = Interrupt(number)
        lost.clear()
        found = None
        began = time.monotonic()
        sys.setprofile(interrupt)
        try:
            found = WHAT()
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        assert found is None or found == expected, interrupt.where
        assert found is None or lost or not interrupt.where, f"not heard: {interrupt.where}"
        assert time.monotonic() - began < 5, interrupt.where
        number += STEP
    assert number > 300, number
    gc.collect()
    until = time.monotonic() + 5
    while threading.active_count() > 1 and BACKEND == "threads":
        assert time.monotonic() < until, threading.enumerate()
        time.sleep(0.001)
"""


@pytest.mark.parametrize(
    ("what", "backend", "step"),
    [
        ("listed", "threads", 1),
        ("streamed", "threads", 1),
        ("flow", "threads", 1),
        ("listed", "processes", 97),
        ("flow", "processes", 97),
    ],
)
def test_ctrl_c_at_every_point(run: Run, what: str, backend: str, step: int) -> None:
    run(AT_EVERY_POINT.replace("WHAT", what).replace("STEP", str(step)), backend=backend, deadline=120)
