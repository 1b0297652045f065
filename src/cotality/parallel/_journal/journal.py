"""One run's use of a journal: what it holds, what is added, and when that is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic, time
from typing import Any, Final

from cotality.parallel._data.journal import Journal
from cotality.parallel._data.task_errors import JournalError
from cotality.parallel._journal.keys import Kind
from cotality.parallel._journal.store import Store
from cotality.parallel._journal.values import Keeper, Row, dump, facts_of, size_of

GROUP_SECONDS: Final = 0.4
"""How long a result that was put down may wait to be written together with others."""
GROUP_ROWS: Final = 5000
GROUP_BYTES: Final = 1 << 24
"""How much may wait."""


class OpenJournal:
    """A journal in the hands of a run.

    Parameters:
        settings: Which one, and how.
        warn: Told of what does not end the run.
        writes: Whether anything may be written; if not it is only looked at.

    Raises:
        JournalError: it can not be used.
    """

    def __init__(self, settings: Journal, warn: Callable[..., None], *, writes: bool = True) -> None:
        self.store = _store_of(settings, writes=writes)
        self._settings = settings
        self._warn = warn
        self.index: dict[bytes, bytes] = self.store.index()
        """Everything that it held when the run began."""
        self.functions = self.store.functions()
        self._waiting: list[Row] = []
        self._bytes = 0
        self._since = 0.0
        self._broken = False
        self._unkept: set[str] = set()

    def keep(self, key: bytes, call: bytes, kind: Kind, value: Any) -> bytes | None:
        """Put down what a task has given; it is written with others, soon.

        Returns:
            The facts of its entry; None if it can not be kept.
        """
        if self._broken:
            return None
        try:
            parts = dump(value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # To pickle runs the value's own code, which may raise anything.
            self._tell_once(kind.name, f"its result can not be pickled, so it will run again: {type(error).__name__}")
            return None
        at = time()
        try:
            number = self.store.number_of(kind.function)
        except JournalError as error:
            self._give_up(error)
            return None
        if not self._waiting:
            self._since = monotonic()
        facts, size = facts_of(self.store.stamps.of(key, at, parts), call, at, number), size_of(parts)
        self._waiting.append((key, facts, number, at, size, parts))
        self._bytes += size
        if self._bytes > GROUP_BYTES:
            self.write()
        return facts

    def _tell_once(self, name: str, message: str) -> None:
        if name not in self._unkept:
            self._unkept.add(name)
            self._warn("journal.not_kept", message, task=name)

    def patience(self, now: float) -> float | None:
        """How many seconds what was put down may still wait; None: nothing waits."""
        if not self._waiting:
            return None
        return max(0.0, self._since + GROUP_SECONDS - now)

    def write_when_due(self, now: float) -> None:
        """Write what has waited long enough.

        Raises:
            JournalError: it can not be written.
        """
        waits = bool(self._waiting)
        each = self._settings.durability == "each"
        if waits and (each or now >= self._since + GROUP_SECONDS or len(self._waiting) >= GROUP_ROWS):
            self.write()

    def write(self) -> None:
        """Write all that was put down.

        Raises:
            JournalError: it can not be written.
        """
        rows, self._waiting, self._bytes = self._waiting, [], 0
        if rows and not self._broken:
            try:
                self.store.append(rows)
            except JournalError as error:
                self._give_up(error)

    def _give_up(self, error: JournalError) -> None:
        if self._settings.on_error == "raise":
            raise error
        self._broken = True
        self._warn("journal.failed", f"the run goes on without its journal: {error}")

    def close(self) -> None:
        """Write what waits, and let others use it.

        Raises:
            JournalError: it can not be written.
        """
        try:
            self.write()
        finally:
            self.store.close()


def _store_of(settings: Journal, *, writes: bool) -> Keeper:
    """The store that a journal names: a file, the address of a folder that fsspec knows, or a place of the user's."""
    place: Any = settings.path
    if isinstance(place, os.PathLike) or (isinstance(place, str) and "://" not in place):
        return Store(place, settings.secret, writes=writes)
    from cotality.parallel._journal.pieces import FsspecPlace, PieceStore

    if isinstance(place, str):
        place = FsspecPlace(place, make=writes)
    return PieceStore(place, settings.secret, writes=writes)
