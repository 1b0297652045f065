"""Sends batches to a Dask cluster."""

# pyright: reportMissingImports=false

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from time import monotonic
from typing import Any
from weakref import WeakSet, WeakValueDictionary

import distributed
from distributed import KilledWorker
from distributed.client import FutureCancelledError

from cotality.parallel._backends.dask.guard import PREFIX, TOPIC
from cotality.parallel._backends.dask.remote import large_part, run_here, small_part
from cotality.parallel._backends.futures.cargo import Cargo
from cotality.parallel._backends.futures.packing import Arrived, Packing, Stored
from cotality.parallel._backends.futures.remote import VERSION, Lent
from cotality.parallel._data.broken import WorkerDied
from cotality.parallel._data.task_errors import TransferError

ASK_SECONDS = 1.0
"""How long after a batch was sent the scheduler is asked where it is, if no worker has told."""

_under_way: WeakValueDictionary[str, Cargo] = WeakValueDictionary()
"""The batches of all runs, by their names."""
_listening: WeakSet[Any] = WeakSet()
"""The clients that listen."""


class DaskCarrier:
    """One run's use of a cluster.

    Parameters:
        client: Who speaks to it.
        placement: Where its tasks may run, as ``Client.submit`` takes it.
        threads: How many threads each worker has.
        width: How many tasks run on a machine at once.
    """

    chains = True
    keeps = True
    batch_seconds = 0.06
    short = 0.25

    def __init__(self, client: Any, placement: Mapping[str, Any], threads: Mapping[str, int], width: int) -> None:
        self._client = client
        self._address = str(client.scheduler.address)
        self.host = _host(self._address)
        self._placement = placement
        self._threads = threads
        self._asked = 0.0
        self._run = uuid.uuid4().hex[:12]
        self._numbers = count()
        self._cargos: dict[str, Cargo] = {}
        self._reports: dict[int, Any] = {}
        """The reports of batches of which only a part comes here, by their cargos."""
        self._topic = _listen(client)
        self.packing = Packing(self._put, width)
        self._seceded = _secede()

    def _put(self, lent: Lent) -> Any:
        # Without a hash, which would read it once more: it is the only one.
        return self._client.scatter([lent], hash=False)[0]

    def launch(self, cargo: Cargo, message: bytes, inputs: Sequence[Any]) -> Any:
        name = f"{PREFIX}{self._run}-{next(self._numbers)}"
        placement = self._placed(cargo, spread=not inputs) if cargo.timed else self._placement
        self._cargos[name] = _under_way[name] = cargo
        submit = partial(self._client.submit, pure=False, retries=0)
        future = submit(run_here, VERSION, message, self._topic, name, cargo.timed, *inputs, key=name, **placement)
        if not any(getattr(planned[1], "sealed", False) for planned in cargo.packed.sendable):
            return future
        self._reports[id(cargo)] = future
        return submit(small_part, future, key=f"{name}-told", priority=1)

    def _placed(self, cargo: Cargo, *, spread: bool) -> Mapping[str, Any]:
        """Where a worker is free: Dask would let a batch wait behind one that is stuck though another one is idle.

        Parameters:
            cargo: The batch.
            spread: Whether it does not matter which of them it is, as it needs nothing that one of them has.
        """
        busy = Counter(other.worker for other in self._cargos.values())
        free = [worker for worker, threads in self._threads.items() if busy[worker] < threads]
        if "workers" in self._placement or not free:
            return self._placement
        if spread:
            cargo.worker = min(free, key=busy.__getitem__)
            free = [cargo.worker]
        # If it has gone, any other one will do.
        return {**self._placement, "workers": free, "allow_other_workers": True}

    def land(self, cargos: Sequence[Cargo]) -> list[Arrived | BaseException]:
        good = [cargo.future for cargo in cargos if cargo.future.status == "finished"]
        try:
            reports = dict(zip([future.key for future in good], self._client.gather(good, errors="raise"), strict=True))
        except Exception:
            # One of them was lost on its way: each for itself, to learn which.
            reports = {}
        return [self._landed(cargo, reports) for cargo in cargos]

    def _landed(self, cargo: Cargo, reports: Mapping[str, Any]) -> Arrived | BaseException:
        self._cargos.pop(cargo.future.key.removesuffix("-told"), None)
        whole = self._reports.pop(id(cargo), None)
        if cargo.future.key not in reports:
            try:
                return self._read(cargo, cargo.future.result(), whole)
            except Exception as error:
                return error
        return self._read(cargo, reports[cargo.future.key], whole)

    def _read(self, cargo: Cargo, report: Any, whole: Any) -> Arrived:
        def store(index: int) -> Stored:
            return Stored(whole, index, self._fetch)

        return self.packing.read(cargo.packed.sendable, report, None if whole is None else store)

    def _fetch(self, report: Any, index: int) -> Lent:
        lent: Lent = self._client.submit(large_part, report, index, pure=False, retries=0, priority=1).result()
        return lent

    def failed(self, cargo: Cargo, error: BaseException) -> BaseException:
        if self._client.status != "running" or self._client.scheduler_comm is None:
            raise ConnectionError(f"the Dask scheduler at {self._address} is gone") from error
        several = len(cargo.packed.sendable)
        which = f"this task or one of the {several} that were sent with it" if several > 1 else "this task"
        if isinstance(error, KilledWorker):
            killed: Any = error
            died = WorkerDied(f"the worker {killed.last_worker.address} ended while {which} was there")
        elif isinstance(error, FutureCancelledError):
            died = WorkerDied("a worker has ended and taken with it what this task needs, or what it has given")
        elif isinstance(error, TransferError):
            return error
        else:
            failure = TransferError(_why(error))
            failure.__cause__ = error
            return failure
        died.__cause__ = error
        return died

    def began(self, cargo: Cargo) -> bool:
        now = monotonic()
        if cargo.began is None and now - max(cargo.sent, self._asked) > ASK_SECONDS:
            self._asked = now
            self._ask(now)
        return cargo.began is not None

    def _ask(self, now: float) -> None:
        """A worker that hangs tells nothing. What it was given while it had a thread to spare must have begun."""
        for worker, keys in self._client.processing().items():
            for key in keys if len(keys) <= self._threads.get(worker, 1) else ():
                cargo = self._cargos.get(key)
                if cargo is not None and cargo.began is None:
                    cargo.worker, cargo.began = worker, now

    def end(self, cargo: Cargo) -> bool:
        # The scheduler would take its thread for a free one.
        return False

    def drop(self, cargo: Cargo) -> None:
        whole = self._reports.pop(id(cargo), None)
        self._client.cancel([cargo.future] if whole is None else [cargo.future, whole], force=True)

    def close(self) -> None:
        self._cargos.clear()
        if self._seceded:
            distributed.rejoin()


