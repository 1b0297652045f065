"""Workflows under fire: Ctrl-C, kills, coroutines that will not end, graphs of a hundred thousand."""

from __future__ import annotations

import signal

import pytest

from tests.faults.harness import Run, Start

BOTH = pytest.mark.parametrize("backend", ["threads", "processes"])
ALL = pytest.mark.parametrize("backend", ["serial", "threads", "processes"])
INTERRUPTED = r"(?s).*KeyboardInterrupt\s*"
IMPORTS = """
import asyncio, logging
from cotality.workflow import Limit, RetryPolicy, Workflow, task
"""

NAPS = (
    IMPORTS
    + """
first = threading.Lock()

def tell():
    # Once: the interpreter can not end while a thread of the background prints.
    if first.acquire(blocking=False):
        print("started", flush=True)

@task
def nap(seconds):
    tell()
    time.sleep(seconds)

@task
async def doze(seconds):
    tell()
    await asyncio.sleep(seconds)

async def consumed(flow):
    async with flow.astream() as stream:
        async for _ in stream:
            pass

def main():
    flow = Workflow(backend=BACKEND, max_workers=2)
    for _ in range(20):
        flow.add(nap(30))
    if BACKEND != "serial":
        flow.add(doze(30))
    CALL
"""
)
CALLS = {
    "run": "flow.run()",
    "stream": "list(flow.stream())",
    "arun": "asyncio.run(flow.arun())",
    "astream": "asyncio.run(consumed(flow))",
}


@ALL
@pytest.mark.parametrize("how", CALLS)
def test_ctrl_c(start: Start, backend: str, how: str) -> None:
    if backend == "serial" and how in ("arun", "astream"):
        pytest.skip("the task is in another thread, which no signal can reach")
    program = start(NAPS.replace("CALL", CALLS[how]), backend=backend)
    program.wait_for("started")
    began = program.seconds
    program.interrupt(group=True)
    ended = program.finish(code=-signal.SIGINT, stderr=INTERRUPTED, end=False)
    assert ended.seconds - began < 5
    assert "Task was destroyed" not in ended.stderr


@BOTH
def test_a_workflow_after_ctrl_c(start: Start, backend: str) -> None:
    program = start(
        IMPORTS
        + """
@task
def nap(seconds):
    print("started", flush=True)
    time.sleep(seconds)
    return seconds

@task
async def doze(seconds):
    await asyncio.sleep(seconds)
    return seconds

def main():
    flow = Workflow(backend=BACKEND, max_workers=2)
    nodes = [flow.add(nap(0.5)) for _ in range(9)] + [flow.add(doze(0.5))]
    equal(type(raised(flow.run)), KeyboardInterrupt)
    run = flow.run()
    equal([run[node] for node in nodes], [0.5] * 10)
""",
        backend=backend,
    )
    program.wait_for("started")
    program.interrupt(group=True)
    program.finish()


@BOTH
def test_a_chain_and_a_fan_of_a_hundred_thousand(run: Run, backend: str) -> None:
    run(
        IMPORTS
        + """
@task
def add(left: int, right: int = 1) -> int:
    return left + right

@task
def count(numbers: list) -> int:
    return len(numbers)

def main():
    flow = Workflow(backend=BACKEND, max_workers=2)
    node = add(0)
    for _ in range(100_000):
        node = add(node.output)
    flow.add(node)
    result = flow.run()
    equal(result[node], 100_001)
    equal(len(flow), 100_001)
    for shown in (flow, node, node.output, result, result.outcome(node)):
        assert len(repr(shown)) < 300, shown
    assert len(result.summary()) < 300
    equal(len(list(flow)), 100_001)
    del flow, node, result

    flow = Workflow(backend=BACKEND, max_workers=2)
    fan = [add(number) for number in range(100_000)]
    last = flow.add(count([node.output for node in fan]))
    equal(flow.run()[last], 100_000)

    flow = Workflow(backend=BACKEND, max_workers=2)
    mapped = flow.map(add, range(100_000))
    equal(sum(1 for _ in flow.stream(mapped)), 100_000)
""",
        backend=backend,
        deadline=120,
    )


