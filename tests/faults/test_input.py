"""What a caller can hand in wrongly, or in excess."""

from __future__ import annotations

import pytest

from tests.faults.harness import Run

BOTH = pytest.mark.parametrize("backend", ["threads", "processes"])
ALL = pytest.mark.parametrize("backend", ["serial", "threads", "processes"])


@ALL
def test_item_that_is_not_a_task(run: Run, backend: str) -> None:
    run(
        """
        def main():
            tasks = [Task(abs, {}, positional=(1,)), "not a task"]
            for call in (execute, unordered, lambda *a, **k: next(streaming(*a, **k))):
                error = raised(lambda: call(tasks, backend=BACKEND))
                equal(type(error), TypeError)
                assert "1" in str(error) and "str" in str(error) and "not a task" not in str(error), error
            lazy = raised(lambda: execute(iter(tasks), backend=BACKEND))
            equal(type(lazy), TypeError)
            assert "item 1" in str(lazy) and "str" in str(lazy), lazy
        """,
        backend=backend,
    )


@ALL
def test_stream_raises_at_the_first_next_and_starts_nothing(run: Run, backend: str) -> None:
    run(
        """
        def mark():
            open("started", "w").close()

        def main():
            stream = streaming([Task(mark, {}), None], backend=BACKEND)
            error = raised(lambda: next(stream))
            equal(type(error), TypeError)
            assert not os.path.exists("started")
        """,
        backend=backend,
    )


def test_tasks_not_iterable(run: Run) -> None:
    run(
        """
        def main():
            for call in (execute, unordered, lambda tasks: next(streaming(tasks))):
                for tasks, kind in ((5, "int"), (None, "NoneType"), (Task(len, {}), "Task")):
                    error = raised(lambda: call(tasks))
                    equal(type(error), TypeError)
                    assert kind in str(error), error
        """
    )


@ALL
def test_missing_extra_or_wrongly_typed_argument(run: Run, backend: str) -> None:
    run(
        """
        def half(number):
            return number / 2

        def main():
            tasks = [Task(half, {}), Task(half, {"number": 1, "other": 2}), Task(half, {"number": "secret"})]
            tasks.append(Task(half, {"number": 4}))
            found = execute(tasks, backend=BACKEND, return_exceptions=True)
            equal([type(item) for item in found], [TypeError, TypeError, TypeError, float])
            assert "number" in str(found[0]) and "other" in str(found[1]), found
            error = raised(lambda: execute([tasks[0], tasks[3]], backend=BACKEND))
            equal(type(error), TypeError)
            assert "half" in told(error) and "index 0" in told(error), told(error)
        """,
        backend=backend,
    )


def test_arguments_not_a_mapping_keys_not_strings_function_not_callable(run: Run) -> None:
    run(
        """
        def main():
            for make in (
                lambda: Task(len, [1]), lambda: Task(len, None), lambda: Task(len, {1: 2}), lambda: Task(3, {}),
                lambda: Task("len", {}), lambda: Task(len, {}, positional=[1]),
            ):
                equal(type(raised(make)), TypeError)
        """
    )


@ALL
@pytest.mark.parametrize("value", ["0", "-1", "2.0", "'2'", "True", "False"])
def test_max_workers_that_is_no_count(run: Run, backend: str, value: str) -> None:
    run(
        f"""
        def main():
            for call in (execute, unordered, lambda *a, **k: next(streaming(*a, **k))):
                error = raised(lambda: call([Task(len, {{}}, positional=("",))], max_workers={value}, backend=BACKEND))
                assert type(error) in (ValueError, TypeError), error
                assert "max_workers must be greater than 0" in str(error), error
        """,
        backend=backend,
    )


@BOTH
def test_ten_thousand_workers_for_three_tasks(run: Run, backend: str) -> None:
    run(
        """
        def where(number):
            return os.getpid(), threading.get_ident()

        def main():
            threads, processes = threading.active_count(), meters.processes()
            found = execute([Task(where, {"number": n}) for n in range(3)], max_workers=10_000, backend=BACKEND)
            assert len(set(found)) <= 3
            assert threading.active_count() <= threads + 3
            # The fork server is one more.
            assert meters.processes() <= processes + 3 + 1, meters.processes()
        """,
        backend=backend,
    )


@ALL
@pytest.mark.parametrize("kind", ["ordered", "as completed"])
def test_source_raises_midway(run: Run, backend: str, kind: str) -> None:
    run(
        f"""
        def double(number):
            return 2 * number

        def source():
            for number in range(7):
                yield Task(double, {{"number": number}})
            raise LookupError("the source is broken")

        def main():
            seen = []
            def consume():
                for pair in streaming(source(), backend=BACKEND, ordered={kind == "ordered"}):
                    seen.append(pair)
            error = raised(consume)
            equal((type(error), str(error)), (LookupError, "the source is broken"))
            equal(sorted(seen), [(number, 2 * number) for number in range(7)])
            for call in (execute, unordered):
                equal(type(raised(lambda: call(source(), backend=BACKEND))), LookupError)
                equal(type(raised(lambda: call(source(), backend=BACKEND, return_exceptions=True))), LookupError)
        """,
        backend=backend,
    )