def _host(scheduler: str) -> str | None:
    """Where workers may reach this process: at the address from which it speaks to the scheduler. What travels in
    secret, or needs no network, does not go that way."""
    if not scheduler.startswith("tcp://"):
        return None
    other = distributed.comm.get_address_host(scheduler)
    here: str = distributed.utils.get_ipv6(other) if ":" in other else distributed.utils.get_ip(other)
    return here


def _listen(client: Any) -> str:
    """Where workers tell what happens to the batches of this client."""
    topic = f"{TOPIC}{client.id}"
    if client not in _listening:
        _listening.add(client)
        client.subscribe_topic(topic, _hear)
    return topic


def _hear(event: tuple[Any, dict[str, Any]]) -> None:
    """From the client's thread: a batch has begun, or its tasks have said something."""
    told = event[1]
    cargo = _under_way.get(told["batch"])
    if cargo is None:
        return
    if "worker" in told:
        cargo.worker = told["worker"]
        cargo.began = monotonic()
    for place, message in told.get("said", ()):
        cargo.hear(place, message)


def _secede() -> bool:
    """A run inside of a task: its thread is not to count as busy while it waits, or nobody might be left to work."""
    try:
        distributed.secede()
    except ValueError:
        return False
    return True


def _why(error: BaseException) -> str:
    missing = getattr(error, "name", None) if isinstance(error, ImportError) else None
    if missing is not None and missing.partition(".")[0] == "cotality":
        return "cotality-workflow is not installed on the worker: install there what the caller has"
    return f"Dask could not send this task, or not bring back what it gave: {type(error).__name__}"
