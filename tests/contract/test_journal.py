"""The journal and the cache, end to end, on every backend: what was finished does not run again."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cotality.core.utils.process import (
    execute_tasks_in_parallel,
    execute_tasks_in_parallel_streaming,
    execute_tasks_in_parallel_unordered,
)
from cotality.parallel import Task, run
from cotality.workflow import Cache, Journal, Workflow, errors, load_failures, task
from tests.contract.journalled import (
    array,
    count,
    doubles,
    fail_without,
    fetch,
    judge,
    last,
    listing,
    lock,
    nested,
    start,
    starts,
    total,
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


# Workflows -----------------------------------------------------------------------------------------------------------


def test_a_finished_workflow_runs_nothing_again_and_gives_the_same(backend: Any, log: Path, journal: Path) -> None:
    results = []
    for _ in range(2):
        flow = Workflow(backend=backend)
        lists = flow.add(flow.map(lambda number: fetch(log, number), [1, 2, 3]))
        sums = flow.map(lambda numbers: total(log, numbers), lists.outputs)
        whole = flow.add(nested(log, lists.outputs))
        chain = flow.add(total(log, fetch(log, 9).output))
        part = flow.add(total(log, [fetch(log, 5).output[4], 1]))
        both = flow.gather(whole.output, chain.output)
        run = flow.run(journal=journal)
        results.append([run[node] for node in (lists, sums, whole, chain, part, both)])
        if not run.resumed:
            assert len(starts(log)) == 11
    assert results[0] == results[1] == [[[0], [0, 1], [0, 1, 2]], [0, 1, 3], 4, 36, 5, (4, 36)]
    assert starts(log) == []
    assert run.resumed == {"fetch": 5, "total": 5, "nested": 1}
    assert run.counts == {"succeeded": 11}
    outcome = run.outcome(chain)
    assert (outcome.state, outcome.value, outcome.attempts) == ("succeeded", 36, 0)


def test_a_task_that_takes_what_was_gathered(log: Path, journal: Path) -> None:
    for number, expected in ((2, ["last", "total", "total"]), (2, []), (3, ["last", "total"])):
        flow = Workflow()
        sums = flow.gather(*[total(log, [each]).output for each in (1, number)])
        end = flow.add(last(log, sums.output))
        assert flow.run(journal=journal)[end] == number
        assert starts(log) == expected


def test_failed_tasks_run_again_and_so_does_what_needs_them(backend: Any, log: Path, journal: Path) -> None:
    flag = log.with_name("flag")
    for expected in (["fail_without 7", "fetch 3", "total"], ["fail_without 7", "total"], []):
        flow = Workflow(backend=backend, failure="finish")
        fine = flow.add(total(log, fetch(log, 3).output))
        broken = fail_without(log, flag, 7)
        after = flow.add(total(log, [broken.output]))
        run = flow.run(journal=journal, raise_failures=False)
        assert starts(log) == expected
        assert run[fine] == 3
        flag.touch()
    assert run[after] == 7


def test_only_new_items_of_a_map_run(backend: Any, log: Path, journal: Path) -> None:
    for numbers, expected in (([1, 2], ["fetch 1", "fetch 2"]), ([0, 2, 1, 3], ["fetch 0", "fetch 3"])):
        flow = Workflow(backend=backend)
        lists = flow.map(lambda number: fetch(log, number), numbers)
        assert [len(found) for found in flow.run(journal=journal)[lists]] == numbers
        assert starts(log) == expected


def test_tasks_that_are_alike_are_each_one_task(log: Path, journal: Path) -> None:
    for times, expected in ((2, 2), (3, 1), (3, 0)):
        flow = Workflow()
        for _ in range(times):
            flow.add(fetch(log, 1))
        flow.run(journal=journal)
        assert len(starts(log)) == expected


def test_outcomes_that_are_taken(log: Path, journal: Path) -> None:
    flag = log.with_name("flag")
    said = []
    for _ in range(2):
        flow = Workflow(failure="finish")
        parts = flow.map(lambda number: fail_without(log, flag, number), [1, 2])
        verdict = flow.add(judge(log, parts.outcomes))
        said.append(flow.run(journal=journal, raise_failures=False)[verdict])
    assert said == ["failed failed"] * 2
    assert starts(log).count("judge") == 1
    flag.touch()
    assert flow.run(journal=journal)[verdict] == "succeeded succeeded"


def test_an_outcome_is_not_taken_for_the_result(log: Path, journal: Path) -> None:
    for wanted, expected in (("output", "int"), ("outcome", "Outcome")):
        flow = Workflow()
        kind = flow.add(kind_of(getattr(fail_without(log, log.parent, 1), wanted)))
        assert flow.run(journal=journal)[kind] == expected


@task
def kind_of(value: object) -> str:
    return type(value).__name__


def test_a_task_that_opts_out_runs_and_what_takes_it_goes_by_what_it_gives(
    backend: Any, log: Path, journal: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    flow = Workflow(backend=backend)
    number = flow.add(count(log, listing(log, folder).output))
    assert flow.run(journal=journal)[number] == 0
    assert starts(log) == ["count", "listing"]
    assert flow.run(journal=journal)[number] == 0
    assert starts(log) == ["listing"]
    (folder / "new").touch()
    assert flow.run(journal=journal)[number] == 1
    assert starts(log) == ["count", "listing"]


def test_an_expired_result_is_made_anew_with_what_took_it(log: Path, journal: Path) -> None:
    flow = Workflow()
    flow.add(total(log, fetch.options(expires=1000)(log, 3).output))
    flow.run(journal=journal)
    assert starts(log) == ["fetch 3", "total"]
    flow.run(journal=journal)
    assert starts(log) == []
    flow = Workflow()
    flow.add(total(log, fetch.options(expires=1e-9)(log, 3).output))
    flow.run(journal=journal)
    assert starts(log) == ["fetch 3", "total"]


def test_a_version_and_a_key_override(log: Path, journal: Path) -> None:
    def ran(**options: Any) -> bool:
        flow = Workflow()
        flow.add(fetch.options(**options)(log, 3))
        flow.run(journal=journal)
        return bool(starts(log))

    assert ran(version=1)
    assert not ran(version=1)
    assert ran(version=2)
    assert ran(key=lambda log, number: number % 2)
    flow = Workflow()
    flow.add(fetch.options(key=lambda log, number: number % 2)(log, 5))
    flow.run(journal=journal)
    assert starts(log) == []


def test_a_key_is_made_of_what_other_tasks_gave(log: Path, journal: Path) -> None:
    for _ in range(2):
        flow = Workflow()
        by_length = total.options(key=lambda log, numbers: len(numbers))
        flow.add(by_length(log, listing_of(3).output))
        flow.run(journal=journal)
    assert starts(log) == ["total"]


@task(journal=False)
def listing_of(number: int) -> list[int]:
    return list(range(number))


def made(body: str, folder: Path) -> Any:
    """A task whose code is this, as if its file had been changed."""
    space: dict[str, Any] = {"start": start, "__name__": "pipeline"}
    exec(f"def change(log, number):\n    start(log, 'change')\n    {body}\n", space)
    return task(space["change"])


def test_changed_code_runs_again_with_what_depends_on_it_and_the_log_says_why(
    log: Path, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for body in ("return [number]", "return [number]  # the same", "return [number][:1]"):
        flow = Workflow()
        flow.add(total(log, made(body, log)(log, 4).output))
        with caplog.at_level(logging.INFO, "cotality"):
            caplog.clear()
            flow.run(journal=journal)
        expected = [] if "same" in body else ["change", "total"]
        assert starts(log) == expected
    told = [record.getMessage() for record in caplog.records if "journal.runs_again" in record.getMessage()]
    assert len(told) == 2
    assert "its function, a global that it names, or its version has changed task=change" in told[0]
    assert "what it takes from other tasks has changed task=total" in told[1]


def test_a_changed_global_runs_again(log: Path, journal: Path) -> None:
    space: dict[str, Any] = {"start": start, "__name__": "notebook", "K": 1}
    exec("def scale(log, number):\n    start(log, 'scale')\n    return number * K", space)
    given = []
    for space["K"] in (1, 1, 5):
        flow = Workflow()
        scaled = flow.add(task(space["scale"])(log, 4))
        given.append((flow.run(journal=journal)[scaled], starts(log)))
    assert given == [(4, ["scale"]), (4, []), (20, ["scale"])]


def test_what_nobody_needs_is_not_read(log: Path, journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cotality.parallel._journal.store import Store

    flow = Workflow()
    end = flow.add(last(log, array(log, 100_000).output))
    flow.run(journal=journal)
    read: list[int] = []
    many = Store.read_many
    monkeypatch.setattr(Store, "read_many", lambda self, entries: read.append(len(entries)) or many(self, entries))
    run = flow.run(journal=journal)
    assert read == []
    assert run[end] == 99_999
    assert read == [1]


def test_a_large_array_is_a_file_and_is_mapped(backend: Any, log: Path, journal: Path) -> None:
    for expected in (["array", "last"], []):
        flow = Workflow(backend=backend)
        numbers = flow.add(array(log, 100_000))
        end = flow.add(last(log, numbers.output))
        run = flow.run(journal=journal)
        assert run[end] == 99_999
        assert starts(log) == expected
    found = run[numbers]
    assert not found.flags.owndata
    # What is done to it stays with who does it.
    found[0] = 7
    assert flow.run(journal=journal)[numbers][0] == 0
    assert len(list((journal.parent / "run.db-results").iterdir())) == 1


def test_what_can_not_be_kept_runs_again_and_is_told(
    log: Path, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        flow = Workflow(backend="threads")
        made = flow.add(lock(log))
        assert flow.run(journal=journal)[made]
        assert starts(log) == ["lock"]
    assert "journal.not_kept: its result can not be pickled" in caplog.text


def test_an_argument_that_can_not_be_recognised_is_that_tasks_error(log: Path, journal: Path) -> None:
    flow = Workflow(failure="finish")
    good = flow.add(fetch(log, 1))
    bad = flow.add(hold(threading.Lock()))
    run = flow.run(journal=journal, raise_failures=False)
    assert run[good] == [0]
    error = run.outcome(bad).error
    assert isinstance(error, errors.NoStableContent)
    assert "argument 'thing' of hold can not be recognised again: it holds a lock" in str(error)


@task
def hold(thing: object) -> None:
    pass


def test_the_other_ways_to_run(log: Path, journal: Path) -> None:
    flow = Workflow(journal=journal)
    lists = flow.map(lambda number: fetch(log, number), range(20))
    with flow.stream(lists) as outcomes:
        assert [len(outcome.value) for outcome in outcomes] == list(range(20))
    assert len(starts(log)) == 20

    async def again() -> list[int]:
        run = await flow_again.arun()
        assert sum(map(len, run[lists_again])) == 190
        return [len(outcome.value) async for outcome in flow_again.astream(lists_again)]

    flow_again = Workflow(journal=journal)
    lists_again = flow_again.map(lambda number: fetch(log, number), list(range(20)))
    assert asyncio.run(again()) == list(range(20))
    with flow_again.stream(lists_again, ordered=False) as outcomes:
        assert {outcome.attempts for outcome in outcomes} == {0}
    assert starts(log) == []


def test_observers_are_told_what_was_taken_over(log: Path, journal: Path) -> None:
    class Names:
        def __init__(self) -> None:
            self.told: list[tuple[str, str | None]] = []

        def notice(self, events: Any) -> None:
            self.told += [(event.name, event.worker) for event in events if event.task]

    for worker in (None, "journal"):
        observer, shown = Names(), []
        flow = Workflow(observers=[observer], progress=shown.append)
        flow.add(fetch(log, 3))
        flow.run(journal=journal)
        assert [name for name, _ in observer.told] == ["task.finished"]
        assert worker is None or observer.told[0][1] == worker
        assert shown[-1].succeeded == 1


# Lists and streams ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["list", "unordered", "stream", "lazy"])
def test_lists_and_streams(backend: Any, kind: str, log: Path, journal: Path) -> None:
    def results(count: int) -> list[int]:
        tasks = doubles(log, count)
        if kind == "list":
            return execute_tasks_in_parallel(tasks, backend=backend, journal=journal)
        if kind == "unordered":
            return sorted(execute_tasks_in_parallel_unordered(tasks, backend=backend, journal=journal))
        given = iter(tasks) if kind == "lazy" else tasks
        found = dict(execute_tasks_in_parallel_streaming(given, backend=backend, journal=journal))
        return [found[index] for index in range(count)]

    assert results(30) == [2 * number for number in range(30)]
    assert len(starts(log)) == 30
    assert results(40) == [2 * number for number in range(40)]
    assert starts(log) == sorted(f"double {number}" for number in range(30, 40))


def test_a_stream_that_was_left_goes_on_where_it_was(log: Path, journal: Path) -> None:
    stream = execute_tasks_in_parallel_streaming(doubles(log, 100), 2, journal=journal, window=8)
    for index, _ in stream:
        if index == 20:
            break
    stream.close()
    begun = starts(log)
    assert 21 <= len(begun) < 60
    assert execute_tasks_in_parallel(doubles(log, 100), 2, journal=journal) == [2 * number for number in range(100)]
    again = set(begun) & set(starts(log))
    # What a thread was at when the stream was left, and that alone.
    assert len(again) <= 2


def test_an_endless_source_is_not_drained_by_what_is_known(log: Path, journal: Path) -> None:
    execute_tasks_in_parallel(doubles(log, 1000), journal=journal)
    taken = 0

    def source() -> Iterator[Task[int]]:
        nonlocal taken
        for each in doubles(log, 1000):
            taken += 1
            yield each

    stream = execute_tasks_in_parallel_streaming(source(), 2, journal=journal, window=5)
    assert next(stream) == (0, 0)
    assert taken <= 5
    stream.close()
    taken = 0
    stream = execute_tasks_in_parallel_streaming(source(), 2, journal=journal)
    assert [next(stream) for _ in range(3)] == [(0, 0), (1, 2), (2, 4)]
    assert taken <= 600
    stream.close()


def test_errors_of_a_list_run_again_and_options_of_tasks_count(log: Path, journal: Path) -> None:
    flag = log.with_name("flag")
    for expected in (ValueError, int):
        tasks: list[Task[Any]] = [fail_without(log, flag, 1), fetch.options(journal=False)(log, 2)]
        (first, second) = run(tasks, journal=journal, return_exceptions=True)
        assert isinstance(first, expected)
        assert second == [0, 1]
        assert starts(log) == ["fail_without 1", "fetch 2"]
        flag.touch()


def test_each_is_written_before_anybody_is_told(log: Path, journal: Path) -> None:
    from cotality.parallel._journal.store import Store

    settings = Journal(journal, durability="each")
    with_results = execute_tasks_in_parallel_streaming(doubles(log, 5), 1, journal=settings)
    for index, _ in with_results:
        # Seen by another connection: it is committed.
        reader = Store(journal, alone=False)
        assert len(reader.index()) > index
        reader.close()


# Caches --------------------------------------------------------------------------------------------------------------


def test_a_cache_is_shared_by_workflows_and_expires(log: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db")
    cached = fetch.options(cache=cache)
    for name, expected in (("one", ["fetch 3", "total"]), ("two", ["total"])):
        flow = Workflow(name)
        end = flow.add(total(log, cached(log, 3).output))
        assert flow.run()[end] == 3
        assert starts(log) == expected
    flow = Workflow()
    flow.add(cached.options(expires=1e-9)(log, 3))
    flow.run()
    assert starts(log) == ["fetch 3"]
    assert [(entry.function, entry.results) for entry in cache.entries()] == [("tests.contract.journalled.fetch", 1)]
    assert cache.invalidate(fetch) == 1
    flow.run(raise_failures=True)
    assert starts(log) == ["fetch 3"]


def test_a_cached_result_may_be_removed_before_it_is_needed_and_a_damaged_one_is_made_anew(
    log: Path, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache.db")
    flow = Workflow()
    numbers = flow.add(array.options(cache=cache)(log, 100_000))
    flow.run()
    starts(log)
    run = flow.run()
    assert cache.invalidate(array) == 1
    assert run[numbers][-1] == 99_999
    flow.run()
    (large,) = (tmp_path / "cache.db-results").iterdir()
    large.write_bytes(b"")
    starts(log)
    assert flow.run()[numbers][-1] == 99_999
    assert starts(log) == ["array"]


def test_a_cache_and_a_journal_together(log: Path, journal: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db")
    for expected in (["fetch 3", "total"], [], []):
        flow = Workflow()
        flow.add(total(log, fetch.options(cache=cache)(log, 3).output))
        flow.run(journal=journal)
        assert starts(log) == expected
        cache.invalidate()


@pytest.mark.parametrize("kind", ["list", "unordered", "stream"])
def test_lists_and_streams_have_caches_and_share_them_with_workflows(
    backend: Any, kind: str, log: Path, tmp_path: Path
) -> None:
    cached = fetch.options(cache=Cache(tmp_path / "cache.db"))

    def lengths(numbers: list[int]) -> list[int]:
        tasks = [cached(log, number) for number in numbers]
        if kind == "list":
            return [len(found) for found in execute_tasks_in_parallel(tasks, backend=backend)]
        if kind == "unordered":
            return sorted(len(found) for found in execute_tasks_in_parallel_unordered(tasks, backend=backend))
        return [len(found) for _, found in execute_tasks_in_parallel_streaming(iter(tasks), backend=backend)]

    flow = Workflow(backend=backend)
    flow.map(lambda number: cached(log, number), [1, 2])
    flow.run()
    assert starts(log) == ["fetch 1", "fetch 2"]
    # Those that are alike are made once.
    assert lengths([1, 2, 3, 3, 3, 4]) == [1, 2, 3, 3, 3, 4]
    assert starts(log) == ["fetch 3", "fetch 4"]
    assert lengths([1, 2, 3, 4]) == [1, 2, 3, 4]
    assert starts(log) == []


def test_a_cached_task_of_a_list_that_fails_is_tried_by_the_next_one_that_is_alike(log: Path, tmp_path: Path) -> None:
    flag = log.with_name("flag")
    cached = fail_without.options(cache=Cache(tmp_path / "cache.db"))
    tasks = [cached(log, flag, 7) for _ in range(3)]
    errors_of = execute_tasks_in_parallel(tasks, 2, return_exceptions=True)
    assert [type(error) for error in errors_of] == [ValueError] * 3
    assert starts(log) == ["fail_without 7"] * 3
    errors_of = execute_tasks_in_parallel(tasks[:1], retries=2, return_exceptions=True)
    assert [type(error) for error in errors_of] == [ValueError]
    assert starts(log) == ["fail_without 7"] * 3
    with pytest.raises(ValueError, match="not yet"):
        execute_tasks_in_parallel(tasks, 2)
    flag.touch()
    starts(log)
    assert execute_tasks_in_parallel(tasks, 2) == [7, 7, 7]
    assert starts(log) == ["fail_without 7"]


def test_a_list_with_a_journal_and_a_cache(log: Path, journal: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db")
    tasks = [fetch.options(cache=cache)(log, 3), fetch(log, 4)]
    for expected in (["fetch 3", "fetch 4"], []):
        assert [len(found) for found in execute_tasks_in_parallel(tasks, journal=journal)] == [3, 4]
        assert starts(log) == expected
        cache.invalidate()


def test_a_cached_result_of_a_list_that_can_not_be_opened_any_more_is_that_tasks_error(tmp_path: Path) -> None:
    tasks = [task(cache=Cache(tmp_path / "cache.db"))(leave)()]
    assert isinstance(execute_tasks_in_parallel(tasks)[0], Leaving)
    (error,) = execute_tasks_in_parallel(tasks, return_exceptions=True)
    assert isinstance(error, errors.JournalError)
    assert "the result of leave can not be opened any more: SystemExit was raised" in str(error)


class Leaving:
    """Exits when it is opened again."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return sys.exit, (7,)


