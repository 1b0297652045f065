"""What becomes of the tasks of a batch of which nothing came back."""

from __future__ import annotations

import marshal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cotality.parallel import Task, run
from cotality.parallel._backends.futures.backend import FuturesBackend
from cotality.parallel._backends.futures.cargo import NOTHING, Cargo
from cotality.parallel._backends.futures.packing import Packing
from cotality.parallel._backends.futures.remote import VERSION, run_batch
from cotality.parallel._backends.processes import board as layout
from cotality.parallel.errors import WorkerDied
from cotality.workflow import task


def test_each_task_of_a_lost_batch_has_an_error_of_its_own() -> None:
    carrier: Any = SimpleNamespace(chains=False, keeps=False, batch_seconds=0.1, short=0.1, host=None)
    backend = FuturesBackend(carrier, 1, alone=True)
    task = Task(abs, {}, positional=(1,))
    cause = OSError()
    died = WorkerDied("gone")
    died.__cause__ = cause
    backend._give_up(Cargo(NOTHING._replace(sendable=[(0, task), (1, task)]), 0.0, timed=False, hear=print), died, 1.0)
    first, second = (ending[1] for ending in backend.collect(0))
    assert first is not second
    for error in (first, second):
        assert isinstance(error, WorkerDied)
        assert error.args == ("gone",)
        assert error.__cause__ is cause


def test_a_run_in_the_only_thread_of_its_executor_comes_to_an_end() -> None:
    with ThreadPoolExecutor(1) as executor:
        inner = [Task(abs, {}, positional=(-1,))]
        assert run([Task(run, {"backend": executor}, positional=(inner,))], backend=executor) == [[1]]


@pytest.mark.parametrize("parameters", ["before, number, /", "before, number"], ids=["by position", "by name"])
def test_a_chain_whose_function_is_not_there_comes_back_for_that_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parameters: str
) -> None:
    """Its code is sent then."""
    name = f"only_here_{len(parameters)}"
    (tmp_path / f"{name}.py").write_text(f"def step({parameters}):\n    return before + number\n")
    with monkeypatch.context() as here:
        here.syspath_prepend(tmp_path)
        factory = task(validate="off")(__import__(name).step)
        first = factory(1, 2)
        packing = Packing(lambda lent: lent, 1)
        packed = packing.pack([(0, first), (1, factory(first.output, 3))])
        assert packed.columns.links is not None
        message, inputs = packing.write(packed, None)
    del sys.modules[name]
    report, _lent = run_batch(VERSION, message, *inputs)
    outcomes = [marshal.loads(outcome)[0] for outcome in marshal.loads(report)[1]]
    assert outcomes == [layout.UNLOADABLE, layout.NO_INPUT]
