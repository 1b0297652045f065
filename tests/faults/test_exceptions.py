"""What a task can raise, and what becomes of it on the way to the caller."""

from __future__ import annotations

import pytest

from tests.faults.harness import Run

BOTH = pytest.mark.parametrize("backend", ["threads", "processes"])
ALL = pytest.mark.parametrize("backend", ["serial", "threads", "processes"])

ORDINARY = [
    "asyncio.TimeoutError", "TimeoutError", "concurrent.futures.process.BrokenProcessPool", "EOFError", "queue.Empty",
    "MemoryError", "RecursionError", "BrokenPipeError", "ConnectionResetError", "BlockingIOError", "IndexError",
    "StopAsyncIteration", "pickle.PicklingError", "ValueError",
]  # fmt: skip
DISGUISED = ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "asyncio.CancelledError", "BaseException"]
RAISERS = """
import asyncio, concurrent.futures.process, pickle, queue

def fail(number, name):
    if number == 3:
        raise eval(name)("what went wrong")
    return number
"""


@ALL
@pytest.mark.parametrize("name", ORDINARY)
def test_raises_what_the_engine_could_take_for_its_own(run: Run, backend: str, name: str) -> None:
    run(
        f"""
        from failing import *

        def main():
            tasks = [Task(fail, {{"number": n, "name": {name!r}}}) for n in range(6)]
            for call in (execute, unordered):
                found = call(tasks, backend=BACKEND, return_exceptions=True)
                errors_found = [item for item in found if isinstance(item, BaseException)]
                equal(sorted(item for item in found if isinstance(item, int)), [0, 1, 2, 4, 5])
                equal([type(error) for error in errors_found], [{name}])
            seen = dict(streaming(tasks, backend=BACKEND, return_exceptions=True))
            equal(len(seen), 6)
            assert isinstance(seen[3], {name})
            error = raised(lambda: execute(tasks, backend=BACKEND))
            equal(type(error), {name})
            assert "what went wrong" in str(error), error
            assert "fail" in told(error) and "index 3" in told(error), told(error)
            equal(execute(tasks[:2], backend=BACKEND), [0, 1])
        """,
        backend=backend,
        modules={"failing": RAISERS},
    )


@BOTH
@pytest.mark.parametrize("name", [*DISGUISED, "StopIteration"])
def test_raises_what_would_end_the_caller(run: Run, backend: str, name: str) -> None:
    run(
        f"""
        from failing import *

        def main():
            tasks = [Task(fail, {{"number": n, "name": {name!r}}}) for n in range(6)]
            found = execute(tasks, backend=BACKEND, return_exceptions=True)
            equal([n for n in range(6) if found[n] == n], [0, 1, 2, 4, 5])
            assert isinstance(found[3], Exception), repr(found[3])
            assert isinstance(found[3], {name}) or isinstance(found[3].__cause__, {name}), repr(found[3])
            for call in (
                execute, unordered, lambda *a, **k: list(streaming(*a, **k)),
                lambda *a, **k: list(streaming(*a, ordered=False, **k)),
            ):
                error = raised(lambda: call(tasks, backend=BACKEND))
                equal(type(error), errors.RemoteError)
                assert isinstance(error.__cause__, {name}), error.__cause__
                assert {name}.__name__ in str(error) and "fail" in told(error) and "index 3" in told(error), told(error)
            equal(execute(tasks[:2], backend=BACKEND), [0, 1])
        """,
        backend=backend,
        modules={"failing": RAISERS},
    )


