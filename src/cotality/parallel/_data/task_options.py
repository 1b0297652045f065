"""The options of a task, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias, get_args

from cotality.parallel._data.checks import check_known, check_seconds
from cotality.parallel._data.journal import ResultCache
from cotality.parallel._data.limit import Limit
from cotality.parallel._data.policies import RetryPolicy, retry_policy

BackendName: TypeAlias = Literal["serial", "threads", "processes", "asyncio", "interpreters", "dask", "ray"]
Validation: TypeAlias = Literal["off", "fast", "full"]


cached: Final[set[int]] = set()
"""The caches that tasks have come to name, by their ids. Empty, it says that no task of a list has to be asked."""


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
    journal: bool = True
    cache: ResultCache | None = None
    expires: float | None = None
    version: str | int | None = None
    key: Callable[..., Any] | None = None
    plain: bool = field(default=True, init=False, compare=False)
    """Whether nothing has to be watched while the task runs: neither limit nor timeout, and no second attempt."""

    asked: bool = field(default=False, init=False, compare=False)
    """Whether something has to be known of the task before it can be due: a limit, or a cache."""

    def __post_init__(self) -> None:
        if self.cache is not None:
            cached.add(id(self.cache))
        object.__setattr__(self, "asked", bool(self.limits) or self.cache is not None)
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
        _check_kept(changes)
        for option, kind in (("limits", Limit), ("tags", str)):
            if option in changes:
                changes[option] = _all_of(option, kind, changes[option])
        return replace(self, **changes)


def _check_kept(given: dict[str, Any]) -> None:
    """Raise unless what is said about results that are kept can be meant."""
    check_seconds("expires", given.get("expires"))
    if not isinstance(given.get("journal", True), bool):
        raise TypeError("journal of a task must be True or False: the journal itself is given to the run")
    cache, key, version = given.get("cache"), given.get("key"), given.get("version")
    if cache is not None and not callable(getattr(cache, "open", None)):
        raise TypeError(f"cache must be a Cache, not {type(cache).__name__}")
    if key is not None and not callable(key):
        raise TypeError(f"key must be a function of the task's arguments, not {type(key).__name__}")
    if version is not None and (isinstance(version, bool) or not isinstance(version, (str, int))):
        raise TypeError(f"version must be a text or a whole number, not {type(version).__name__}")


def _all_of(option: str, kind: type, given: Any) -> tuple[Any, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise TypeError(f"{option} must be a list of {kind.__name__}, not {type(given).__name__}")
    if not all(isinstance(item, kind) for item in given):
        raise TypeError(f"{option} must hold nothing but objects of type {kind.__name__}")
    return tuple(given)


OPTION_NAMES: Final = (
    *("backend", "cache", "expires", "journal", "key", "limits", "name", "retries", "tags", "timeout", "validate"),
    "version",
)
DEFAULTS: Final = Options()
