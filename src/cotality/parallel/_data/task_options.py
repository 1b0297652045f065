"""The options of a task, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias, get_args

from cotality.parallel._data.checks import check_known, check_seconds
from cotality.parallel._data.limit import Limit
from cotality.parallel._data.policies import RetryPolicy, retry_policy

BackendName: TypeAlias = Literal["serial", "threads", "processes", "asyncio", "interpreters", "dask", "ray"]
Validation: TypeAlias = Literal["off", "fast", "full"]


def check_backend(backend: object) -> None:
    """Raise unless this is the name of a backend or a pool."""
    if isinstance(backend, str):
        if backend not in get_args(BackendName):
            *names, last = map(repr, get_args(BackendName))
            raise ValueError(f"unknown backend {backend!r}: use {', '.join(names)}, {last}, a pool or an executor")
    elif backend is not None and not any(callable(getattr(backend, name, None)) for name in ("open", "submit")):
        raise TypeError(
            f"backend must be a name, a pool such as a ProcessExecutor or an executor, not {type(backend).__name__}"
        )


@dataclass(frozen=True, slots=True)
class Options:
    """What the engine is to do with a task. Those of a factory are shared by all tasks that it makes.

    The fields are those of :class:`TaskOptions`; ``retry`` is what ``retries`` came to.
    """

    name: str | None = None
    retry: RetryPolicy | None = None
    timeout: float | None = None
    backend: Any = None
    """A name or a pool; None: that of the workflow."""
    limits: tuple[Limit, ...] = ()
    tags: tuple[str, ...] = ()
    validate: Validation = "fast"
    plain: bool = field(default=True, init=False, compare=False)
    """Whether nothing has to be watched while the task runs: neither limit nor timeout, and no second attempt."""

    def __post_init__(self) -> None:
        watched = self.limits or self.timeout is not None or self.retry is not None
        object.__setattr__(self, "plain", not watched)

    def updated(self, given: dict[str, Any]) -> Options:
        """These options and others on top, as a caller gives them.

        Raises:
            TypeError, ValueError: an option that does not exist or can not have this value.
        """
        check_known("a task", given, OPTION_NAMES)
        changes = dict(given)
        if "retries" in changes:
            changes["retry"] = retry_policy(changes.pop("retries"))
        name = changes.get("name")
        if name is not None and (not isinstance(name, str) or not name):
            raise TypeError("name must be a text that is not empty")
        check_seconds("timeout", changes.get("timeout"))
        check_backend(changes.get("backend"))
        if changes.get("validate", "fast") not in get_args(Validation):
            raise ValueError("validate must be 'off', 'fast' or 'full'")
        for option, kind in (("limits", Limit), ("tags", str)):
            if option in changes:
                changes[option] = _all_of(option, kind, changes[option])
        return replace(self, **changes)


def _all_of(option: str, kind: type, given: Any) -> tuple[Any, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise TypeError(f"{option} must be a list of {kind.__name__}, not {type(given).__name__}")
    if not all(isinstance(item, kind) for item in given):
        raise TypeError(f"{option} must hold nothing but objects of type {kind.__name__}")
    return tuple(given)


OPTION_NAMES: Final = ("backend", "limits", "name", "retries", "tags", "timeout", "validate")
DEFAULTS: Final = Options()