@ALL
def test_endless_source_and_a_break(run: Run, backend: str) -> None:
    run(
        """
        from itertools import count

        pulled = 0
        closed = False

        def source():
            global pulled, closed
            try:
                for pulled in count(1):
                    yield Task(tell, {"number": pulled})
            finally:
                closed = True

        def tell(number):
            with open("started", "a") as file:
                file.write(f"{number}\\n")
            return number

        def main():
            for index, result in streaming(source(), max_workers=2, backend=BACKEND):
                equal(result, index + 1)
                if index == 20:
                    break
            assert closed
            assert pulled < 20_000, pulled
            # What a thread has begun goes on; nothing else begins.
            time.sleep(0.2)
            before = open("started").read()
            time.sleep(0.2)
            equal(open("started").read(), before)
        """,
        backend=backend,
    )


@BOTH
def test_workers_are_gone_after_a_break(run: Run, backend: str) -> None:
    run(
        """
        from itertools import count

        def nap(number):
            time.sleep(0.05)

        def breaks():
            for _ in streaming((Task(nap, {"number": n}) for n in count()), max_workers=2, backend=BACKEND):
                break
            # What a thread has begun goes on.
            time.sleep(0.15)

        def main():
            meters.no_growth(breaks)
        """,
        backend=backend,
    )


@ALL
@pytest.mark.parametrize("ordered", [True, False])
def test_slow_consumer_holds_up_the_source(run: Run, backend: str, ordered: bool) -> None:
    run(
        f"""
        pulled = 0

        def source():
            global pulled
            for pulled in range(1, 1001):
                yield Task(one, {{}})

        def one():
            return 1

        def main():
            stream = streaming(source(), max_workers=2, backend=BACKEND, ordered={ordered}, window=8)
            for consumed in range(1, 60):
                next(stream)
                if consumed % 20 == 0:
                    time.sleep(0.1)
                assert pulled <= consumed + 8, (pulled, consumed)
        """,
        backend=backend,
    )


@BOTH
@pytest.mark.parametrize("window", ["window=6", "max_workers=2"])
def test_slow_task_at_the_head_of_an_ordered_stream(run: Run, backend: str, window: str) -> None:
    """The others go on as far as the window reaches; what they hold is bounded."""
    run(
        f"""
        pulled = 0

        def source():
            global pulled
            for pulled in range(1, 401):
                yield Task(wait, {{"seconds": 1.0 if pulled == 1 else 0.01}})

        def wait(seconds):
            time.sleep(seconds)

        def main():
            stream = streaming(source(), **{{"max_workers": 2, **dict({window})}}, backend=BACKEND)
            next(stream)
            assert 3 <= pulled <= 40, pulled
            if "window" in {window!r}:
                assert pulled <= 7, pulled
        """,
        backend=backend,
    )


@ALL
def test_one_task_object_used_forty_times(run: Run, backend: str) -> None:
    run(
        """
        def spoil(**arguments):
            arguments["added"] = 1
            arguments.pop("given")
            with open("runs", "a") as file:
                file.write("x")

        def main():
            task = Task(spoil, {"given": 1})
            equal(execute([task] * 40, backend=BACKEND), [None] * 40)
            equal(task.arguments, {"given": 1})
            equal(open("runs").read(), "x" * 40)
        """,
        backend=backend,
    )


@ALL
def test_arguments_in_a_mapping_that_is_no_dict(run: Run, backend: str) -> None:
    run(
        """
        from types import MappingProxyType

        def main():
            found = execute([Task(dict, MappingProxyType({"a": n, "b": [n]})) for n in range(3)], backend=BACKEND)
            equal(found, [{"a": n, "b": [n]} for n in range(3)])
        """,
        backend=backend,
    )


@ALL
def test_argument_names_that_the_engine_uses(run: Run, backend: str) -> None:
    run(
        """
        NAMES = ("self", "fn", "function", "callable", "item", "task", "args", "kwargs", "timeout", "backend",
            "number", "error")

        def names(**given):
            return sorted(given)

        def main():
            equal(execute([Task(names, dict.fromkeys(NAMES, [1]))], backend=BACKEND), [sorted(NAMES)])
            equal(execute([Task(names, dict.fromkeys(NAMES, 1))] * 2, backend=BACKEND), [sorted(NAMES)] * 2)
        """,
        backend=backend,
    )


@BOTH
def test_fan_of_100_000_tasks(run: Run, backend: str) -> None:
    run(
        """
        import pickle

        def double(number):
            return 2 * number

        def main():
            tasks = [Task(double, {"number": n}) for n in range(100_000)]
            equal(execute(tasks, backend=BACKEND, max_workers=2), [2 * n for n in range(100_000)])
            equal(len(pickle.loads(pickle.dumps(tasks))), 100_000)
            assert len(repr(tasks)) < 10_000_000
        """,
        backend=backend,
    )


@ALL
def test_empty_input(run: Run, backend: str) -> None:
    run(
        """
        import logging
        logging.getLogger("cotality").addHandler(logging.NullHandler())

        def main():
            equal(execute([], backend=BACKEND), [])
            equal(unordered(iter(()), backend=BACKEND), [])
            equal(list(streaming([], backend=BACKEND)), [])
        """,
        backend=backend,
    )
