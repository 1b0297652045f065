"""Workflows on more than one backend: what comes to be due on one while another is asked."""

from __future__ import annotations

from threading import Thread
from time import sleep
from typing import Any

from cotality.parallel import RetryPolicy
from cotality.parallel._backends.choose import choose_pool
from cotality.workflow import Run, Workflow, task

PATIENCE = 20.0
"""Seconds after which a run counts as hanging."""
WAIT = 0.02


@task
def one(value: Any) -> Any:
    return value


@task
def take(value: Any, part: Any) -> Any:
    return value


def run_in_time(flow: Workflow, **options: Any) -> Run:
    runs: list[Run] = []
    thread = Thread(target=lambda: runs.append(flow.run(raise_failures=False, **options)), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert runs, "hangs"
    return runs[0]


def test_items_that_come_to_be_due_while_another_backend_is_asked() -> None:
    flow = Workflow()
    first = flow.add(one({"a": 1}))
    other = flow.add(one.options(backend="serial")(1))
    mapped = flow.map(lambda n: take(n, first.output["b"]), range(3)).after(first, other)
    run = run_in_time(flow, failure="finish", window=1)
    assert run.outcome(mapped).state == "skipped"
    assert run.counts == {"succeeded": 2, "failed": 3}


class Slow:
    """Threads that take longer to say whether they have room than a retry waits."""

    def open(self, max_workers: int | None) -> Any:
        backend: Any = choose_pool("threads").open(max_workers)
        has_room = backend.room

        def room() -> Any:
            sleep(3 * WAIT)
            return has_room()

        backend.room = room
        return backend


def test_a_retry_that_comes_to_be_due_while_another_backend_is_asked() -> None:
    attempts: list[int] = []

    @task(retries=RetryPolicy(attempts=3, wait=WAIT, factor=1, jitter=0))
    def unsteady() -> int:
        attempts.append(len(attempts))
        if len(attempts) < 3:
            raise ConnectionError
        return len(attempts)

    flow = Workflow()
    first = flow.add(unsteady())
    last = flow.add(one.options(backend=Slow())(first.output))
    assert run_in_time(flow)[last] == 3


def test_one_that_takes_the_outcome_of_a_task_that_fails_while_its_backend_is_asked() -> None:
    flow = Workflow()
    first = one({"a": 1})
    broken = one.options(backend="serial")(first.output["b"])
    seen = flow.add(one(broken.outcome))
    run = run_in_time(flow)
    assert run[seen].state == "failed"
