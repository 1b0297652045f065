"""The caches that the tasks of a run name, in the hands of that run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from cotality.parallel._data.task import Task
from cotality.parallel._data.task_errors import JournalError
from cotality.parallel._journal.keys import Known
from cotality.parallel._observers.log import warn

CACHE = "cache"
"""Stands for the worker of a task whose result a cache had."""


class Caches:
    """Asks the caches of tasks, and gives them what the run makes. Each is opened when its first task is asked for."""

    def __init__(self) -> None:
        self._opened: dict[int, Any] = {}
        """By the ids of what the tasks name."""
        self.claimed: dict[int, tuple[Any, Known]] = {}
        """What this run makes, by ticket: nobody else does as long as it is here."""

    def ask(self, ticket: int, task: Task[Any], known: Known) -> Any:
        """The result of a task, as the cache holds it; None if this run is to make it; ``ELSEWHERE`` if another one is
        at it, or another task of this one.

        Raises:
            JournalError: the cache can not be opened.
        """
        given: Any = task.options.cache
        key, _, kind = known
        cache = self._opened.get(id(given))
        if cache is None:
            cache = self._opened[id(given)] = given.open()
        expires = given.expires if task.options.expires is None else task.options.expires
        try:
            found = cache.find(key, expires)
        except JournalError as error:
            # That is no reason to fail: it is made here.
            warn("journal.not_kept", f"the cache can not be used, so it runs: {error}", task=kind.name)
            found = None
        if found is None:
            self.claimed[ticket] = (cache, known)
        return found

    def keep(self, ticket: int, value: Any) -> bytes | None:
        """Give a cache what this run has made for it; gives the facts of the entry, None if it was not kept."""
        cache, (key, call, kind) = self.claimed.pop(ticket)
        try:
            facts: bytes | None = cache.keep(key, call, kind.function, value)
        except JournalError as error:
            # There is the result; that others have to make it again is no reason to lose it.
            warn("journal.not_kept", f"the cache can not be written: {error}", task=kind.name)
            return None
        return facts

    def let_go(self, tickets: Iterable[int]) -> None:
        """Others may try what this run could not make."""
        for ticket in tickets:
            cache, (key, _, _) = self.claimed.pop(ticket)
            with contextlib.suppress(JournalError):
                cache.let_go(key)

    def close(self) -> None:
        """The run is over."""
        opened, self._opened = list(self._opened.values()), {}
        self.claimed.clear()
        for cache in opened:
            cache.close()
