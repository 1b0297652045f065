"""Results that workflows and runs share: each is made once, and the ones that nobody has asked for go first."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from time import time
from typing import Any, Final, Literal, NamedTuple

from cotality.parallel._data.checks import check_count, check_seconds
from cotality.parallel._data.memory import ELSEWHERE
from cotality.parallel._data.task_errors import JournalError
from cotality.parallel._journal.content import named
from cotality.parallel._journal.keys import Function
from cotality.parallel._journal.owners import lives, mark_of
from cotality.parallel._journal.store import Store
from cotality.parallel._journal.values import Found, Keeper, dump, facts_of, size_of

_ORPHANED_SECONDS: Final = 3600.0
"""How long ago a file was written that nobody will name any more."""
_LEFT: Final = 0.8
"""What part of its size a cache that has become too large is cut down to, so that this is not done all the time."""


class CacheEntry(NamedTuple):
    """What a cache holds of one function.

    Parameters:
        function: Its module and its name.
        results: How many results.
        bytes: How large they are together.
        used: When one of them was last made or asked for, in seconds since the epoch.

    Example:
        >>> import tempfile
        >>> from cotality.workflow import Cache, Workflow, task
        >>> cache = Cache(tempfile.mkdtemp() + "/results.db")
        >>> @task(cache=cache)
        ... def half(number: int) -> float:
        ...     return number / 2
        >>> flow = Workflow("halves")
        >>> _ = flow.map(half, range(3))
        >>> _ = flow.run()
        >>> [entry.results for entry in cache.entries()]
        [3]
    """

    function: str
    results: int
    bytes: int
    used: float


class Cache:
    """Keeps results for all workflows and runs that name it: ``@task(cache=Cache("results.db"))``.

    A task whose function and arguments are the same is not run again, in whichever workflow, process or run it is. Two
    runs that need the same result at the same time make it once.

    Parameters:
        path: The file; others are made beside it.
        by: What makes a task another one: ``"code"``, the function's code and its arguments; or ``"inputs"``, its name
            and its arguments, whatever becomes of its code.
        expires: After how many seconds a result is too old; a task's own ``expires`` comes first. None: never.
        max_bytes: How large it may grow: what was not asked for the longest is removed. None: without a bound.
        secret: Whoever does not know it can not forge a result.

    Raises:
        TypeError, ValueError: a setting that can not be used.

    Example:
        >>> import tempfile
        >>> from cotality.workflow import Workflow, task
        >>> cache = Cache(tempfile.mkdtemp() + "/results.db")
        >>> @task(cache=cache)
        ... def square(number: int) -> int:
        ...     return number * number
        >>> for name in ("one", "another"):
        ...     flow = Workflow(name)
        ...     _ = flow.add(square(4))
        ...     print(flow.run().resumed)
        {}
        {'square': 1}
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        by: Literal["code", "inputs"] = "code",
        expires: float | None = None,
        max_bytes: int | None = None,
        secret: bytes | None = None,
    ) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"a cache needs a path, not {type(path).__name__}")
        if by not in ("code", "inputs"):
            raise ValueError("by must be 'code' or 'inputs'")
        check_seconds("expires", expires)
        check_count("max_bytes", max_bytes)
        self.path: str = os.fspath(path)
        self.by: Literal["code", "inputs"] = by
        self.expires = expires
        self.max_bytes = max_bytes
        self._secret = secret

    def __repr__(self) -> str:
        return f"<Cache {self.path}>"

    def open(self) -> OpenCache:
        """One run's use of it.

        Raises:
            JournalError: it can not be used; says why.
        """
        return OpenCache(self._store(), self.max_bytes)

    def _store(self, *, make: bool = True) -> Store:
        return Store(self.path, self._secret, alone=False, make=make)

    def _store_to_remove_from(self) -> Store:
        store = self._store(make=False)
        if store.is_journal:
            store.close()
            raise JournalError(f"{self.path} is a journal and not a cache: nothing was removed")
        return store

    def entries(self) -> list[CacheEntry]:
        """What it holds, by function, the largest first.

        Raises:
            JournalError: it can not be used; says why.
        """
        with contextlib.closing(self._store(make=False)) as store:
            rows = store.query(
                "SELECT name, count(*), sum(size), max(used) FROM results JOIN functions ON function = id "
                "GROUP BY name ORDER BY sum(size) DESC, name"
            )
        return [CacheEntry(*row) for row in rows]

    def invalidate(self, function: Callable[..., Any] | str | None = None) -> int:
        """Forget the results of a function, so that its tasks run again.

        Parameters:
            function: The function, what ``@task`` has made of it, or its module and name; None: of all.

        Returns:
            How many results were forgotten.

        Raises:
            JournalError: it can not be used; says why.
        """
        name = function if function is None or isinstance(function, str) else named(function)
        with contextlib.closing(self._store_to_remove_from()) as store:
            rows = store.query(
                "SELECT key FROM results JOIN functions ON function = id WHERE ? IS NULL OR name = ?", name, name
            )
            store.remove(key for (key,) in rows)
        return len(rows)

    def prune(self, max_bytes: int | None = None) -> int:
        """Remove the results that were not asked for the longest, until it is no larger than this.

        Parameters:
            max_bytes: How large it may be; None: as was said when it was made.

        Returns:
            How many results were removed.

        Raises:
            JournalError: it can not be used; says why.
        """
        most = self.max_bytes if max_bytes is None else max_bytes
        with contextlib.closing(self._store_to_remove_from()) as store:
            return 0 if most is None else prune(store, most)


