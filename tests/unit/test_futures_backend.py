"""What becomes of the tasks of a batch of which nothing came back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from cotality.parallel import Task, run
from cotality.parallel._backends.futures.backend import FuturesBackend
from cotality.parallel._backends.futures.cargo import NOTHING, Cargo
from cotality.parallel.errors import WorkerDied


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