CANNOT_TRAVEL = {
    "its __init__ takes other arguments": """
        class Odd(Exception):
            def __init__(self, first, second):
                super().__init__(f"it says {first}")
        def fail():
            raise Odd("hello", 2)
        """,
    "it holds a lock": """
        class Odd(Exception):
            def __init__(self, text):
                super().__init__(text)
                self.lock = threading.Lock()
        def fail():
            raise Odd("it says hello")
        """,
    "its class is local": """
        def fail():
            class Odd(Exception):
                pass
            raise Odd("it says hello")
        """,
    "its __reduce__ raises": """
        class Odd(Exception):
            def __reduce__(self):
                raise ValueError
        def fail():
            raise Odd("it says hello")
        """,
    "its __reduce__ exits": """
        class Odd(Exception):
            def __reduce__(self):
                raise SystemExit
        def fail():
            raise Odd("it says hello")
        """,
    "its __reduce__ gives nonsense": """
        class Odd(Exception):
            def __reduce__(self):
                return int, ("7",)
        def fail():
            raise Odd("it says hello")
        """,
    "its unpickling raises": """
        class Odd(Exception):
            def __setstate__(self, state):
                raise ValueError
        def fail():
            error = Odd("it says hello")
            error.extra = 1
            raise error
        """,
    "its unpickling exits": """
        class Odd(Exception):
            def __setstate__(self, state):
                raise SystemExit
        def fail():
            error = Odd("it says hello")
            error.extra = 1
            raise error
        """,
    "its message is a subclass of str": """
        class Text(str):
            pass
        class Odd(Exception):
            def __str__(self):
                return Text("it says hello")
        def fail():
            raise Odd()
        """,
    "it is frozen": """
        from dataclasses import dataclass
        @dataclass(frozen=True)
        class Odd(Exception):
            text: str
            def __str__(self):
                return "it says hello"
        def fail():
            raise Odd("it says hello")
        """,
    "its add_note raises": """
        class Odd(Exception):
            def add_note(self, note):
                raise ValueError
        def fail():
            raise Odd("it says hello")
        """,
    "its notes are no list": """
        class Odd(Exception):
            pass
        def fail():
            error = Odd("it says hello")
            error.__notes__ = 7
            raise error
        """,
}


@BOTH
@pytest.mark.parametrize("why", CANNOT_TRAVEL)
def test_exception_that_cannot_travel(run: Run, backend: str, why: str) -> None:
    from textwrap import dedent

    run(
        dedent(CANNOT_TRAVEL[why])
        + dedent(
            """
            def one(number):
                return number

            def main():
                tasks = [Task(one, {"number": 0}), Task(fail, {}), Task(one, {"number": 2})]
                found = execute(tasks, backend=BACKEND, return_exceptions=True)
                equal([found[0], found[2]], [0, 2])
                stands, chain = found[1], ""
                assert isinstance(stands, Exception), repr(stands)
                assert type(stands).__name__ == "Odd" or "Odd" in str(stands), repr(stands)
                assert "it says hello" in str(stands), str(stands)
                if BACKEND == "processes":
                    link = stands
                    while link is not None:
                        chain, link = chain + str(link), link.__cause__
                    assert "Traceback" in chain and "in fail" in chain, chain
                error = raised(lambda: execute(tasks, backend=BACKEND))
                assert type(error).__name__ == "Odd" or "Odd" in str(error), repr(error)
                pids = {pid for pid in execute([Task(os.getpid, {})] * 3, backend=BACKEND, max_workers=1)}
                equal(len(pids), 1)
            """
        ),
        backend=backend,
    )


@BOTH
def test_exception_with_a_hostile_str(run: Run, backend: str) -> None:
    run(
        """
        class Odd(Exception):
            def __str__(self):
                raise SystemExit
            __repr__ = __str__

        def fail():
            raise Odd("hello", threading.Lock())

        def main():
            for _ in range(2):
                found, = execute([Task(fail, {})], backend=BACKEND, return_exceptions=True)
                assert isinstance(found, Exception)
                assert type(found).__name__ == "Odd" or "Odd" in str(found)
        """,
        backend=backend,
    )


@BOTH
def test_cause_notes_and_groups_are_kept(run: Run, backend: str) -> None:
    run(
        """
        def fail():
            try:
                raise KeyError("the cause")
            except KeyError as cause:
                group = ExceptionGroup("several", [ValueError("one"), ExceptionGroup("inner", [OSError(5, "two")])])
                group.add_note("a note of its own")
                raise group from cause

        def main():
            for found in (
                execute([Task(fail, {})], backend=BACKEND, return_exceptions=True)[0],
                raised(lambda: execute([Task(fail, {})], backend=BACKEND)),
            ):
                equal(type(found), ExceptionGroup)
                equal(found.message, "several")
                assert "a note of its own" in found.__notes__
                equal([type(inner) for inner in found.exceptions], [ValueError, ExceptionGroup])
                equal(found.exceptions[1].exceptions[0].errno, 5)
                equal((type(found.__cause__), found.__cause__.args), (KeyError, ("the cause",)))
        """,
        backend=backend,
    )