def prune(store: Store, most: int) -> int:
    """Remove what was not asked for the longest, until a store is no larger than this; tells how many that were."""
    rows = store.query("SELECT key, size FROM results ORDER BY used DESC")
    gone = []
    total = 0
    for key, size in rows:
        total += size
        if total > most:
            gone.append(key)
    store.remove(gone)
    store.tidy(_ORPHANED_SECONDS)
    return len(gone)


class Held(Keeper):
    """A result that was in a cache, checked and not opened: it may be removed there before somebody needs it.

    Parameters:
        facts: The facts of its entry.
        data: Its bytes, or the file that they are mapped from.
    """

    def __init__(self, facts: bytes, data: Any) -> None:
        self.facts = facts
        self._data = data

    def read(self, found: Found) -> Any:
        return self._data


class OpenCache:
    """A cache in the hands of a run.

    Parameters:
        store: Its files.
        max_bytes: How large it may grow.
    """

    def __init__(self, store: Store, max_bytes: int | None) -> None:
        self.store = store
        self._most = max_bytes
        self._owner = f"{mark_of(os.getpid())} {os.urandom(6).hex()}"
        self._size = store.query("SELECT coalesce(sum(size), 0) FROM results")[0][0]

    def find(self, key: bytes, expires: float | None) -> Any:
        """A result that is there; None if this run is to make it; ``ELSEWHERE`` if another one is at it.

        Raises:
            JournalError: it can not be read.
        """
        held = self._find(key, expires)
        if held is not None:
            return held
        if not self._claim(key):
            return ELSEWHERE
        # It may have been made just before.
        held = self._find(key, expires)
        if held is not None:
            self.let_go(key)
        return held

    def _find(self, key: bytes, expires: float | None) -> Held | None:
        facts = self.store.find(key)
        if facts is None or not self.store.is_fresh(key, facts, expires):
            return None
        data = self.store.read_many([(key, facts)]).get(key)
        if data is None:
            return None
        with contextlib.suppress(JournalError):
            # On a full disk as well, what is there is there.
            self.store.query("UPDATE results SET used = ? WHERE key = ?", time(), key)
        return Held(facts, data)

    def _claim(self, key: bytes) -> bool:
        """Whether this run is now the one that makes a result."""
        store = self.store
        store.query("INSERT OR IGNORE INTO claims VALUES (?, ?)", key, "")
        ((owner,),) = store.query("SELECT owner FROM claims WHERE key = ?", key) or ((None,),)
        if owner is None or (owner and lives(owner.rpartition(" ")[0])):
            return False
        # Of several that see this, one is first.
        store.query("UPDATE claims SET owner = ? WHERE key = ? AND owner = ?", self._owner, key, owner)
        return bool(store.query("SELECT 1 FROM claims WHERE key = ? AND owner = ?", key, self._owner))

    def keep(self, key: bytes, call: bytes, function: Function, value: Any) -> bytes | None:
        """Keep a result; gives the facts of its entry, or None if it can not be kept."""
        try:
            parts = dump(value)
        except KeyboardInterrupt:
            raise
        except BaseException:
            self.let_go(key)
            return None
        at, number, size = time(), self.store.number_of(function), size_of(parts)
        facts = facts_of(self.store.stamps.of(key, at, parts), call, at, number)
        try:
            self.store.append([(key, facts, number, at, size, parts)])
        finally:
            self.let_go(key)
        self._size += size
        if self._most is not None and self._size > self._most:
            prune(self.store, int(self._most * _LEFT))
            self._size = self.store.query("SELECT coalesce(sum(size), 0) FROM results")[0][0]
        return facts

    def let_go(self, key: bytes) -> None:
        """This run does not make it any more."""
        self.store.query("DELETE FROM claims WHERE key = ? AND owner = ?", key, self._owner)

    def close(self) -> None:
        """Let go of all that was not made."""
        try:
            with contextlib.suppress(JournalError):
                self.store.query("DELETE FROM claims WHERE owner = ?", self._owner)
        finally:
            self.store.close()


Cache.__module__ = CacheEntry.__module__ = "cotality.parallel"
