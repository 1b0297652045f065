"""What a run would do, without running anything."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cotality.parallel import ProcessExecutor
from cotality.workflow import Limit, Workflow, task

calls: list[Any] = []


@task
def load(part: Any) -> int:
    calls.append(part)
    return 1


@task
def total(parts: list[int]) -> int:
    calls.append(parts)
    return sum(parts)


@task
async def fetch(page: int) -> int:
    calls.append(page)
    return page


def test_where_how_wide_and_how_long() -> None:
    flow = Workflow("totals", max_workers=3)
    flow.add(total([load(part).output for part in range(10)]))
    flow.add(load.options(backend="threads")(0))
    pages = flow.map(fetch, [1, 2])
    flow.gather(total(pages.outputs).output)
    flow.add(fetch(1))
    told = flow.explain(backend="processes")
    assert (told.tasks, told.maps, told.workers) == (14, 1, 3)
    assert {where: dict(names) for where, names in told.places.items()} == {
        "processes": {"load": 10, "total": 2},
        "threads": {"load": 1},
        "asyncio": {"fetch": 3},
    }
    assert told.widths == [14, 2]
    assert told.problems == []
    assert str(told).startswith("totals: 14 tasks and 1 map, at most 14 at once, 2 one after another\n")
    assert "  processes, 3 workers\n" in str(told)
    assert "  threads, " in str(told)
    assert calls == []


def test_what_can_not_be_sent_is_named_with_its_path_and_not_with_its_value() -> None:
    flow = Workflow("locks", backend="processes")
    flow.add(load({"secret": "s3cret", "settings": [1, threading.Lock()]}))
    flow.add(load(lambda: 1))
    (problem,) = flow.explain().problems
    assert problem == "load can not be sent to a process: its argument part['settings'][1] (of type lock)"
    assert "s3cret" not in str(flow.explain())
    assert flow.explain(backend="threads").problems == []


def test_a_function_that_can_not_be_sent() -> None:
    lock = threading.Lock()

    @task(backend="processes")
    def locked(number: int) -> int:
        with lock:
            return number

    flow = Workflow("locks")
    flow.map(locked, range(1000))
    (problem,) = flow.explain().problems
    assert problem.endswith("locked can not be sent to a process: its function.lock (of type lock)")


def test_maps_of_lists_that_are_there_are_looked_into() -> None:
    api = Limit("api", per_second=10)
    flow = Workflow("maps", backend="processes")
    flow.map(fetch.options(limits=[api], backend="processes"), range(1001))
    numbers: list[Any] = [1, "two", 3]
    flow.map(fetch, numbers)
    flow.map(load, [threading.Lock()])
    flow.map(fetch, (number for number in (1, 2)))
    told = flow.explain()
    assert {where: dict(names) for where, names in told.places.items()} == {
        "processes": {"fetch": 1001, "load": 1},
        "asyncio": {"fetch": 2},
    }
    refused, locked = told.problems
    assert refused.startswith("the map of fetch: item 1: ")
    assert "two" not in refused
    assert locked.startswith("load can not be sent to a process: its argument part")
    assert told.remarks == [
        "how many tasks the map of fetch makes is known only in the run",
        "the limit api lets 1,001 tasks start within 100 s at best",
    ]
    assert calls == []


def test_lists_of_different_lengths() -> None:
    @task
    def add(left: int, right: int) -> int:
        return left + right

    flow = Workflow("uneven")
    flow.map(add, [1, 2], [1, 2, 3])
    (problem,) = flow.explain().problems
    assert problem.endswith("add: its lists are of different lengths (2, 3)")


def test_seconds_by_earlier_runs() -> None:
    @task
    def slow(number: int) -> int:
        time.sleep(0.002)
        return number

    @task
    def slower(numbers: list[int]) -> int:
        time.sleep(0.02)
        return sum(numbers)

    flow = Workflow("timed")
    flow.add(slower(flow.map(slow, range(40)).outputs))
    assert flow.explain().seconds is None
    flow.run()
    seconds = flow.explain().seconds
    assert seconds is not None
    longest, all_ = seconds
    assert 0.022 <= longest < all_
    assert all_ >= 0.1
    assert f"by earlier runs: {all_:.3g} s of work, {longest:.3g} s one after another" in str(flow.explain())


def test_a_pool_has_workers_of_its_own() -> None:
    flow = Workflow("pooled")
    flow.add(load(1))
    with ProcessExecutor(max_workers=3) as pool:
        told = flow.explain(backend=pool)
    assert told.workers is None
    assert str(told).splitlines()[:2] == ["pooled: 1 task, at most 1 at once, 1 one after another", "  ProcessExecutor"]


def test_sizes_of_arguments() -> None:
    flow = Workflow("sizes", backend="processes")
    flow.add(load(b"x" * 10_000))
    flow.add(load(b"x" * 1_000_000))
    assert 1_000_000 < flow.explain().sizes["load"] < 1_001_000


def test_a_limit_that_can_not_be_met() -> None:
    api = Limit("api", per_second=10)
    flow = Workflow("limits")
    for part in range(101):
        flow.add(load.options(limits=[api])(part))
    assert flow.explain().remarks == ["the limit api lets 101 tasks start within 10 s at best"]
    assert flow.explain(timeout=5).problems == [
        "the limit api lets 101 tasks start within 10 s at best, and the run may take 5 s"
    ]


def test_a_long_chain_and_no_worker() -> None:
    program = """
import multiprocessing, threading
from cotality.workflow import Workflow, task
@task
def step(number: int) -> int: return number
last = step(0)
for _ in range(50_000): last = step(last.output)
flow = Workflow("chain", backend="processes")
flow.add(last)
told = flow.explain()
assert len(told.widths) == 50_001 and max(told.widths) == 1
assert threading.active_count() == 1 and not multiprocessing.active_children()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_what_is_asked_of_a_place_that_can_not_do_it_is_told() -> None:
    flow = Workflow("elsewhere")
    with ThreadPoolExecutor(1) as executor:
        flow.add(load.options(backend=executor, timeout=5)(1))
        told = flow.explain()
    assert told.problems == []
    assert told.remarks == [
        "on ThreadPoolExecutor a task that outlasts its timeout holds its worker until it ends: load"
    ]


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this Python has interpreters")
def test_a_backend_that_this_python_has_not_is_a_problem() -> None:
    flow = Workflow("interpreters", backend="interpreters")
    flow.add(load(1))
    (problem,) = flow.explain().problems
    assert "needs Python 3.14" in problem


def test_how_many_a_limit_lets_run_at_once() -> None:
    api = Limit("api", concurrency=2)
    flow = Workflow("limits", max_workers=7)
    flow.map(load.options(limits=[api], backend="processes"), range(40))
    told = flow.explain()
    assert told.remarks == ["the limit api lets 2 of 40 tasks run at once"]
    assert told.widths == [40]
    # Those of the workflow's own backend are not what these tasks have.
    assert list(told.workers_of) == ["processes"]
    assert f"  processes, {told.workers_of['processes']} worker" in str(told)
