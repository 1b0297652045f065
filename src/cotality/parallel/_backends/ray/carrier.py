"""Sends batches to a Ray cluster."""

# pyright: reportMissingImports=false

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import count
from time import monotonic
from typing import Any
from weakref import WeakValueDictionary

import ray
from ray import exceptions

from cotality.parallel._backends.futures.cargo import Cargo
from cotality.parallel._backends.futures.packing import Arrived, Packing, Stored
from cotality.parallel._backends.futures.remote import VERSION, Lent
from cotality.parallel._backends.ray.remote import Bell, run_here
from cotality.parallel._data.broken import WorkerDied
from cotality.parallel._data.task_errors import TransferError

FINISH_SECONDS = 0.05
"""How long the end of a run waits for batches that are nearly done, before it ends their workers."""
END_SECONDS = 2.0
"""How long it waits for these to have ended."""

_numbers = count()
_timed: WeakValueDictionary[int, Cargo] = WeakValueDictionary()
"""The batches of which it must be known when they begin, by the numbers that they have for the bell."""


class RayCarrier:
    """One run's use of a cluster.

    Parameters:
        needs: What each batch needs, as ``ray.remote`` takes it.
        width: How many tasks run on a machine at once.
    """

    chains = True
    keeps = True
    batch_seconds = 0.06
    short = 0.25

    def __init__(self, needs: Mapping[str, Any], width: int) -> None:
        # One attempt, and what is lost is not made again: no task runs twice unless the run says so.
        self._run = _remote().options(num_returns=2, max_retries=0, **needs)
        self._refs: dict[int, tuple[Any, Any]] = {}
        """What stands for the two parts of a report, by their cargos."""
        self._dropped: dict[Any, Cargo] = {}
        """Nobody waits for these any more, by what stands for them."""
        self.host = _host()
        self.packing = Packing(ray.put, width, prints=not _shows_prints())

    def launch(self, cargo: Cargo, message: bytes, inputs: Sequence[Any]) -> Any:
        number = next(_numbers)
        if cargo.timed:
            _timed[number] = cargo
        bell = _bell(*_session()) if cargo.timed else None
        told, large = self._run.remote(VERSION, message, bell, number, *inputs)
        self._refs[id(cargo)] = told, large
        return told.future()

    def land(self, cargos: Sequence[Cargo]) -> list[Arrived | BaseException]:
        return [self._landed(cargo) for cargo in cargos]

    def _landed(self, cargo: Cargo) -> Arrived | BaseException:
        _told, large = self._refs.pop(id(cargo))
        error = cargo.future.exception()
        if error is not None:
            with suppress(Exception):
                # It is known now, and need not be logged as one that nobody has asked for.
                ray.get(large)
            return error  # type: ignore[no-any-return]

        def store(index: int) -> Stored:
            return Stored(large, index, _fetch)

        return self.packing.read(cargo.packed.sendable, cargo.future.result(), store)

    def failed(self, cargo: Cargo, error: BaseException) -> BaseException:
        cause = getattr(error, "cause", None)
        if isinstance(cause, TransferError):
            return cause
        several = len(cargo.packed.sendable)
        which = f"this task or one of the {several} that were sent with it" if several > 1 else "this task"
        if isinstance(error, (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError)):
            failure: Exception = WorkerDied(f"the worker of Ray ended while {which} was there")
        elif isinstance(error, exceptions.ObjectLostError):
            failure = WorkerDied("a worker has ended and taken with it what this task needs, or what it has given")
        elif isinstance(error, exceptions.RaySystemError):
            raise ConnectionError("the Ray cluster is gone") from error
        elif isinstance(error, exceptions.RuntimeEnvSetupError):
            failure = TransferError("the runtime_env could not be set up; the task did not start")
        else:
            failure = TransferError(_why(error, cause))
        failure.__cause__ = error
        return failure

    def began(self, cargo: Cargo) -> bool:
        if cargo.began is None:
            for number, worker, seconds in _rung():
                # It may be of another run.
                begun = _timed.pop(number, None)
                if begun is not None:
                    begun.worker = worker
                    begun.began = monotonic() - seconds
        return cargo.began is not None

    def end(self, cargo: Cargo) -> bool:
        _end(cargo, self._refs[id(cargo)][0])
        return True

    def drop(self, cargo: Cargo) -> None:
        refs = self._refs.pop(id(cargo), None)
        if refs is not None:
            self._dropped[refs[0]] = cargo

    def close(self) -> None:
        dropped, self._dropped = self._dropped, {}
        rest = _unfinished(list(dropped), FINISH_SECONDS)
        for ref in rest:
            _end(dropped[ref], ref)
        # Until it is known that a worker has ended, it would be given other tasks.
        for ref in _unfinished(rest, END_SECONDS):
            ray.cancel(ref, force=True)


def _end(cargo: Cargo, ref: Any) -> None:
    """End a batch by force: its worker ends, and Ray starts another one.

    Ray itself is asked only for what has not begun. It says at once that what it ends is over, gives what comes next to
    the worker that is about to end, and ends the whole program if an answer was on its way at that moment.
    """
    if not cargo.end():
        ray.cancel(ref, force=True)


def _unfinished(refs: list[Any], seconds: float) -> list[Any]:
    """Those that have not ended so many seconds later."""
    unfinished: list[Any] = ray.wait(refs, num_returns=len(refs), timeout=seconds)[1] if refs else []
    return unfinished


def _shows_prints() -> bool:
    """Whether Ray itself shows in this process what its workers print, at once: ``log_to_driver`` has it do so."""
    return any(thread.name == "ray_print_logs" for thread in threading.enumerate())


def _host() -> str | None:
    """Where workers reach this process: at the address where they get from it what it has put. Behind Ray Client they
    do not; somebody on the cluster stands for it there."""
    return None if ray.util.client.ray.is_connected() else ray.util.get_node_ip_address()


def _rung() -> list[tuple[int, str, float]]:
    """What has begun since somebody asked: number, worker, and how many seconds ago."""
    try:
        rung: list[tuple[int, str, float]] = ray.get(_bell(*_session()).begun.remote())
    except exceptions.RayActorError:
        # It died with its node, and what it knew is lost. What is under way counts as begun now: a timeout that comes
        # too early for a task that waits is better than one that never comes.
        _bell.cache_clear()
        return [(number, "", 0.0) for number in _timed]
    return rung


def _session() -> tuple[str, str]:
    """Tells the present connection from earlier ones, whose actors are not to be spoken to: that ends the process."""
    context = ray.get_runtime_context()
    return context.get_job_id(), context.get_node_id()


@cache
def _bell(_job: str, _node: str) -> Any:
    """Who is told what begins, for all runs of a session: an actor takes a second to start."""
    return ray.remote(Bell).options(num_cpus=0).remote()


@cache
def _remote() -> Any:
    """The remote function of all runs."""
    return ray.remote(run_here)


def _fetch(large: Any, index: int) -> Lent:
    lent: Lent = ray.get(large)[1][index]
    return lent


def _why(error: BaseException, cause: BaseException | None) -> str:
    missing = cause if isinstance(cause, ImportError) else None
    if missing is not None or "No module named 'cotality" in str(error):
        return "cotality-workflow is not installed on the worker: install there what the caller has"
    return f"Ray could not send this task, or not bring back what it gave: {type(error).__name__}"
