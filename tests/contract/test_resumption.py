"""What a run would take over from its journal, foretold: nothing runs, and nothing is written."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cotality.workflow import Cache, Journal, Workflow, task
from tests.contract.journalled import count, fail_without, fetch, judge, listing, nested, start, starts, total
from tests.contract.test_journal import Shelf, made

NEW = "the journal has no result of it"
BEHIND = "what it takes is made anew"
CHANGED = "its function, a global that it names, or its version has changed"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept" / "run.db"


@task
def many(log: Path, size: int) -> list[int]:
    start(log, "many")
    return list(range(size))


@task
def odd(number: int) -> int:
    if number % 2:
        raise ValueError("odd")
    return number


@task
def doubled(number: int) -> int:
    return 2 * number


def everything(log: Path, flag: Path) -> Workflow:
    """Something of each kind; as long as the flag is not there, some of it fails."""
    flow = Workflow("everything", failure="finish", raise_failures=False)
    listed = many(log, 6)
    evens = flow.map(odd, listed.output)
    flow.map(doubled, evens.outputs)
    flow.add(judge(log, evens.outcomes))
    lists = flow.gather(fetch(log, 2).output, fetch(log, 2).output)
    flow.add(total(log, lists.output[1]).after(fail_without(log, flag, 1)))
    flow.add(count(log, listing(log, flag.parent / "kept").output))
    flow.map(fetch.options(name="each"), [log] * 3, range(3))
    return flow


def files_of(folder: Path) -> dict[str, bytes]:
    # What is in the shared memory beside the log is of those who use it just now.
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


def runs_of(flow: Workflow, journal: Any) -> dict[str, dict[str, int]]:
    told = flow.explain(journal=journal).resumption
    assert told is not None
    return {name: dict(reasons) for name, reasons in told.runs.items()}


@pytest.mark.parametrize("mended", [False, True])
def test_what_is_foretold_is_what_the_run_does(log: Path, journal: Path, mended: bool) -> None:
    flag = journal.parent.parent / "flag"
    everything(log, flag).run(journal=journal)
    if mended:
        flag.touch()
    starts(log)
    told = everything(log, flag).explain(journal=journal).resumption
    assert told is not None
    assert starts(log) == []
    run = everything(log, flag).run(journal=journal)
    ran = Counter(each["task"] for each in run.events() if each["attempts"] or each["state"] != "succeeded")
    # What a task with journal=False gives, and whether one fails as before, only the run can tell.
    assert dict(told.unknown) == {"count": 1, "judge": 1}
    assert Counter(run.resumed) - Counter(told.resumed) == Counter({"count": 1, "judge": 1})
    assert {name: sum(reasons.values()) for name, reasons in told.runs.items()} == ran
    assert dict(told.runs["listing"]) == {"it has journal=False": 1}
    assert dict(told.runs["odd"]) == {NEW: 3}
    assert dict(told.runs["doubled"]) == {BEHIND: 3}
    # It only comes after one that fails: it is taken over as soon as that has succeeded.
    assert dict(told.runs["fail_without"]) == {NEW: 1}


def test_before_the_first_run_nothing_is_there_and_nothing_is_made(log: Path, journal: Path) -> None:
    flow = everything(log, journal.parent.parent / "flag")
    told = flow.explain(journal=journal)
    assert list(journal.parent.iterdir()) == []
    assert told.problems == []
    assert "  journal: 0 tasks need not run\n    will run, as the journal has no result of it: " in str(told)
    assert runs_of(flow, journal)["each"] == {NEW: 3}
    assert flow.explain().resumption is None


def test_why_tasks_run(log: Path, journal: Path, tmp_path: Path) -> None:
    def flow(body: str, **options: Any) -> Workflow:
        flow = Workflow()
        flow.add(total(log, made(body, log)(log, 4).output))
        flow.add(fetch.options(**options)(log, 1))
        return flow

    flow("return [number]").run(journal=journal)
    assert runs_of(flow("return [number]  # the same"), journal) == {}
    assert runs_of(flow("return [number + 1]"), journal) == {"change": {CHANGED: 1}, "total": {BEHIND: 1}}
    assert runs_of(flow("return [number]", expires=1e-9), journal) == {
        "fetch": {"its result has expired, or is damaged": 1}
    }
    assert runs_of(flow("return [number]", cache=Cache(tmp_path / "cache.db")), journal) == {}
    assert runs_of(flow("return [number]", cache=Cache(tmp_path / "cache.db"), version=2), journal) == {
        "fetch": {"the journal has no result of it, unless its cache has": 1}
    }
    assert not (tmp_path / "cache.db").exists()


def test_what_will_fail_is_a_problem_and_has_no_values(log: Path, journal: Path) -> None:
    flow = Workflow()
    flow.add(fetch.options(key=lambda log, number: {}["s3cret"])(log, 1))
    flow.add(hold({"s3cret": threading.Lock()}))
    told = flow.explain(journal=journal)
    assert len(told.problems) == 2
    assert told.problems[0] == "the key= of fetch raises KeyError"
    assert told.problems[1].startswith("argument 'thing' of hold can not be recognised again: ")
    assert "s3cret" not in str(told)


@task
def hold(thing: object) -> None:
    """Takes anything."""


def test_code_of_the_user_is_not_called_and_iterators_are_not_used_up(log: Path, journal: Path) -> None:
    calls: list[int] = []
    numbers = iter([1, 2, 3])
    flow = Workflow()
    flow.map(lambda number: calls.append(number) or fetch(log, number), [1, 2])  # type: ignore[func-returns-value]
    flow.add(count(log, flow.map(fetch, [log] * 3, numbers).outputs))
    told = flow.explain(journal=journal)
    assert (calls, list(numbers)) == ([], [1, 2, 3])
    assert told.resumption is not None
    assert sum(told.resumption.unknown.values()) == 3
    assert "known only in the run: " in str(told)


def test_nothing_is_written_also_while_a_run_has_the_journal_and_when_it_was_killed(log: Path, journal: Path) -> None:
    settings = Journal(journal, durability="each")
    flow = Workflow(max_workers=1)
    flow.map(fetch, [log] * 4, range(4))
    with flow.stream(journal=settings, max_workers=1) as outcomes:
        next(outcomes)
        for seen in outcomes:
            # What a kill would leave.
            killed = journal.parent.parent / "killed"
            shutil.copytree(journal.parent, killed, dirs_exist_ok=True)
            assert killed.joinpath("run.db-wal").stat().st_size
            for place in (journal, killed / "run.db"):
                before = files_of(place.parent)
                told = flow.explain(journal=place).resumption
                assert told is not None
                assert told.resumed["fetch"] > seen.index - 1
                assert place != killed / "run.db" or files_of(place.parent) == before
    before = files_of(journal.parent)
    assert runs_of(flow, journal) == {}
    assert files_of(journal.parent) == before
    assert {path.name for path in journal.parent.iterdir()} == set(before)


def test_what_is_no_journal_is_a_problem(log: Path, journal: Path) -> None:
    journal.write_text("my own notes, which are longer than nothing")
    flow = Workflow()
    flow.add(fetch(log, 1))
    (problem,) = flow.explain(journal=journal).problems
    assert "is not a journal but something else" in problem
    assert journal.read_text().startswith("my own notes")


@pytest.mark.parametrize("kind", ["shelf", "fsspec"])
def test_a_journal_in_another_place_is_only_read(kind: str, log: Path, tmp_path: Path) -> None:
    if kind == "fsspec":
        pytest.importorskip("fsspec")
    shelf, folder = Shelf(), tmp_path / "pieces"
    settings = Journal(shelf if kind == "shelf" else f"file://{folder}", secret=b"s")
    flow = Workflow()
    flow.map(fetch, [log] * 3, range(3))
    assert runs_of(flow, settings) == {"fetch": {NEW: 3}}
    assert not folder.exists()
    flow.run(journal=settings)
    shelf.pieces["lock"] = b"elsewhere 1 0"
    before = dict(shelf.pieces), files_of(folder) if kind == "fsspec" else {}
    assert runs_of(flow, settings) == {}
    assert (shelf.pieces, files_of(folder) if kind == "fsspec" else {}) == before


def test_maps_that_only_come_after_what_runs_are_looked_into(log: Path, journal: Path) -> None:
    def flow(version: int) -> Workflow:
        flow = Workflow()
        setup = fetch.options(version=version, name="setup")(log, 0)
        first = flow.map(fetch, [log] * 3, range(3)).after(setup)
        second = flow.map(fetch.options(name="second"), [log] * 2, range(2)).after(first)
        flow.add(nested(log, second.outputs), total(log, [1]).after(second).after(setup))
        return flow

    flow(1).run(journal=journal)
    starts(log)
    told = flow(2).explain(journal=journal).resumption
    assert told is not None
    assert {name: dict(reasons) for name, reasons in told.runs.items()} == {"setup": {CHANGED: 1}}
    assert flow(2).run(journal=journal).resumed == dict(told.resumed)
