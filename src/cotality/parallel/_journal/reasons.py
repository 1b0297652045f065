"""Why a task runs again whose like is in the journal."""

from __future__ import annotations

from cotality.parallel._journal.journal import OpenJournal
from cotality.parallel._journal.keys import Function
from cotality.parallel._journal.values import CALL, Facts


class Reasons:
    """Finds out why tasks run again, once for each function and reason.

    Parameters:
        journal: What ran before.
    """

    def __init__(self, journal: OpenJournal) -> None:
        self._index = journal.index
        self._functions = journal.functions
        self._calls: dict[bytes, bytes] | None = None
        """The keys of what is in the journal, by call; made when the first task is not found."""
        self._told: set[tuple[Function, str]] = set()

    def of(self, key: bytes, call: bytes, function: Function) -> str | None:
        """Why a call runs again; None if it never ran before, or that was told already."""
        if self._calls is None:
            self._calls = {facts[CALL]: key for key, facts in self._index.items()}
        before = self._calls.get(call)
        if before is None:
            return None
        reason = self._difference(before, key, function)
        if (function, reason) in self._told:
            return None
        self._told.add((function, reason))
        return reason

    def _difference(self, before: bytes, key: bytes, function: Function) -> str:
        known = self._functions.get(Facts.of(self._index[before]).function)
        if known is None or known.digest != function.digest:
            return "its function, a global that it names, or its version has changed"
        if key in self._index:
            return "its result has expired, or is damaged"
        return "what it takes from other tasks has changed"