@BOTH
def test_a_failure_at_the_head_of_a_hundred_thousand(run: Run, backend: str) -> None:
    run(
        IMPORTS
        + """
@task
def add(left: int, right: int = 1) -> int:
    return left + right

@task
def fail() -> int:
    raise ValueError("at the head")

def main():
    flow = Workflow(backend=BACKEND, max_workers=2, failure="finish", raise_failures=False)
    node = fail()
    for _ in range(100_000):
        node = add(node.output)
    flow.add(node)
    result = flow.run()
    equal(result.counts, {"failed": 1, "skipped": 100_000})
    equal(result.outcome(node).first_cause, "fail")
    error = raised(lambda: result[node])
    equal(str(error.__cause__), "at the head")

    first = add(0)
    node = first
    for _ in range(100_000):
        node = add(node.output)
    first.after(node)
    error = raised(lambda: Workflow().add(node))
    equal(type(error), errors.CycleError)
    assert len(str(error)) < 300
""",
        backend=backend,
        deadline=120,
    )


@BOTH
def test_a_coroutine_that_swallows_its_cancellation(run: Run, backend: str) -> None:
    run(
        IMPORTS
        + """
@task(timeout=0.2)
async def stubborn():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

@task
def one() -> int:
    return 1

def main():
    logging.basicConfig()
    flow = Workflow(backend=BACKEND, failure="finish", raise_failures=False)
    bad, good = flow.add(stubborn()), flow.add(one())
    result = flow.run()
    equal(result.outcome(bad).state, "timed out")
    equal(result[good], 1)
""",
        backend=backend,
        stderr=r"(?s).*task\.runs_on.*stubborn.*",
    )


def test_a_coroutine_that_blocks_the_event_loop(run: Run) -> None:
    run(
        IMPORTS
        + """
@task(timeout=0.3)
async def blocking():
    time.sleep(5)

@task
async def quick() -> int:
    return 1

def main():
    logging.basicConfig()
    flow = Workflow(failure="finish", raise_failures=False)
    good = flow.add(quick())
    bad = flow.add(blocking().after(good))
    began = time.monotonic()
    result = flow.run()
    assert time.monotonic() - began < 4
    equal(result.outcome(bad).state, "timed out")
    equal(result[good], 1)
""",
        stderr=r"(?s).*task\.runs_on.*blocking.*",
    )


def test_a_worker_that_is_killed_in_the_middle(run: Run) -> None:
    """Again and again, with chains sent along: what others did stays, nothing runs twice."""
    ended = run(
        IMPORTS
        + """
@task
def step(number: int, name: str) -> int:
    if number == 7 and name in ("a3", "a6"):
        os.kill(os.getpid(), signal.SIGKILL)
    with open(f"ran-{os.getpid()}", "a") as file:
        file.write(f"{name}:{number}\\n")
    return number + 1

def main():
    flow = Workflow(backend="processes", max_workers=2, failure="finish", raise_failures=False)
    ends = {}
    for chain in range(10):
        node = step(0, f"a{chain}")
        for _ in range(19):
            node = step(node.output, f"a{chain}")
        ends[chain] = flow.add(node)
    result = flow.run()
    for chain, node in ends.items():
        equal(result.outcome(node).state, "skipped" if chain in (3, 6) else "succeeded")
    equal(result.counts, {"succeeded": 8 * 20 + 2 * 7, "worker died": 2, "skipped": 2 * 12})
    assert "SIGKILL" in str(result.failures[0].error), result.failures[0].error
    import pathlib
    ran = [line for path in pathlib.Path(".").glob("ran-*") for line in path.read_text().split()]
    equal(len(ran), 8 * 20 + 2 * 7)
    equal(len(ran), len(set(ran)))
""",
        backend="processes",
    )
    assert ended.seconds < 20


