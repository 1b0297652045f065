"""What a worker has said, as its parent hears it: by which task, and before that task is known to have ended."""

from __future__ import annotations

from collections.abc import Sequence

from cotality.parallel._backends.processes.board import SAID, Board
from cotality.parallel._backends.processes.voice import SEQUENCE
from cotality.parallel._data.messages import Planned


class Ear:
    """The parent's side of a worker's ``Voice``.

    Parameters:
        board: Tells how much the worker has said.
    """

    def __init__(self, board: Board) -> None:
        self._words = board.words
        self._heard = 0
        """How many messages have come."""
        self._new: list[bytes] = []
        self._said: list[tuple[Planned | None, bytes]] = []

    def hear(self, message: bytes) -> None:
        """A message has come."""
        self._heard += 1
        self._new.append(message)

    @property
    def misses_some(self) -> bool:
        """Whether there are messages that have not come yet; they are in the channel."""
        return bool(self._words[SAID] != self._heard)

    def attribute(self, head: int, pending: Sequence[Planned]) -> None:
        """Find out which tasks have said what has come.

        Parameters:
            head: The sequence number of the first of ``pending``.
            pending: The tasks that are not known to have ended.
        """
        for message in self._new:
            place = SEQUENCE.unpack_from(message)[0] - head
            planned = pending[place] if 0 <= place < len(pending) else None
            self._said.append((planned, message[SEQUENCE.size :]))
        self._new.clear()

    def take(self) -> list[tuple[Planned | None, bytes]]:
        """What was said since the last time, and by which task; None: by one that has ended."""
        said, self._said = self._said, []
        return said
