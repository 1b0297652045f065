"""The kinds of rounds. Each does some work and then checks what became of every task of it."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from cotality.parallel import RetryPolicy, Task, run, stream
from cotality.parallel.errors import RunCancelled, TaskTimeout, WorkerDied
from cotality.workflow import Workflow, task
from tests.soak.gauges import descendants
from tests.soak.work import Ledger, act, square

FAILURES: dict[str, type[Exception]] = {
    "raise": ValueError,
    "exit": WorkerDied,
    "kill": WorkerDied,
    "hang": TaskTimeout,
}
STATES = {"raise": "failed", "exit": "worker died", "kill": "worker died"}
WORKERS = 3
TIMEOUT_SECONDS = 3
"""Enough for a worker to import what its first task needs, on a machine that has much else to do."""

Round = Callable[[random.Random, Ledger], Counter[str]]
"""What it is given: chance, and an empty ledger. It tells how many tasks came to what."""

acted = task(act)
squared = task(square)


def _tasks(ledger: Ledger, kinds: Sequence[str]) -> list[Task[int]]:
    return [Task(act, {"ledger": ledger, "index": index, "kind": kind}) for index, kind in enumerate(kinds)]


def _check(kinds: Sequence[str], results: Sequence[Any], ledger: Ledger, attempts: int = 1) -> Counter[str]:
    """Every task has started as often as it should have, and came to what its kind comes to."""
    starts = ledger.starts()
    for index, (kind, result) in enumerate(zip(kinds, results, strict=True)):
        assert starts[index] == (attempts if kind in FAILURES else 1), (index, kind, starts[index], result)
        if kind in FAILURES:
            assert isinstance(result, FAILURES[kind]), (index, kind, result)
        else:
            assert result == index * index, (index, kind, result)
    return Counter(_name(result) for result in results)


def _name(result: Any) -> str:
    return type(result).__name__ if isinstance(result, Exception) else "succeeded"


def faults(chance: random.Random, ledger: Ledger) -> Counter[str]:
    """Tasks that raise, end their process, are killed, or hang until their timeout."""
    kinds = chance.choices(["fine", "short", "raise", "exit", "kill"], [80, 20, 5, 2, 2], k=chance.randint(20, 400))
    if chance.random() < 0.5:
        kinds[chance.randrange(len(kinds))] = "hang"
    tasks = _tasks(ledger, kinds)
    results = run(tasks, backend="processes", max_workers=WORKERS, timeout=TIMEOUT_SECONDS, return_exceptions=True)
    return _check(kinds, results, ledger)


def retries(chance: random.Random, ledger: Ledger) -> Counter[str]:
    """The same with more attempts: exactly as many starts as attempts."""
    attempts = chance.randint(2, 3)
    kinds = chance.choices(["fine", "raise", "exit"], [90, 5, 3], k=chance.randint(20, 200))
    policy = RetryPolicy(attempts=attempts, wait=0.001)
    results = run(
        _tasks(ledger, kinds), backend="processes", max_workers=WORKERS, retries=policy, return_exceptions=True
    )
    return _check(kinds, results, ledger, attempts)


def nested(chance: random.Random, ledger: Ledger) -> Counter[str]:
    """Tasks that run tasks, in threads and in processes of their own, beside some that die."""
    kinds = chance.choices(["nested threads", "nested processes", "fine", "kill"], [6, 2, 6, 1], k=12)
    results = run(_tasks(ledger, kinds), backend="processes", max_workers=WORKERS, return_exceptions=True)
    return _check(kinds, results, ledger)


def killed(chance: random.Random, ledger: Ledger) -> Counter[str]:
    """Workers are killed from outside, whatever they are at."""
    kinds = ["short"] * chance.randint(200, 600)
    over = threading.Event()
    kills = 0

    def kill() -> None:
        nonlocal kills
        while not over.wait(chance.uniform(0.02, 0.2)):
            pid = ledger.last_pid()
            if pid in descendants():
                # It may have ended by itself since.
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    kills += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        results = run(_tasks(ledger, kinds), backend="processes", max_workers=WORKERS, return_exceptions=True)
    finally:
        over.set()
        killer.join()
    starts = ledger.starts()
    assert max(starts.values()) == 1
    died = [index for index, result in enumerate(results) if isinstance(result, WorkerDied)]
    assert len(died) <= kills
    assert all(result == index**2 and starts[index] == 1 for index, result in enumerate(results) if index not in died)
    return Counter(map(_name, results))


def left(chance: random.Random, ledger: Ledger) -> Counter[str]:
    """A stream that is left when some results have come."""
    kinds = ["short"] * 1000
    wanted = chance.randint(1, 300)
    results = stream(_tasks(ledger, kinds), backend="processes", max_workers=WORKERS)
    for place in range(wanted):
        assert next(results) == (place, place * place)
    results.close()
    starts = ledger.starts()
    assert max(starts.values()) == 1
    assert set(range(wanted)) <= set(starts)
    return Counter(succeeded=wanted)


def cancelled(chance: random.Random, ledger: Ledger) -> Counter[str]:
    """A run of a workflow that is cancelled from another thread."""
    number = 500
    flow = Workflow("soak", backend="processes", max_workers=WORKERS)
    acts = flow.map(lambda index: acted(ledger, index, "short"), range(number))
    outcomes = flow.stream(acts, ordered=False)
    timer = threading.Timer(chance.uniform(0, 0.3), outcomes.run.cancel)
    timer.start()
    try:
        seen = list(outcomes)
        assert len(seen) == number
    except RunCancelled:
        pass
    timer.join()
    counts = Counter(outcomes.run.counts)
    starts = ledger.starts()
    assert not starts or max(starts.values()) == 1
    assert counts["succeeded"] <= len(starts)
    assert not counts["pending"]
    return counts


def workflow(chance: random.Random, ledger: Ledger) -> Counter[str]:
    """A workflow whose tasks die under those that need them."""
    kinds = chance.choices(["fine", "raise", "exit", "kill"], [80, 5, 2, 2], k=chance.randint(20, 300))
    flow = Workflow("soak", backend="processes", max_workers=WORKERS, failure="finish", raise_failures=False)
    first = flow.add(flow.map(lambda index: acted(ledger, index, kinds[index]), range(len(kinds))))
    second = flow.map(squared, first.outputs)
    done = flow.run()
    starts = ledger.starts()
    assert all(starts[index] == 1 for index in range(len(kinds))), starts
    states = [outcome.state for outcome in done.outcomes(first)]
    assert states == [STATES.get(kind, "succeeded") for kind in kinds]
    after = [outcome.value for outcome in done.outcomes(second) if outcome.succeeded]
    # What a map goes through item by item is what has succeeded.
    assert after == [index**4 for index, kind in enumerate(kinds) if kind not in STATES]
    return Counter(done.counts)


ROUNDS: list[Round] = [faults, retries, nested, killed, left, cancelled, workflow]
