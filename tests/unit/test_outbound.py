"""How functions travel, and what is said of one that a worker could not load."""

from __future__ import annotations

from typing import Any

import pytest

from cotality.parallel import Task
from cotality.parallel._backends.processes.codec import dump_function, load_function
from cotality.parallel._backends.processes.outbound import Outbound
from cotality.parallel.errors import ArgumentError
from cotality.workflow import task
from tests.contract import functions


class Hostile(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


def test_a_reason_that_can_not_be_shown_is_still_only_that_tasks_failure() -> None:
    outbound = Outbound()
    task = Task(abs, {}, positional=(1,))
    sent = outbound.function_of(task, by_value=True)
    error = outbound.refused(task, Hostile(), sent.number)
    assert "its message can not be shown" in str(error)


@pytest.mark.parametrize("validate", ["fast", "full"])
def test_the_checks_of_a_function_that_was_decorated_elsewhere_go_by_names(validate: Any) -> None:
    factory = task(validate=validate)(functions.fail_if_odd)
    checked = factory(2).checked
    assert checked is not None
    message = dump_function(checked, by_value=False)
    assert message is not None
    assert len(message) < 200, "to send its code would cost milliseconds in each run"
    found = load_function(message)
    assert found(2) == 2
    with pytest.raises(ArgumentError, match="argument 'x' must be int"):
        found("2")
