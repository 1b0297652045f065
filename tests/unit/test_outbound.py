"""What is said of a function that a worker could not load."""

from __future__ import annotations

from cotality.parallel import Task
from cotality.parallel._backends.processes.outbound import Outbound


class Hostile(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


def test_a_reason_that_can_not_be_shown_is_still_only_that_tasks_failure() -> None:
    outbound = Outbound()
    task = Task(abs, {}, positional=(1,))
    sent = outbound.function_of(task, by_value=True)
    error = outbound.refused(task, Hostile(), sent.number)
    assert "its message can not be shown" in str(error)
