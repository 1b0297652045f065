"""The record of a run, on every backend, and the pages that are made of it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from cotality.workflow import RunRecord, Workflow, compare, task
from cotality.workflow._report.paths import critical_path, in_order, needs_of
from tests.contract import flows

SECRET = "a-value-that-nobody-may-see"


def made(backend: Any) -> Any:
    flow = Workflow("nightly", backend=backend, failure="finish")
    one = flow.add(flows.give(SECRET))
    bad = flows.fail("no\nmore")
    flow.add(flows.add(bad.output))
    flow.add(flows.add(flows.add(bad.output).output))
    flow.map(flows.fail_if_odd, [1, 2, 3])
    flow.add(flows.give(one.output))
    return flow.run(raise_failures=False)


def test_a_record(backend: Any) -> None:
    run = made(backend)
    record = run.record()
    assert (record.run, record.workflow, record.state) == (run.id, "nightly", run.state)
    assert record.duration == run.duration
    assert record.counts == run.counts == {"succeeded": 3, "failed": 3, "skipped": 3}
    assert [row.index for row in record.rows] == [event["index"] for event in run.events()]
    assert record.environment["Backends"]


def test_failures_are_grouped_by_cause(backend: Any) -> None:
    odd, told = made(backend).record().causes
    assert (odd.kind, odd.count, odd.tasks, odd.skipped) == ("ValueError", 2, {"fail_if_odd": 2}, 0)
    assert len(odd.indices) == 2
    assert (told.kind, told.message, told.count, told.skipped) == ("ValueError", "no\nmore", 1, 3)
    assert told.where.startswith("flows.py:")
    assert told.where.endswith(" in fail")
    assert "    raise error" in told.traceback
    assert any("a note of its own" in line for line in told.traceback)


def test_what_is_saved_can_be_read(backend: Any, tmp_path: Path) -> None:
    run = made(backend)
    run.save(tmp_path / "run.json")
    record, read = run.record(), RunRecord.load(tmp_path / "run.json")
    assert list(read.rows) == list(record.rows)
    assert [cause.traceback for cause in read.causes] == [cause.traceback for cause in record.causes]
    assert read.joints == record.joints
    for name in ("run", "workflow", "state", "duration", "began_at", "counts", "environment"):
        assert getattr(read, name) == getattr(record, name)
    read.report(tmp_path / "run.html")
    # In the order in which they failed.
    assert re.search("<dt>Item of its map</dt><dd>(0, 2|2, 0)</dd>", (tmp_path / "run.html").read_text())
    assert "nightly" in (tmp_path / "run.html").read_text()


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "[1, 2", '{"format": "a run of cotality-workflow", "version": 1}', "\ud800", "[" * 5000],
)
def test_what_is_no_saved_run_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=r"run\.json is no run that was saved"):
        RunRecord.load(tmp_path / "run.json")


def test_a_saved_run_that_somebody_has_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    made("serial").save(path)
    sound = json.loads(path.read_text())

    def refused(**changes: Any) -> None:
        path.write_text(json.dumps({**sound, **changes}))
        with pytest.raises(ValueError, match="is no run that was saved"):
            RunRecord.load(path)

    refused(duration="long")
    refused(duration=float("nan"))
    refused(duration=10**400)
    refused(counts={"failed": "many"})
    refused(version=2)
    refused(rows={**sound["rows"], "start": ["soon"] * len(sound["rows"]["start"])})
    refused(rows={**sound["rows"], "task": sound["rows"]["task"][1:]})
    refused(causes=[{"state": "failed"}])


def test_no_argument_and_no_result_is_in_them(backend: Any, tmp_path: Path) -> None:
    run = made(backend)
    run.save(tmp_path / "run.json")
    run.report(tmp_path / "run.html")
    compare(run, run, tmp_path / "two.html")
    for path in tmp_path.iterdir():
        assert SECRET not in path.read_text(), path.name


def test_memory_of_processes() -> None:
    flow = Workflow("two", backend="processes", max_workers=2)
    flow.map(flows.sleep, [0.06] * 4)
    run = flow.run()
    memory = run.record().memory
    assert memory["this process"] > 1 << 20
    workers = {event["worker"] for event in run.events()}
    assert workers <= set(memory)
    for worker in workers:
        assert memory[worker] > 1 << 20


def test_a_run_that_is_not_over_has_none(tmp_path: Path) -> None:
    flow = Workflow("endless", backend="serial")
    flow.map(flows.add, range(10))
    with flow.stream() as outcomes:
        next(outcomes)
        with pytest.raises(RuntimeError, match="is not over"):
            outcomes.run.report(tmp_path / "run.html")
    outcomes.run.report(tmp_path / "run.html")
    assert "cancelled" in (tmp_path / "run.html").read_text()


def test_a_run_of_nothing(tmp_path: Path) -> None:
    run = Workflow("nothing").run()
    run.report(tmp_path / "run.html")
    compare(run, made("serial"), tmp_path / "one.html")
    compare(made("serial"), run, tmp_path / "other.html")
    assert "nothing" in (tmp_path / "run.html").read_text()


def test_what_can_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        made("serial").report(tmp_path / "nowhere" / "run.html")
    assert os.listdir(tmp_path) == []


def test_runs_that_are_compared_may_be_saved_ones(tmp_path: Path) -> None:
    first, second = made("serial"), made("threads")
    first.save(tmp_path / "first.json")
    compare(tmp_path / "first.json", second.record(), tmp_path / "a.html")
    compare(str(tmp_path / "first.json"), second, tmp_path / "b.html")
    page = (tmp_path / "a.html").read_text()
    assert first.id in page
    assert second.id in page


def test_what_was_waited_for_has_no_circle_whatever_was_mapped() -> None:
    flow = Workflow("maps", backend="serial", failure="finish")
    numbers = flows.numbers_to(4)
    shared = flows.give(1)
    plain = flow.map(flows.add, numbers.output)
    nested = flow.map(lambda count: flow.map(flows.add, range(count)), numbers.output)
    twice = flow.map(lambda one, two: flows.add(one, shared.output), plain.outputs, plain.outputs)
    lent = flow.map(flows.add, [shared.output, numbers.output[0]])
    every = flow.gather(plain.outputs, twice.outputs, lent.outputs)
    flow.add(flows.summary(twice.outcomes).after(nested, every))
    flow.map(flows.fail_if_odd, twice.outputs)
    record = flow.run(raise_failures=False).record()
    needs = needs_of(record)
    order = in_order(needs)
    assert sorted(order) == sorted(needs)
    ended = {row.index: row for row in record.rows}
    for place, needed in needs.items():
        for need in needed:
            if place in ended and need in ended and ended[place].start is not None:
                assert (ended[need].end or 0.0) <= ended[place].start
    path = critical_path(record)
    assert 0 < path.seconds <= record.duration
    starts = [row.start for row in path.rows]
    assert starts == sorted(starts)
    # Which of those that wait for nothing took longer is chance.
    assert path.rows[0].task in ("numbers_to", "give")


@task
def parse(text: str) -> Any:
    return json.loads(text)


def test_a_failure_is_said_to_be_raised_where_the_users_code_is(backend: Any) -> None:
    flow = Workflow("parsed", backend=backend)
    flow.add(parse("{"))
    (cause,) = flow.run(raise_failures=False).record().causes
    assert cause.where.startswith("test_report.py:")
    assert cause.where.endswith(" in parse")
