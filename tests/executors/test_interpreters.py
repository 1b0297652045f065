"""``backend="interpreters"``: where this Python has them, and what is said where it has not."""

from __future__ import annotations

import os
import sys

import pytest

from cotality.parallel import Task, run
from cotality.parallel.errors import TransferError
from cotality.workflow import Workflow
from tests.contract.flows import add
from tests.contract.functions import double, fail_if_odd, give

newer = pytest.mark.skipif(sys.version_info < (3, 14), reason="interpreters are new in Python 3.14")


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this Python has interpreters")
def test_an_older_python_says_so_at_once() -> None:
    with pytest.raises(ValueError, match=r"needs Python 3\.14 or later: use 'processes' here"):
        run([Task(double, {"x": 1})], backend="interpreters")


@newer
def test_tasks_run_in_interpreters_of_this_process() -> None:
    assert run([Task(double, {"x": n}) for n in range(2000)], backend="interpreters") == [2 * n for n in range(2000)]
    assert run([Task(os.getpid, {})] * 2, backend="interpreters") == [os.getpid()] * 2
    mine: list[int] = []
    run([Task(mine.append, {}, positional=(1,))], backend="interpreters")
    assert mine == []


@newer
def test_failures_and_large_values_travel() -> None:
    results = run([Task(fail_if_odd, {"x": n}) for n in range(6)], backend="interpreters", return_exceptions=True)
    assert [type(result) for result in results] == [int, ValueError] * 3
    assert run([Task(give, {"value": b"x" * 1_000_000})], backend="interpreters") == [b"x" * 1_000_000]
    lock = __import__("threading").Lock()
    (error,) = run([Task(give, {"value": lock})], backend="interpreters", return_exceptions=True)
    assert isinstance(error, TransferError)


@newer
def test_a_workflow_in_interpreters() -> None:
    flow = Workflow(backend="interpreters")
    node = flow.add(add(add(1).output))
    run_ = flow.run()
    assert run_[node] == 3
    assert str(run_.outcome(node).worker).startswith("interpreter ")