def leave() -> Leaving:
    return Leaving()


def test_a_cache_that_can_not_be_written_ends_no_run(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from cotality.parallel._journal.store import Store

    def refuse(store: Store, rows: object) -> None:
        raise errors.JournalError("no room")

    monkeypatch.setattr(Store, "append", refuse)
    flow = Workflow()
    made = flow.add(fetch.options(cache=Cache(tmp_path / "cache.db"))(log, 3))
    assert flow.run()[made] == [0, 1, 2]
    assert "the cache can not be written: no room" in caplog.text


def test_a_cache_on_a_full_disk_gives_what_it_has_and_the_rest_runs(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from cotality.parallel._journal.store import Store

    query = Store.query
    cached = fetch.options(cache=Cache(tmp_path / "cache.db"))

    def refuse(store: Store, statement: str, *values: Any) -> Any:
        if statement.startswith("SELECT"):
            return query(store, statement, *values)
        raise errors.JournalError("no room")

    for numbers in ([1], [1, 2, 2]):
        flow = Workflow()
        lists = flow.map(lambda number: cached(log, number), numbers)
        assert flow.run()[lists] == [list(range(number)) for number in numbers]
        monkeypatch.setattr(Store, "query", refuse)
    assert starts(log) == ["fetch 1", "fetch 2", "fetch 2"]
    assert "the cache can not be used, so it runs: no room" in caplog.text


def test_alike_tasks_of_one_run_are_made_once_also_by_a_map(log: Path, tmp_path: Path) -> None:
    cached = fetch.options(cache=Cache(tmp_path / "cache.db"))
    flow = Workflow()
    lists = flow.map(lambda number: cached(log, number), [2, 2, 2, 3])
    assert flow.run()[lists] == [[0, 1], [0, 1], [0, 1], [0, 1, 2]]
    assert starts(log) == ["fetch 2", "fetch 3"]


def test_what_one_could_not_make_another_tries(log: Path, tmp_path: Path) -> None:
    flag = log.with_name("flag")
    cached = fail_without.options(cache=Cache(tmp_path / "cache.db"))
    flow = Workflow(failure="finish")
    flow.map(lambda number: cached(log, flag, number), [1, 1])
    run = flow.run(raise_failures=False)
    assert len(run.failures) == 2
    assert starts(log) == ["fail_without 1"] * 2


def test_what_one_had_no_inputs_for_another_does_not_wait_for(log: Path, tmp_path: Path) -> None:
    cached = fetch.options(cache=Cache(tmp_path / "cache.db"))
    flow = Workflow(failure="finish")
    numbers = fetch(log, 3)
    for _ in range(2):
        flow.add(cached(log, numbers.output[7]))
    run = flow.run(raise_failures=False, timeout=20)
    assert [type(failure.error) for failure in run.failures] == [IndexError, IndexError]


def test_code_counts_unless_the_cache_goes_by_inputs(log: Path, tmp_path: Path) -> None:
    for by, expected in (("code", 2), ("inputs", 1)):
        cache = Cache(tmp_path / f"{by}.db", by=by)
        for body in ("return [number]", "return [number][:1]"):
            flow = Workflow()
            flow.add(made(body, log).options(cache=cache)(log, 1))
            flow.run()
        assert len(starts(log)) == expected


def test_a_cache_stays_small_and_keeps_what_was_used_last(log: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db", max_bytes=2_200_000)
    cached = array.options(cache=cache)
    for size in (100_000, 100_001, 100_000, 100_002, 100_000):
        flow = Workflow()
        flow.add(cached(log, size))
        flow.run()
    assert len(starts(log)) == 3
    assert sum(entry.bytes for entry in cache.entries()) <= 2_200_000
    assert sum(file.stat().st_size for file in (tmp_path / "cache.db-results").iterdir()) <= 2_200_000
    folder = tmp_path / "cache.db-results"
    for name, age in (("orphan", 7200), ("young", 0)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age,) * 2)
    assert cache.prune(0) == 2
    assert [path.name for path in folder.iterdir()] == ["young"]
    assert cache.entries() == []


# Failed tasks as a file ----------------------------------------------------------------------------------------------


def test_failed_tasks_are_given_back_and_just_those_run(log: Path, journal: Path, tmp_path: Path) -> None:
    flag, file = tmp_path / "flag", tmp_path / "failures"
    flow = Workflow(failure="finish", journal=journal)
    flow.map(lambda number: fail_without(log, flag, number), [1, 2])
    flow.add(total(log, fetch(log, 2).output))
    flow.add(fail_without(log, flag, total(log, fetch(log, 2).output).output))
    assert flow.run(raise_failures=False).save_failures(file) == 3
    starts(log)
    flag.touch()
    again = Workflow(journal=journal)
    tasks = load_failures(file)
    again.add(*tasks)
    run = again.run()
    assert sorted(run[each] for each in tasks) == [1, 1, 2]
    assert starts(log) == ["fail_without 1", "fail_without 1", "fail_without 2"]


@pytest.mark.parametrize("damage", ["mode", "bytes", "secret", "kind"])
def test_a_file_of_failures_is_checked_before_it_is_opened(tmp_path: Path, log: Path, damage: str) -> None:
    file = tmp_path / "failures"
    flow = Workflow(failure="finish")
    flow.add(fail_without(log, tmp_path / "flag", 1))
    flow.run(raise_failures=False).save_failures(file)
    assert file.stat().st_mode & 0o777 == 0o600
    if damage == "mode":
        file.chmod(0o620)
    elif damage in ("bytes", "kind"):
        data = bytearray(file.read_bytes())
        data[-1 if damage == "bytes" else 0] ^= 1
        file.write_bytes(data)
    with pytest.raises(
        errors.JournalError, match={"mode": "written by others", "kind": "not a file"}.get(damage, "damaged")
    ):
        load_failures(file, secret=b"another" if damage == "secret" else None)


def refuse(thing: object) -> None:
    raise ValueError("no")


class Gone:
    """Its class is taken away before it is opened."""


def test_a_file_of_failures_whose_code_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Workflow(raise_failures=False)
    flow.add(task(refuse)(Gone()))
    flow.run().save_failures(tmp_path / "failures")
    monkeypatch.delattr(sys.modules[__name__], "Gone")
    with pytest.raises(errors.JournalError, match="can not be opened any more: AttributeError was raised"):
        load_failures(tmp_path / "failures")


def test_nothing_is_removed_from_a_journal_that_is_taken_for_a_cache(log: Path, journal: Path) -> None:
    execute_tasks_in_parallel(doubles(log, 4), journal=journal)
    for remove in (lambda: Cache(journal).prune(0), Cache(journal).invalidate):
        with pytest.raises(errors.JournalError, match="is a journal and not a cache: nothing was removed"):
            remove()
    assert sum(entry.results for entry in Cache(journal).entries()) == 4


# Elsewhere -----------------------------------------------------------------------------------------------------------


class Shelf:
    """A place that keeps pieces in memory."""

    def __init__(self) -> None:
        self.pieces: dict[str, bytes] = {}

    def names(self) -> list[str]:
        return list(self.pieces)

    def read(self, name: str) -> bytes:
        return self.pieces[name]

    def write(self, name: str, data: bytes) -> None:
        self.pieces[name] = data

    def remove(self, name: str) -> None:
        del self.pieces[name]


@pytest.mark.parametrize("kind", ["shelf", "fsspec"])
def test_a_journal_in_another_place(backend: Any, kind: str, log: Path, tmp_path: Path) -> None:
    settings = Journal(Shelf() if kind == "shelf" else f"file://{tmp_path}/pieces", secret=b"s")
    if kind == "fsspec":
        pytest.importorskip("fsspec")
    for expected in (["array", "fetch 1", "fetch 2", "last"], [], ["fetch 3"]):
        flow = Workflow(backend=backend)
        end = flow.add(last(log, array(log, 100_000).output))
        lists = flow.map(lambda number: fetch(log, number), [1, 2] if "fetch 3" not in expected else [1, 2, 3])
        run = flow.run(journal=settings)
        assert run[end] == 99_999
        assert run[lists][:2] == [[0], [0, 1]]
        assert starts(log) == expected


def test_a_damaged_piece_is_not_used_and_a_lock_refuses(log: Path) -> None:
    shelf = Shelf()
    for _ in range(2):
        execute_tasks_in_parallel(doubles(log, 4), journal=Journal(shelf))
    assert len(starts(log)) == 4
    whole = dict(shelf.pieces)
    (name,) = whole
    for place in range(0, len(whole[name]), 7):
        damaged = bytearray(whole[name])
        damaged[place] ^= 4
        shelf.pieces = {name: bytes(damaged)}
        assert execute_tasks_in_parallel(doubles(log, 4), journal=Journal(shelf)) == [0, 2, 4, 6]
    shelf.pieces = {**whole, "lock": b"elsewhere 7"}
    with pytest.raises(errors.JournalError, match="the process 7 on elsewhere runs with it"):
        execute_tasks_in_parallel(doubles(log, 4), journal=Journal(shelf))


@pytest.mark.parametrize("written", ["elsewhere 7 99", "elsewhere 7", ""])
def test_the_lock_of_a_run_that_died_on_another_machine_is_removed_as_the_error_says(
    log: Path, tmp_path: Path, written: str
) -> None:
    pytest.importorskip("fsspec")
    address = f"file://{tmp_path}/pieces"
    execute_tasks_in_parallel(doubles(log, 4), journal=address)
    assert len(starts(log)) == 4
    (tmp_path / "pieces" / "lock").write_text(written)
    with pytest.raises(errors.JournalError, match=r"if it is gone remove .*, and run again: .* is kept") as refused:
        execute_tasks_in_parallel(doubles(log, 4), journal=address)
    assert ("the process 7 on elsewhere" in str(refused.value)) == bool(written)
    lock = str(refused.value).partition("remove file://")[2].partition(",")[0]
    os.unlink(lock)
    assert execute_tasks_in_parallel(doubles(log, 4), journal=address) == [0, 2, 4, 6]
    assert starts(log) == []


def test_a_place_that_can_not_be_read_is_let_go_of_and_strange_names_are_left_alone(log: Path) -> None:
    shelf = Shelf()
    execute_tasks_in_parallel(doubles(log, 4), journal=Journal(shelf))
    (segment,) = shelf.pieces
    shelf.pieces["segment-old"] = b"somebody's"
    assert execute_tasks_in_parallel(doubles(log, 4), journal=Journal(shelf)) == [0, 2, 4, 6]
    assert len(starts(log)) == 4

    def refuse(name: str) -> bytes:
        raise OSError("away")

    shelf.read = refuse  # type: ignore[method-assign]
    with pytest.raises(errors.JournalError, match="can not be used: OSError was raised"):
        execute_tasks_in_parallel(doubles(log, 4), journal=Journal(shelf))
    assert sorted(shelf.pieces) == [segment, "segment-old"]


def test_the_lock_of_a_dead_run_whose_process_number_is_ours_is_taken_over(log: Path) -> None:
    shelf = Shelf()
    mine = f"{socket.gethostname()} {os.getpid()}"
    shelf.pieces["lock"] = f"{mine} 1".encode()
    stream = execute_tasks_in_parallel_streaming(iter(doubles(log, 4)), journal=Journal(shelf))
    next(stream)
    with pytest.raises(errors.JournalError, match=f"the process {os.getpid()} on"):
        execute_tasks_in_parallel(doubles(log, 4), journal=Journal(shelf))
    stream.close()
    assert "lock" not in shelf.pieces


def test_a_segment_is_read_once_for_all_its_results_and_a_failed_read_is_no_damage(log: Path) -> None:
    shelf = Shelf()
    flow = Workflow()
    lists = flow.map(lambda number: fetch(log, number), range(20))
    flow.run(journal=Journal(shelf))
    segments = len(shelf.pieces)
    read = Shelf.read
    names: list[str] = []
    shelf.read = lambda name: names.append(name) or read(shelf, name)  # type: ignore[func-returns-value,method-assign]
    run = flow.run(journal=Journal(shelf))

    def refuse(name: str) -> bytes:
        raise OSError("away")

    reads, shelf.read = shelf.read, refuse  # type: ignore[method-assign]
    with pytest.raises(errors.JournalError, match="can not be used: OSError was raised"):
        run[lists]
    shelf.read = reads  # type: ignore[method-assign]
    assert [len(found) for found in run[lists]] == list(range(20))
    assert len(names) <= 2 * segments