def test_a_worker_that_is_killed_is_tried_again_when_asked(run: Run) -> None:
    run(
        IMPORTS
        + """
@task(retries=RetryPolicy(attempts=3, wait=0))
def fatal(path: str) -> int:
    with open(path, "a") as file:
        file.write("x")
    if os.path.getsize(path) < 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.path.getsize(path)

@task
def add(number: int) -> int:
    return number + 1

def main():
    flow = Workflow(backend="processes", max_workers=2)
    node = flow.add(add(fatal(add.call and "attempts").output))
    result = flow.run()
    equal(result[node], 4)
""",
        backend="processes",
    )


@BOTH
def test_functions_from_main(run: Run, backend: str) -> None:
    run(
        IMPORTS
        + """
@task
def plain(number: int) -> int:
    return number + 1

@task(name="renamed", retries=1)
def renamed(number: int) -> int:
    return plain.call(number) + 1

class Holder:
    def __init__(self, factor):
        self.factor = factor

    @task
    def method(self, number: int) -> int:
        return self.factor * number

    @staticmethod
    @task
    def static(number: int) -> int:
        return number

def make(offset):
    @task
    def nested(number: int) -> int:
        return number + offset
    return nested

@task
def uses_a_factory(factory) -> int:
    return factory.call(1)

@task
def runs_a_workflow() -> int:
    flow = Workflow(backend="threads")
    node = flow.add(plain(1))
    return flow.run()[node]

def main():
    flow = Workflow(backend=BACKEND, max_workers=2)
    nodes = [
        plain(1), renamed(1), Holder(3).method(plain(1).output), Holder.static(1), make(10)(1),
        task(lambda n: n * 2)(4), uses_a_factory(plain), uses_a_factory(make(3)), runs_a_workflow(),
    ]
    flow.add(*nodes)
    result = flow.run()
    equal([result[node] for node in nodes], [2, 3, 6, 1, 11, 8, 2, 4, 2])
    mapped = flow.map(lambda n: make(n)(n), range(5))
    equal(flow.run()[mapped], [0, 2, 4, 6, 8])
""",
        backend=backend,
    )


@BOTH
def test_the_program_ends_with_a_half_read_stream(run: Run, backend: str) -> None:
    ended = run(
        IMPORTS
        + """
@task
def nap(number):
    time.sleep(0.01)
    return number

def main():
    flow = Workflow(backend=BACKEND, max_workers=2)
    mapped = flow.map(nap, iter(int, 1))
    stream = flow.stream(mapped)
    next(stream)
    globals()["held"] = stream
""",
        backend=backend,
    )
    assert ended.seconds < 15


@BOTH
def test_a_dropped_stream_leaves_nothing_running(run: Run, backend: str) -> None:
    run(
        IMPORTS
        + """
@task
def nap(number):
    time.sleep(0.01)
    return number

def main():
    for _ in range(3):
        flow = Workflow(backend=BACKEND, max_workers=2)
        next(flow.stream(flow.map(nap, iter(int, 1))))
    before = meters.held()
    for _ in range(10):
        flow = Workflow(backend=BACKEND, max_workers=2)
        next(flow.stream(flow.map(nap, iter(int, 1))))
    time.sleep(0.2)
    after = meters.held()
    assert after["threads"] <= before["threads"] + 2, (before, after)
    assert after["descriptors"] <= before["descriptors"] + 8, (before, after)
    assert after["processes"] <= max(before["processes"], 4), (before, after)
""",
        backend=backend,
    )


def test_import_starts_nothing(run: Run) -> None:
    run(
        """
        import os, threading
        before = sorted(os.listdir("/proc/self/fd"))
        from cotality.workflow import Workflow, task
        assert threading.active_count() == 1
        assert sorted(os.listdir("/proc/self/fd")) == before
        import sys
        heavy = {"beartype", "structlog", "rich", "multiprocessing", "dask", "ray", "asyncio"} & set(sys.modules)
        assert not heavy, heavy
        print("the end")
        """,
        whole=True,
    )
