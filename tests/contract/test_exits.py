"""An exit that is raised where the user's code runs in passing ends no run."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from cotality.parallel.errors import RemoteError
from cotality.workflow import Workflow, task


@task
def double(x: int) -> int:
    return 2 * x


def double_or_exit(x: int) -> Any:
    if x == 1:
        sys.exit(3)
    return double(x)


def test_an_exit_in_the_function_of_a_map_is_that_items_failure() -> None:
    flow = Workflow()
    flow.map(double_or_exit, [0, 1, 2])
    with pytest.raises(RemoteError, match="SystemExit was raised"):
        flow.run()


class Leaves:
    def notice(self, events: Any) -> None:
        sys.exit(3)


def test_an_observer_that_exits_is_told_no_more() -> None:
    flow = Workflow()
    six = flow.add(double(3))
    assert flow.run(observers=[Leaves()])[six] == 6
