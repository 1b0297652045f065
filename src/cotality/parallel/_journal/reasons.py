"""Why a task runs though there is a journal."""

from __future__ import annotations

from typing import Final

from cotality.parallel._journal.journal import OpenJournal
from cotality.parallel._journal.keys import Function
from cotality.parallel._journal.values import CALL, Facts

NEW: Final = "the journal has no result of it"


class Reasons:
    """Finds out why tasks run.

    Parameters:
        journal: What ran before.
    """

    def __init__(self, journal: OpenJournal) -> None:
        self._index = journal.index
        self._functions = journal.functions
        self._calls: dict[bytes, bytes] | None = None
        """The keys of what is in the journal, by call; made when the first task is not found."""
        self._told: set[tuple[Function, str]] = set()

    def of(self, key: bytes, call: bytes, function: Function) -> str:
        """Why a call runs."""
        if self._calls is None:
            self._calls = {facts[CALL]: key for key, facts in self._index.items()}
        before = self._calls.get(call)
        return NEW if before is None else self._difference(before, key, function)

    def news(self, key: bytes, call: bytes, function: Function) -> str | None:
        """Why a call runs again; None if its like never has, or that was told already of this function."""
        reason = self.of(key, call, function)
        if reason == NEW or (function, reason) in self._told:
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
