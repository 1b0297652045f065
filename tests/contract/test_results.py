"""Results: their order, their completeness, laziness."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cotality.core.utils.process import (
    Task,
    execute_tasks_in_parallel,
    execute_tasks_in_parallel_streaming,
    execute_tasks_in_parallel_unordered,
)
from tests.contract.functions import double, give, names_of, note, note_and_wait_for, wait


def test_results_come_in_the_order_of_the_tasks(backend: Any) -> None:
    tasks = [Task(wait, {"seconds": 0.01 * (n % 3), "value": n}) for n in range(30)]
    assert execute_tasks_in_parallel(tasks, backend=backend) == list(range(30))


def test_thousands_of_tiny_tasks_each_give_their_own_result(backend: Any) -> None:
    tasks = [Task(double, {"x": n}) for n in range(5000)]
    assert execute_tasks_in_parallel(tasks, backend=backend) == [2 * n for n in range(5000)]


def test_unordered_gives_every_result_once(backend: Any) -> None:
    tasks = [Task(double, {"x": n}) for n in range(1000)]
    results = execute_tasks_in_parallel_unordered(tasks, backend=backend)
    assert sorted(results) == [2 * n for n in range(1000)]


def test_unordered_gives_the_quick_one_first(parallel_backend: Any) -> None:
    tasks = [Task(wait, {"seconds": 0.5, "value": "slow"}), Task(wait, {"seconds": 0, "value": "quick"})]
    assert execute_tasks_in_parallel_unordered(tasks, 2, backend=parallel_backend) == ["quick", "slow"]


@pytest.mark.parametrize("ordered", [True, False])
def test_a_stream_yields_indices_and_results(backend: Any, ordered: bool) -> None:
    tasks = (Task(double, {"x": n}) for n in range(500))
    pairs = list(execute_tasks_in_parallel_streaming(tasks, backend=backend, ordered=ordered))
    assert sorted(pairs) == [(n, 2 * n) for n in range(500)]
    assert not ordered or pairs == sorted(pairs)


def test_tasks_run_at_the_same_time(parallel_backend: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "seen")
    tasks = [Task(note_and_wait_for, {"path": path, "line": a, "other": b, "seconds": 20}) for a, b in ("xy", "yx")]
    assert execute_tasks_in_parallel(tasks, 2, backend=parallel_backend) == [True, True]


def test_nothing_gives_nothing_and_a_warning(backend: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert execute_tasks_in_parallel([], backend=backend) == []
    assert execute_tasks_in_parallel_unordered([], backend=backend) == []
    assert list(execute_tasks_in_parallel_streaming([], backend=backend)) == []
    assert [record.levelname for record in caplog.records if record.name == "cotality"] == ["WARNING"] * 3


def test_one_task_object_runs_as_often_as_it_is_given(backend: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "runs")
    task = Task(note, {"path": path, "line": "run"})
    assert execute_tasks_in_parallel([task] * 40, backend=backend) == ["run"] * 40
    assert Path(path).read_text().splitlines() == ["run"] * 40
    assert task.arguments == {"path": path, "line": "run"}


def test_an_endless_source_is_taken_no_further_than_the_window_and_closed(backend: Any) -> None:
    taken, closed = [], []

    def source() -> Iterator[Task[int]]:
        try:
            n = 0
            while True:
                taken.append(n)
                yield Task(double, {"x": n})
                n += 1
        finally:
            closed.append(True)

    stream = execute_tasks_in_parallel_streaming(source(), 2, backend=backend, window=8)
    assert next(stream) == (0, 0)
    assert len(taken) <= 9
    stream.close()
    assert closed == [True]


def test_the_default_window_is_small_for_tasks_that_take_time(parallel_backend: Any) -> None:
    taken = []

    def source() -> Iterator[Task[Any]]:
        for n in range(1000):
            taken.append(n)
            yield Task(wait, {"seconds": 0.05, "value": n})

    stream = execute_tasks_in_parallel_streaming(source(), 2, backend=parallel_backend)
    for _ in range(5):
        next(stream)
    assert len(taken) <= 5 + 2 * 2 + 1
    stream.close()


def test_the_source_raises_after_the_results_of_the_tasks_before_it(backend: Any) -> None:
    def source() -> Iterator[Task[int]]:
        for n in range(5):
            yield Task(double, {"x": n})
        raise LookupError("the cursor is gone")

    stream = execute_tasks_in_parallel_streaming(source(), backend=backend)
    assert [next(stream) for _ in range(5)] == [(n, 2 * n) for n in range(5)]
    with pytest.raises(LookupError, match="the cursor is gone"):
        next(stream)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -1,
        2**70,
        1.5,
        float("inf"),
        1j,
        "é\ud800",
        b"\0",
        [1, [2]],
        (1, "a"),
        {"a": {1, 2}},
        frozenset({3}),
        ...,
    ],
    ids=repr,
)
def test_values_arrive_as_they_are(backend: Any, value: Any) -> None:
    (result,) = execute_tasks_in_parallel([Task(give, {"value": value})], backend=backend)
    assert result == value
    assert type(result) is type(value)


def test_positional_arguments_and_any_mapping(backend: Any) -> None:
    from types import MappingProxyType

    tasks = [Task(divmod, {}, positional=(7, 2)), Task(double, MappingProxyType({"x": [1]}))]
    assert execute_tasks_in_parallel(tasks, backend=backend) == [(3, 1), [1, 1]]  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("first", [1, [1], b"1" * 100_000], ids=["atom", "more", "large"])
def test_names_arrive_in_their_order(backend: Any, first: Any) -> None:
    task = Task(names_of, {"z": first, "a": 2, "k": [3]})
    assert execute_tasks_in_parallel([task] * 2, backend=backend) == [["z", "a", "k"]] * 2


def test_an_exception_that_a_task_returns_is_a_value(backend: Any) -> None:
    (result,) = execute_tasks_in_parallel([Task(give, {"value": KeyError("a")})], backend=backend)
    assert isinstance(result, KeyError)
