"""How batch and window follow the duration of tasks."""

from __future__ import annotations

from cotality.parallel import Task
from cotality.parallel._data.messages import Ending
from cotality.parallel._scheduling.sizing import BATCH_SECONDS, LARGEST_BATCH, Sizing

TASK = Task(abs, {}, positional=(1,))


def endings(*durations: float) -> list[Ending]:
    return [((index, TASK), None, None, 0.0, duration, "worker") for index, duration in enumerate(durations)]


def test_begins_with_single_tasks_and_two_a_worker() -> None:
    sizing = Sizing(workers=4, reach=2048, window=None)
    assert (sizing.batch, sizing.window) == (1, 8)


def test_tiny_tasks_make_batches_grow_to_the_largest() -> None:
    sizing = Sizing(workers=2, reach=2048, window=None)
    sizes = []
    for _ in range(12):
        sizing.learn(endings(*[1e-6] * 20))
        sizes.append(sizing.batch)
    assert sizes == sorted(sizes)
    assert sizes[-1] == LARGEST_BATCH
    assert sizing.window == 2048


def test_a_batch_carries_about_the_same_work_whatever_tasks_take() -> None:
    for duration in (2e-5, 1e-4, 1e-3):
        sizing = Sizing(workers=2, reach=2048, window=None)
        for _ in range(20):
            sizing.learn(endings(*[duration] * 5))
        assert 0.5 * BATCH_SECONDS <= sizing.batch * duration <= BATCH_SECONDS


def test_long_tasks_travel_alone() -> None:
    sizing = Sizing(workers=2, reach=2048, window=None)
    for _ in range(5):
        sizing.learn(endings(0.5))
    assert (sizing.batch, sizing.window) == (1, 4)


def test_one_outlier_only_halves_the_batch() -> None:
    sizing = Sizing(workers=2, reach=2048, window=None)
    for _ in range(12):
        sizing.learn(endings(*[1e-6] * 20))
    sizing.learn(endings(2.0))
    assert sizing.batch == LARGEST_BATCH // 2


def test_a_window_that_was_asked_for_stays() -> None:
    sizing = Sizing(workers=2, reach=2048, window=7)
    for _ in range(12):
        sizing.learn(endings(*[1e-6] * 20))
    assert sizing.window == 7


def test_no_more_lies_ready_for_workers_than_they_take_up_between_two_turns() -> None:
    sizing = Sizing(workers=64, reach=1024, window=None)
    assert sizing.stock == sizing.window, "nothing is known"
    for _ in range(50):
        sizing.learn(endings(0.01))
    assert 64 < sizing.stock <= 64 + 4
    sizing.learn(endings(*[0.01] * 20))
    assert sizing.stock == 64 + 40, "the loop was away for longer"
    for _ in range(20):
        sizing.learn(endings(*[1e-6] * 300))
    assert sizing.stock == 64 + 600


def test_nothing_lies_ready_for_workers_whose_tasks_are_long() -> None:
    sizing = Sizing(workers=2, reach=1024, window=None)
    sizing.learn(endings(1.0))
    assert sizing.stock == 2
