"""How a worker speaks to its parent, from any of its threads."""

from __future__ import annotations

import os
from struct import Struct

from cotality.parallel._backends.processes.board import DONE, END_BITS, SAID, STARTED, Board
from cotality.parallel._backends.processes.channel import Channel, ChannelClosed
from cotality.parallel._backends.processes.kinds import SAYS
from cotality.parallel._backends.turns import Turns

SEQUENCE = Struct("=Q")


class Voice:
    """The sending half of a channel.

    Parameters:
        channel: The channel.
        board: Tells what runs, and is told how much was said.
    """

    def __init__(self, channel: Channel, board: Board) -> None:
        self._channel = channel
        self._words = board.words
        self._turns = Turns(self._send)
        self._pid = os.getpid()
        self.last = 0
        """The last sequence number of the batch that is under way, or was."""

    def send(self, kind: int, payload: bytes = b"", fd: int = -1) -> None:
        """Send a frame; it is sent when this returns.

        Raises:
            ChannelClosed: the parent is gone.
        """
        self._turns.take(kind, payload, fd)

    def _send(self, kind: int, payload: bytes, fd: int) -> None:
        self._channel.send(kind, payload, fd)
        if kind == SAYS:
            self._words[SAID] += 1

    def say(self, message: bytes) -> bool:
        """Pass on what the running task says; False in a process that a task has forked: the parent is not its own."""
        if os.getpid() != self._pid:
            return False
        try:
            self.send(SAYS, SEQUENCE.pack(self._current()) + message)
        except ChannelClosed:
            # Nobody is left to hear it, and this process will not live much longer.
            pass
        return True

    def _current(self) -> int:
        """The sequence number of the task that runs, or 0."""
        running = max(self._words[STARTED], (self._words[DONE] >> END_BITS) + 1)
        return running if running <= self.last else 0
