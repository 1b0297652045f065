"""A Dask cluster as a pool."""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from cotality.parallel._backends.cpus import process_width
from cotality.parallel._backends.futures.backend import FuturesBackend
from cotality.parallel._data.capabilities import Capabilities, capable
from cotality.parallel._data.checks import check_count
from cotality.parallel._data.messages import Backend

CONNECT_SECONDS = 10
"""How long a scheduler may take to answer."""


class DaskPool:
    """A Dask cluster as a pool. ``backend="dask"`` makes one of the client that is at hand, ``backend=client`` of that.

    Workers need this package, in the version that the caller has. The cluster stays the caller's.

    Parameters:
        cluster: A client of ``distributed``, a cluster of ``dask``, or the address of a scheduler. None: the client at
            hand, and where there is none a local cluster, with a process for each processor, that lives as long as the
            program.
        workers: The addresses or names of the workers that may be used; None: all.
        resources: What a worker must have free for each batch, as Dask counts it, for example ``{"GPU": 1}``.
        priority: Which of all that the cluster has to do comes first; higher is sooner.

    Raises:
        ImportError: ``distributed`` is not installed.
        ConnectionError: nobody answers at the address.

    Example:
        >>> from cotality.parallel import DaskPool, Task, run
        >>> pool = DaskPool("tcp://scheduler:8786", resources={"GPU": 1})  # doctest: +SKIP
        >>> run([Task(pow, {}, positional=(2, 5))], backend=pool)  # doctest: +SKIP
        [32]
    """

    capabilities: Capabilities = capable(keeps_results=True)

    def __init__(
        self,
        cluster: Any = None,
        *,
        workers: Sequence[str] | None = None,
        resources: Mapping[str, float] | None = None,
        priority: int = 0,
    ) -> None:
        self._client = None if cluster is None else _client_of(cluster)
        self._placement: dict[str, Any] = {"priority": priority}
        if workers is not None:
            self._placement["workers"] = list(workers)
        if resources is not None:
            self._placement["resources"] = dict(resources)

    def open(self, max_workers: int | None) -> Backend:
        """A backend for one run.

        Parameters:
            max_workers: The most attempts at once; None: one in each thread of each worker.

        Returns:
            The backend.

        Raises:
            ConnectionError: the scheduler does not answer.
        """
        check_count("max_workers", max_workers)
        # First, for it says what to install.
        client = self._client or _client_at_hand()
        from cotality.parallel._backends.dask.carrier import DaskCarrier
        from cotality.parallel._backends.dask.guard import guard

        threads = self._threads(client)
        client.register_plugin(guard())
        hosts = {address.rpartition(":")[0] for address in threads}
        available = max(1, sum(threads.values()))
        # A cluster that grows has room for more than it has workers.
        most = min(max_workers or available, available)
        carrier = DaskCarrier(client, self._placement, threads, max(1, available // max(1, len(hosts))))
        return FuturesBackend(carrier, most, alone=most == available)

    def _threads(self, client: Any) -> dict[str, int]:
        """How many threads each worker has that may be used."""
        try:
            threads: dict[str, int] = client.nthreads()
        except Exception as error:
            raise ConnectionError(f"the Dask scheduler at {address_of(client)} does not answer") from error
        named = self._placement.get("workers")
        if named is not None:
            threads = {address: count for address, count in threads.items() if address in named} or threads
        return threads


def address_of(client: Any) -> str:
    """Where a client's scheduler is."""
    scheduler = getattr(client, "scheduler", None)
    return str(scheduler.address if scheduler is not None else client._start_arg)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise ImportError("backend='dask' needs distributed: pip install 'cotality-workflow[dask]'") from error
    return distributed


def _client_of(cluster: Any) -> Any:
    distributed = _distributed()
    if isinstance(cluster, distributed.Client):
        return cluster
    if not isinstance(cluster, str) and not hasattr(cluster, "scheduler_address"):
        raise TypeError(f"cluster must be a client, a cluster or an address, not {type(cluster).__name__}")
    try:
        return distributed.Client(cluster, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise ConnectionError(
            f"no Dask scheduler answers at {cluster}: is it running, and can it be reached?"
        ) from error


def _client_at_hand() -> Any:
    """The client of the task that asks, or the caller's latest, or that of a local cluster."""
    distributed = _distributed()
    try:
        return distributed.get_client()
    except ValueError:
        return _local_client()


@cache
def _local_client() -> Any:
    distributed = _distributed()
    cluster = distributed.LocalCluster(
        n_workers=process_width(), threads_per_worker=1, dashboard_address=None, silence_logs=40
    )
    return distributed.Client(cluster, set_as_default=False)


DaskPool.__module__ = "cotality.parallel"
