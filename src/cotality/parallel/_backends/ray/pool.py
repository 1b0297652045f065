"""A Ray cluster as a pool."""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cotality.parallel._backends.futures.backend import FuturesBackend
from cotality.parallel._data.capabilities import Capabilities, capable
from cotality.parallel._data.checks import check_count
from cotality.parallel._data.messages import Backend


class RayPool:
    """A Ray cluster as a pool. ``backend="ray"`` is one with nothing but defaults.

    The cluster is the one that the program is connected to, by ``ray.init``; where it is to none, one is started on
    this machine. Workers need this package, in the version that the caller has.

    Parameters:
        num_cpus: How many processors each batch of tasks counts for.
        resources: What else a node must have free for it, for example ``{"special": 1}``.
        runtime_env: The environment it needs, as Ray describes it.
        options: Anything else that ``ray.remote`` takes, ``num_gpus`` for example.

    Raises:
        ImportError: ``ray`` is not installed.

    Example:
        >>> from cotality.parallel import RayPool, Task, run
        >>> pool = RayPool(num_cpus=2)  # doctest: +SKIP
        >>> run([Task(pow, {}, positional=(2, 5))], backend=pool)  # doctest: +SKIP
        [32]
    """

    capabilities: Capabilities = capable(interrupts=True, replaces=True, keeps_results=True)

    def __init__(
        self,
        *,
        num_cpus: float = 1,
        resources: Mapping[str, float] | None = None,
        runtime_env: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        _ray()
        self._num_cpus = num_cpus
        self._needs: dict[str, Any] = {"num_cpus": num_cpus, **options}
        if resources is not None:
            self._needs["resources"] = dict(resources)
        if runtime_env is not None:
            self._needs["runtime_env"] = dict(runtime_env)

    def open(self, max_workers: int | None) -> Backend:
        """A backend for one run.

        Parameters:
            max_workers: The most attempts at once; None: as many as there is room for.

        Returns:
            The backend.
        """
        check_count("max_workers", max_workers)
        ray = _ray()
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False)
        from cotality.parallel._backends.ray.carrier import RayCarrier

        cpus = ray.cluster_resources().get("CPU", 1)
        available = max(1, int(cpus / self._num_cpus) if self._num_cpus else int(cpus))
        most = min(max_workers or available, available)
        nodes = max(1, sum(1 for node in ray.nodes() if node.get("Alive")))
        return FuturesBackend(RayCarrier(self._needs, max(1, available // nodes)), most, alone=most == available)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ImportError("backend='ray' needs ray: pip install 'cotality-workflow[ray]'") from error
    return ray


RayPool.__module__ = "cotality.parallel"
