"""What a report tells of a run, computed from records that are made by hand."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from cotality.parallel._scheduling.records import Records
from cotality.parallel.recounting import EarlierAttempt, Row
from cotality.workflow import RunRecord
from cotality.workflow._report import words
from cotality.workflow._report.comparison import changed, pairs_of
from cotality.workflow._report.page import comparison_of, page_of
from cotality.workflow._report.paths import critical_path
from cotality.workflow._report.picture import picture_of
from cotality.workflow._report.timeline import merged, timeline_of, waiting
from cotality.workflow._report.times import by_name, edges_of, stragglers_of, times_of


def row(index: int, task: str = "work", start: float = 0.0, end: float = 1.0, **facts: Any) -> Row:
    usual = {
        "state": "succeeded",
        "attempts": 1,
        "worker": "worker-1",
        "ready": start,
        "error": "",
        "first_cause": None,
        "inputs": (),
    }
    return Row(**{**usual, "index": index, "task": task, "start": start, "end": end, **facts})  # type: ignore[arg-type]


def record(*rows: Row, joints: Any = None, **facts: Any) -> RunRecord:
    usual: dict[str, Any] = {
        "run": "0123456789ab",
        "workflow": "nightly",
        "state": "succeeded",
        "error": "",
        "began_at": 0.0,
        "duration": max((row.end or 0.0 for row in rows), default=0.0),
        "counts": {"succeeded": len(rows)} if rows else {},
        "causes": [],
        "memory": {},
        "environment": {},
    }
    return RunRecord(**{**usual, "rows": rows, "joints": joints or {}, **facts})


# The critical path ---------------------------------------------------------------------------------------------------


def test_the_critical_path_is_the_longest_chain_and_not_the_last_task() -> None:
    found = critical_path(
        record(
            row(0, "load", 0, 1),
            row(1, "slow", 1, 5, needs=(0,)),
            row(2, "quick", 1, 2, needs=(0,)),
            # Had to wait for a worker: it ends last, and is not what took longest.
            row(3, "late", 7, 8, needs=(2,)),
            row(4, "last", 5, 6, needs=(1, 2)),
        )
    )
    assert [each.task for each in found.rows] == ["load", "slow", "last"]
    assert found.seconds == 6


def test_it_goes_through_maps_and_counts_retries_and_their_waits() -> None:
    tries = (EarlierAttempt(0.0, 1.0, "worker-1", "failed", "no"), EarlierAttempt(2.0, 3.0, "worker-1", "failed", "no"))
    found = critical_path(
        record(
            row(0, "item", 4, 5, earlier=tries),
            row(1, "item", 0, 2),
            row(3, "end", 5, 6, needs=(2,)),
            joints={2: (0, 1)},
        )
    )
    assert ([each.index for each in found.rows], found.seconds) == ([0, 3], 6)


def test_a_long_chain_is_no_recursion_and_a_circle_no_hang() -> None:
    chain = [row(place, start=place, end=place + 1, needs=(place - 1,) if place else ()) for place in range(5000)]
    assert critical_path(record(*chain)).seconds == 5000
    circle = [row(0, needs=(1,)), row(1, needs=(0,)), row(2)]
    assert [each.index for each in critical_path(record(*circle)).rows] == [2]
    assert critical_path(record()).rows == []


# Times ---------------------------------------------------------------------------------------------------------------


def test_times_by_name() -> None:
    rows = [row(place, end=float(place + 1)) for place in range(100)]
    rows.append(row(100, "other", None, None, state="skipped", attempts=0, ready=None))  # type: ignore[arg-type]
    names = by_name(rows)
    work, other = times_of(names, edges_of(rows))
    assert (work.name, work.tasks, work.total, work.median, work.p95, work.longest) == ("work", 100, 5050, 50, 95, 100)
    assert sum(work.bins) == 100
    assert (other.tasks, other.total, other.lost, sum(other.bins)) == (1, 0, {"skipped": 1}, 0)


@pytest.mark.parametrize("took", [[], [0.0], [0.0, 0.0], [1.0], [1e-9, 1e6], [3.0] * 7])
def test_every_duration_has_a_bin(took: list[float]) -> None:
    rows = [row(place, end=seconds) for place, seconds in enumerate(took)]
    edges = edges_of(rows)
    assert edges == sorted(set(edges))
    assert sum(sum(each.bins) for each in times_of(by_name(rows), edges)) == len(took)


def test_stragglers_are_held_against_their_own_name() -> None:
    rows = [row(place, "quick", end=0.01) for place in range(20)] + [row(20, "quick", end=0.2)]
    rows += [row(place, "slow", end=2.0) for place in range(30, 40)] + [row(50, "rare", end=1.0), row(51, "rare")]
    names = by_name(rows)
    (found,) = stragglers_of(names, times_of(names, edges_of(rows)))
    assert (found.row.index, round(found.factor)) == (20, 20)


# The timeline --------------------------------------------------------------------------------------------------------


def test_what_overlaps_has_a_lane_of_its_own_and_numbers_are_in_order() -> None:
    rows = [row(0, start=0, end=3), row(1, start=1, end=2), row(2, start=2, end=4, worker="worker-10")]
    rows += [row(3, start=2, end=4, worker="worker-9"), row(4, start=2, end=3)]
    found = timeline_of(record(*rows))
    assert found.lanes == ["worker-1", "worker-1 (2)", "worker-9", "worker-10"]
    assert {bar.place: bar.lane for bar in found.bars} == {0: 0, 1: 1, 2: 3, 3: 2, 4: 1}
    assert found.busy == 9


def test_workers_that_came_after_each_other_share_a_lane_where_there_are_many() -> None:
    rows = [row(place, start=place // 2, end=place // 2 + 1, worker=f"process {place}") for place in range(2000)]
    found = timeline_of(record(*rows))
    assert found.lanes == ["process 0 and 999 more", "process 1 and 999 more"]
    assert {bar.lane for bar in found.bars} == {0, 1}
    crowd = [row(place, worker=f"process {place}") for place in range(1000)]
    assert len(timeline_of(record(*crowd)).lanes) == 400


def test_earlier_attempts_are_bars_and_only_the_first_has_waited() -> None:
    tried = row(
        0, start=2, end=3, ready=0.5, attempts=2, earlier=(EarlierAttempt(1.0, 1.5, "worker-2", "failed", "no"),)
    )
    columns = timeline_of(record(tried)).columns()
    bars = columns["bars"]
    states = [columns["states"][state] for state in bars["state"]]
    assert sorted(zip(states, bars["attempt"], bars["wait"], bars["start"], strict=True)) == [
        ("retried", 1, 500_000, 1_000_000),
        ("succeeded", 2, 0, 2_000_000),
    ]


def test_short_tasks_are_put_together_and_long_ones_stay() -> None:
    rows = [row(place, start=place / 1000, end=place / 1000 + 0.0005) for place in range(10_000)]
    rows[5000] = replace(rows[5000], state="failed")
    rows.append(row(20_000, "long", 0, 10, worker="worker-2"))
    bars = timeline_of(record(*rows)).bars
    assert len(bars) == 10_001
    fewer = merged(bars, 10, 500)
    assert 100 < len(fewer) <= 500
    assert sum(bar.tasks for bar in fewer) == 10_001
    assert [bar for bar in fewer if bar.tasks == 1 and bar.place == 20_000]
    # What is worst of those that are put together is seen.
    assert len([bar for bar in fewer if bar.state]) == 1


def test_how_many_wait() -> None:
    rows = [row(0, start=2, end=3, ready=0), row(1, start=3, end=4, ready=1), row(2, start=0, end=1)]
    assert waiting(rows, 4.0, 4) == pytest.approx([1, 2, 1, 0])
    # Half of a part counts by half.
    assert waiting([row(0, start=1.5, end=4, ready=0.5)], 4.0, 4) == pytest.approx([0.5, 0.5, 0, 0])
    assert waiting([row(0)], 0.0) == [0.0] * 400


# The picture ---------------------------------------------------------------------------------------------------------


def test_a_small_graph_is_drawn_as_it_is_each_behind_what_it_needs() -> None:
    found = picture_of(record(row(0, "a"), row(1, "b", needs=(0,)), row(2, "a", needs=(1, 0)), row(3, "d")))
    assert found is not None
    assert not found.folded
    assert [node.name for node in found.nodes] == ["a", "d", "b", "a"]
    assert sorted(found.edges) == [(0, 2), (0, 3), (2, 3)]
    for source, target in found.edges:
        assert found.nodes[source].x < found.nodes[target].x
    spots = [(node.x, node.y) for node in found.nodes]
    assert len(set(spots)) == 4
    assert all(0 <= x < found.width and 0 <= y < found.height for x, y in spots)


def test_a_large_one_is_folded_by_name_through_maps() -> None:
    rows = [row(place, "item", state="failed" if place == 7 else "succeeded", needs=(1000,)) for place in range(100)]
    rows += [row(1000, "list"), row(2000, "total", needs=(1500,)), row(2001, "total", needs=(2000,))]
    found = picture_of(record(*rows, joints={1500: tuple(range(100))}))
    assert found is not None
    assert found.folded
    nodes = {node.name: node for node in found.nodes}
    assert nodes["item"].states == {"succeeded": 99, "failed": 1}
    assert nodes["total"].loops
    edges = {(found.nodes[source].name, found.nodes[target].name) for source, target in found.edges}
    assert edges == {("list", "item"), ("item", "total")}


def test_names_that_need_each_other_and_too_many_names() -> None:
    rows = [row(place, "ab"[place % 2], needs=(place - 1,) if place else ()) for place in range(50)]
    found = picture_of(record(*rows))
    assert found is not None
    assert sorted(found.edges) == [(0, 1), (1, 0)]
    assert picture_of(record(*(row(place, str(place)) for place in range(100)))) is None
    assert picture_of(record()) is None


# Two runs ------------------------------------------------------------------------------------------------------------


def test_changes() -> None:
    assert changed("took", 2.0, 1.0, words.seconds)[1:] == ("2 s", "1 s", "−50 %", "better")
    assert changed("took", 1.0, 1.5, words.seconds)[3:] == ("+50 %", "worse")
    assert changed("took", 1.0, 1.01, words.seconds)[3:] == ("+1 %", "")
    assert changed("failed", 0, 3, words.count)[3:] == ("new", "worse")
    assert changed("succeeded", 3, 6, words.count, judged=False)[3:] == ("+100 %", "")


def test_names_are_paired_and_what_has_changed_most_comes_first() -> None:
    first = by_name([row(0, "same"), row(1, "gone", end=5), row(2, "slower")])
    second = by_name([row(0, "same"), row(1, "new", end=3), row(2, "slower", end=9)])
    edges = edges_of([])
    pairs = pairs_of(times_of(first, edges), times_of(second, edges))
    assert [(pair.name, pair.total.verdict) for pair in pairs] == [
        ("slower", "worse"),
        ("gone", ""),
        ("new", ""),
        ("same", ""),
    ]


# Pages ---------------------------------------------------------------------------------------------------------------


def test_nothing_in_a_page_is_more_than_text() -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u2028\x1b[31m\u202e\"'\n&"
    rows = [row(0, evil, worker=evil, state="failed", error=evil), row(1, evil, needs=(0,))]
    told = record(*rows, workflow=evil, error=evil, run=evil, memory={evil: 1}, environment={evil: evil})
    for page in (page_of(told), comparison_of(told, told)):
        assert "alert(1)" in page
        assert "<script>alert" not in page
        assert "<img" not in page
        assert page.count("<script") <= 2
        assert not set("\x1b\u202e\u2028") & set(page)
        page.encode()


def test_a_lone_surrogate_can_be_written() -> None:
    page_of(record(row(0, "\ud800"))).encode()


def test_hundred_thousand_tasks_are_a_page_of_three_megabytes_at_most() -> None:
    page = page_of(large())
    assert len(page.encode()) < 3_000_000
    assert page.count("\n") < 5000


def test_nor_are_many_names_and_many_workers_more() -> None:
    names = "a name of some length, as the path of a file may be, number"
    rows = [
        row(place, f"{names} {place}", place / 100, place / 100 + 1, worker=f"process {place}", state="failed")
        for place in range(20_000)
    ]
    assert len(page_of(record(*rows)).encode()) < 3_000_000


def large() -> RunRecord:
    """A hundred thousand tasks, none of which can be put together with its neighbours."""
    rows = [
        row(
            place,
            f"a task with a long name, number {place % 5}",
            start=place // 16 * 0.1,
            end=place // 16 * 0.1 + 0.03 + place % 7 / 100,
            ready=place // 16 * 0.1 - 0.05,
            worker=f"process {1_000_000 + place % 16}",
            state="failed" if place % 1000 == 999 else "succeeded",
            needs=(place - 16,) if place >= 16 else (),
        )
        for place in range(100_000)
    ]
    return record(*rows, counts={"succeeded": 99_900, "failed": 100})


# Words and costs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0 s"),
        (1.5e-6, "1.5 µs"),
        (0.0123, "12.3 ms"),
        (0.99999, "1 s"),
        (99.99, "1 min 40 s"),
        (3700, "1 h 01 min"),
        (-2.0, "−2 s"),
    ],
)
def test_seconds(value: float, said: str) -> None:
    assert words.seconds(value) == said


def test_other_words() -> None:
    assert [words.count(1234), words.count(0.25), words.many(1, "task"), words.many(2, "task")] == [
        "1,234",
        "0.2",
        "1 task",
        "2 tasks",
    ]
    assert [words.share(0.5), words.share(0.012), words.factor(1.25), words.size(123_456_789)] == [
        "50 %",
        "1.2 %",
        "1.25 ×",
        "123 MB",
    ]
    assert words.moment(0.0) == "1970-01-01 00:00:00 UTC"
    assert words.moment(1e300) == "unknown"


def test_what_is_recorded_of_a_task_is_less_than_a_hundred_bytes() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        records = Records()
        records.extend(100_000)
        assert (tracemalloc.get_traced_memory()[0] - before) / 100_000 < 100
    finally:
        tracemalloc.stop()
