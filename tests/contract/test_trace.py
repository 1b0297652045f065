"""A run as data and as a trace."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from cotality.workflow import RetryPolicy, Workflow
from tests.contract import flows


def made(backend: Any) -> Any:
    flow = Workflow("nightly", backend=backend, failure="finish")
    one = flow.add(flows.give(1))
    two = flow.add(flows.add(one.output, one.output))
    bad = flow.add(flows.fail("no\nmore"))
    flow.add(flows.add(bad.output))
    flow.map(flows.add, [1, 2])
    return flow.run(raise_failures=False), one, two


def test_events(backend: Any) -> None:
    run, one, two = made(backend)
    events = run.events()
    by_index = {event["index"]: event for event in events}
    assert len(by_index) == len(events) == 6
    first, second = by_index[run.outcome(one).index], by_index[run.outcome(two).index]
    assert {event["run"] for event in events} == {run.id}
    assert {event["workflow"] for event in events} == {"nightly"}
    assert second["inputs"] == (first["index"],)
    assert 0 <= first["ready"] <= first["start"] <= first["end"] <= second["start"] <= second["end"] <= run.duration
    (failed,) = (event for event in events if event["state"] == "failed")
    assert failed["error"] == "ValueError: no"
    (skipped,) = (event for event in events if event["state"] == "skipped")
    assert (skipped["first_cause"], skipped["start"], skipped["worker"], skipped["attempts"]) == ("fail", None, None, 0)
    assert json.loads(json.dumps(events))


def test_tasks_that_a_worker_goes_on_with_were_due_when_it_did() -> None:
    flow = Workflow("chain", backend="processes", max_workers=1)
    last = flows.add(0)
    for _ in range(100):
        last = flows.add(last.output)
    flow.add(last)
    events = flow.run().events()
    for before, event in itertools.pairwise(events):
        assert before["end"] <= event["ready"] <= event["start"]


def test_a_trace(backend: Any, tmp_path: Path) -> None:
    run, _one, _two = made(backend)
    run.trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    slices = [event for event in events if event["ph"] == "X"]
    assert sorted(event["name"] for event in slices) == ["add", "add", "add", "fail", "give"]
    tracks = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert {event["tid"] for event in slices} == set(tracks)
    workers = {event["worker"] for event in run.events() if event["worker"]}
    assert set(tracks.values()) == workers
    (begun,), (ended,) = ([event for event in events if event["ph"] == kind] for kind in "sf")
    assert begun["id"] == ended["id"]
    assert begun["ts"] < ended["ts"]


def test_what_overlaps_on_one_worker_is_shown_side_by_side(tmp_path: Path) -> None:
    flow = Workflow("crowd")
    room: list[None] = []
    for _ in range(5):
        flow.add(flows.meet(5, room))
    flow.run().trace(tmp_path / "trace.json")
    slices = [e for e in json.loads((tmp_path / "trace.json").read_text())["traceEvents"] if e["ph"] == "X"]
    assert len({event["tid"] for event in slices}) == 5


def test_a_trace_that_can_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        made("threads")[0].trace(tmp_path / "nowhere" / "trace.json")


def test_earlier_attempts_are_slices_of_their_own(backend: Any, tmp_path: Path) -> None:
    flow = Workflow("stubborn", backend=backend, failure="finish")
    flow.add(flows.flaky.options(retries=2)(str(tmp_path / "notes"), 3))
    run = flow.run()
    (event,) = run.events()
    first, second = event["earlier"]
    assert [first["state"], second["state"], event["state"]] == ["failed", "failed", "succeeded"]
    assert [first["error"], second["error"]] == ["ConnectionError: attempt 1", "ConnectionError: attempt 2"]
    assert first["start"] <= first["end"] <= second["start"] <= second["end"] <= event["start"] <= event["end"]
    run.trace(tmp_path / "trace.json")
    slices = [e for e in json.loads((tmp_path / "trace.json").read_text())["traceEvents"] if e["ph"] == "X"]
    facts = [(each["args"]["attempt"], each["args"]["state"], each["args"].get("error")) for each in slices]
    assert facts == [
        (1, "failed", "ConnectionError: attempt 1"),
        (2, "failed", "ConnectionError: attempt 2"),
        (3, "succeeded", None),
    ]


def test_a_run_that_ends_before_the_next_attempt_has_the_last_one_once(tmp_path: Path) -> None:
    flow = Workflow("patient", failure="finish")
    policy = RetryPolicy(attempts=3, wait=60.0, jitter=0.0)
    flow.add(flows.flaky.options(retries=policy)(str(tmp_path / "notes"), 3))
    (event,) = flow.run(timeout=0.2, raise_failures=False).events()
    assert (event["state"], event["earlier"]) == ("cancelled", [])
    assert event["start"] < event["end"]


def test_what_a_task_has_waited_for() -> None:
    flow = Workflow("needs")
    numbers = flows.numbers_to(2)
    setup = flow.add(flows.give("ready"))
    doubled = flow.map(flows.add, numbers.output)
    tripled = flow.map(flows.add, doubled.outputs)
    end = flow.add(flows.total(tripled.outputs).after(setup))
    run = flow.run()
    needs = {event["index"]: event["needs"] for event in run.events()}
    inputs = {event["index"]: event["inputs"] for event in run.events()}
    listed = next(event["index"] for event in run.events() if event["task"] == "numbers_to")
    once, twice = ([outcome.index for outcome in run.outcomes(mapped)] for mapped in (doubled, tripled))
    assert [needs[index] for index in once] == [(listed,), (listed,)]
    # Item by item, not the whole of the other map.
    assert [needs[index] for index in twice] == [(once[0],), (once[1],)]
    last = run.outcome(end).index
    assert run.outcome(setup).index in needs[last]
    assert run.outcome(setup).index not in inputs[last]