@BOTH
def test_message_of_30_megabytes(run: Run, backend: str) -> None:
    run(
        """
        def fail():
            raise ValueError("x" * 30_000_000)

        def main():
            found = execute([Task(fail, {}), Task(len, {}, positional=("ab",))], backend=BACKEND,
                return_exceptions=True)
            equal(type(found[0]), ValueError)
            equal(len(found[0].args[0]), 30_000_000)
            equal(found[1], 2)
        """,
        backend=backend,
    )


@ALL
def test_exception_that_is_returned_is_a_value(run: Run, backend: str) -> None:
    run(
        """
        def give(kind):
            return eval(kind)("a value")

        def main():
            kinds = ["ValueError", "KeyboardInterrupt", "StopIteration", "SystemExit", "GeneratorExit"]
            found = execute([Task(give, {"kind": kind}) for kind in kinds], backend=BACKEND)
            equal([type(item).__name__ for item in found], kinds)
            streamed = list(streaming([Task(give, {"kind": kind}) for kind in kinds], backend=BACKEND))
            equal([type(item).__name__ for _, item in streamed], kinds)
        """,
        backend=backend,
    )


@BOTH
def test_all_of_200_tasks_fail(run: Run, backend: str) -> None:
    run(
        """
        def fail(number):
            raise ValueError(number)

        def main():
            tasks = [Task(fail, {"number": n}) for n in range(200)]
            found = execute(tasks, backend=BACKEND, return_exceptions=True)
            equal([(type(item), item.args) for item in found], [(ValueError, (n,)) for n in range(200)])
            stream = streaming(tasks, backend=BACKEND, return_exceptions=True)
            equal([(index, item.args[0]) for index, item in stream], [(n, n) for n in range(200)])
        """,
        backend=backend,
    )


@ALL
def test_the_first_of_400_fails(run: Run, backend: str) -> None:
    run(
        """
        def work(number):
            with open("started", "a") as file:
                file.write("x")
            if number == 0:
                raise ValueError("the first")
            time.sleep(0.02)

        def main():
            began = time.monotonic()
            error = raised(lambda: execute([Task(work, {"number": n}) for n in range(400)], max_workers=2,
                backend=BACKEND))
            assert time.monotonic() - began < 2
            equal((type(error), str(error)), (ValueError, "the first"))
            time.sleep(0.1)
            started = len(open("started").read())
            assert started <= 10, started
        """,
        backend=backend,
    )


@BOTH
def test_endless_recursion_and_memory_error(run: Run, backend: str) -> None:
    run(
        """
        def recurse(depth=0):
            return recurse(depth + 1)

        def fill():
            return bytearray(1 << 60)

        def one():
            return 1

        def main():
            found = execute(
                [Task(recurse, {}), Task(one, {}), Task(fill, {}), Task(one, {})], backend=BACKEND,
                return_exceptions=True
            )
            equal([type(found[0]), found[1], type(found[2]), found[3]], [RecursionError, 1, MemoryError, 1])
        """,
        backend=backend,
    )


@BOTH
def test_failures_leave_nothing_behind(run: Run, backend: str) -> None:
    run(
        """
        def fail(number):
            raise ValueError(number)

        def main():
            tasks = [Task(fail, {"number": n}) for n in range(20)]
            execute([Task(time.sleep, {}, positional=(0.2,))] * 2, max_workers=2, backend=BACKEND)
            meters.no_growth(lambda: raised(lambda: execute(tasks, max_workers=2, backend=BACKEND)))
            meters.no_growth(lambda: execute(tasks, max_workers=2, backend=BACKEND, return_exceptions=True))
        """,
        backend=backend,
    )
