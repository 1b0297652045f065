"""A worker's end of the line: what tasks say is told, and the worker can be ended."""

from __future__ import annotations

import socket
from contextlib import suppress
from time import monotonic
from typing import Final

from cotality.parallel._backends.futures.home import MACHINE
from cotality.parallel._backends.futures.way import HEADER, HELLO, LOOPBACK, QUIETLY, SEND_SECONDS, WELCOME, Way
from cotality.parallel._backends.processes.lifeline import can_die_at_word, die_at_word, live_on

CONNECT_SECONDS: Final = 1.0
"""How long a batch tries to reach the caller, who may be busy, or behind a wall."""
FORGET_SECONDS: Final = 30.0
"""How long a caller that did not answer is not tried again."""
MOST_REMEMBERED: Final = 512
"""How many of these are kept."""


class Speaking:
    """A worker's end, for one batch.

    Parameters:
        way: How the caller is reached.
    """

    def __init__(self, way: Way) -> None:
        self._way = way
        self._connection: socket.socket | None = None
        self._is_closed = False

    def say(self, place: int, message: bytes) -> bool:
        """Tell what a task has said; False if that can not be done, and never could again.

        Not for two threads at once.
        """
        if self._is_closed:
            return False
        try:
            if self._connection is None:
                self._connection = _connected(self._way)
                self._connection.settimeout(SEND_SECONDS)
            self._connection.sendall(HEADER.pack(place, len(message)) + message, QUIETLY)
        except BaseException as error:
            # What came behind a part of this would not be understood.
            self.close()
            if isinstance(error, Exception):
                return False
            raise
        return True

    def close(self) -> None:
        """It has said everything."""
        self._is_closed = True
        if self._connection is not None:
            self._connection.close()


class Leash:
    """Lets the caller end this process as long as a batch runs in it, also one that is stuck in C code.

    Parameters:
        way: How the caller is reached.
    """

    def __init__(self, way: Way) -> None:
        self._way = way
        self._connection: socket.socket | None = None

    def __enter__(self) -> None:
        if can_die_at_word():
            with suppress(Exception):
                self._connection = _connected(self._way, leash=True)
                die_at_word(self._connection.fileno())

    def __exit__(self, *_error: object) -> None:
        if self._connection is not None:
            with suppress(OSError):
                live_on(self._connection.fileno())
            self._connection.close()


_unreachable: Final[dict[str | tuple[str, int], float]] = {}
"""Callers that did not answer, and where nobody did at all; until when nobody waits for them again."""


def _connected(way: Way, *, leash: bool = False) -> socket.socket:
    """A connection to a caller who listens.

    Raises:
        OSError: there is none.
    """
    address = way.host, way.port
    here = way.host == LOOPBACK
    if (here and way.machine != MACHINE) or _is_given_up(way.host) or _is_given_up(address):
        raise ConnectionError("out of reach")
    try:
        connection = socket.create_connection(address, CONNECT_SECONDS)
    except OSError as error:
        # Behind a wall it will be the same for the next run, which listens at another port.
        _give_up(way.host if isinstance(error, TimeoutError) and not here else address)
        raise
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(HELLO.pack(way.secret, way.number, leash), QUIETLY)
        if connection.recv(1) != WELCOME:
            raise ConnectionError("somebody else listens there")
    except BaseException:
        _give_up(address)
        connection.close()
        raise
    return connection


def _is_given_up(what: str | tuple[str, int]) -> bool:
    return _unreachable.get(what, 0.0) > monotonic()


def _give_up(what: str | tuple[str, int]) -> None:
    if len(_unreachable) > MOST_REMEMBERED:
        _unreachable.clear()
    _unreachable[what] = monotonic() + FORGET_SECONDS
