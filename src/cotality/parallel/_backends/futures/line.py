"""How what tasks say comes to the caller at once: over a connection that a batch makes when one of them says something.

What was sent is in the kernel's hands, and arrives even if the worker dies the next moment. Where no connection can be
made, what was said takes a slower way; see ``Hearing``. Over another connection the caller can end the worker.
"""

from __future__ import annotations

import hmac
import os
import selectors
import socket
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import count
from struct import Struct
from struct import error as StructError
from time import monotonic
from typing import Any, Final, NamedTuple

from cotality.parallel._backends.crew import start_thread
from cotality.parallel._backends.daemons import uninterrupted
from cotality.parallel._backends.futures.home import MACHINE
from cotality.parallel._backends.gate import Gate
from cotality.parallel._backends.processes.lifeline import can_die_at_word, die_at_word, live_on

LOOPBACK: Final = "127.0.0.1"
BACKLOG: Final = 512
CHUNK_BYTES: Final = 256 * 1024
CONNECT_SECONDS: Final = 1.0
"""How long a batch tries to reach the caller, who may be busy, or behind a wall."""
SEND_SECONDS: Final = 10.0
"""How long the caller may take no notice, before what is said goes another way."""
ARRIVE_SECONDS: Final = 1.0
"""How long what was sent may take behind the report of its batch, which comes another way."""

_HELLO = Struct("!16sQ?")
"""The secret, the batch, and whether this is its leash."""
_WELCOME = b"\1"
_HEADER = Struct("!II")
"""Which task, and how many bytes."""


class Way(NamedTuple):
    """How one batch reaches the caller; made of what marshal writes.

    Parameters:
        host, port: Where.
        machine: Which one that is.
        secret: What only the batches of this run know: whatever else connects is not listened to.
        number: The batch.
    """

    host: str
    port: int
    machine: str
    secret: bytes
    number: int


class Line:
    """The caller's end, for one run. Its thread reads; what it hears it tells from there.

    Parameters:
        host: The address at which workers reach it.

    Raises:
        OSError: it can not listen there.
    """

    def __init__(self, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with ExitStack() as opened:
            listener = opened.enter_context(socket.create_server((host, 0), family=family, backlog=BACKLOG))
            self._waker, woken = map(opened.enter_context, socket.socketpair())
            self._selector = opened.enter_context(selectors.DefaultSelector())
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, self._accept)
            self._selector.register(woken, selectors.EVENT_READ, self._wake)
            opened.pop_all()
        self._host, self._port = listener.getsockname()[:2]
        self._secret = os.urandom(16)
        self._numbers = count()
        self._expected: dict[int, _Expected] = {}
        """The batches that are under way."""
        self._news = Gate()
        """Something has come, or everything has been read that was here."""
        self._asked = False
        """Whether somebody waits for the latter."""
        self._ends: deque[int] = deque()
        """The batches whose workers are to end."""
        self._passes = 0
        """How often that was so."""
        self._unbegun = [True]
        """Who takes this says whether anybody listens: the thread, or the end of the run."""
        self._is_closed = False
        self._over = Gate()

    def start(self) -> None:
        """Begin to listen.

        Raises:
            RuntimeError: the system has no thread left.
        """
        start_thread(self._serve)

    def expect(self, hear: Callable[[int, bytes], object]) -> Way:
        """A batch is about to be sent.

        Parameters:
            hear: Called from another thread with the place of a task in the batch and what it has said.
        """
        number = next(self._numbers)
        self._expected[number] = _Expected(hear)
        return Way(self._host, self._port, MACHINE, self._secret, number)

    def settle(self, number: int, told: int | None) -> None:
        """A batch is over: what it has sent is heard now.

        Parameters:
            number: The batch.
            told: How many pieces that are; None: nobody knows, as its worker has died.
        """
        batch = self._expected[number]
        if told is None:
            # That it has died is heard of another way, and later than what it has sent is here.
            before = self._passes
            self._waker.send(b"\0")
            self._await(lambda: self._passes > before)
        else:
            self._await(lambda: batch.heard >= told)
        del self._expected[number]

    def _await(self, enough: Callable[[], bool]) -> None:
        until = monotonic() + ARRIVE_SECONDS
        while not enough() and (left := until - monotonic()) > 0:
            self._news.wait(left)

    def end(self, number: int) -> bool:
        """End the worker that runs a batch, unless that is over; False if it is not on a leash, or has not begun."""
        is_known = self._expected[number].leash is not None
        if is_known:
            # By the thread that alone knows whether the connection is still open.
            self._ends.append(number)
            self._waker.send(b"\0")
        return is_known

    def close(self) -> None:
        """The run is over."""
        uninterrupted(self._close)

    def _close(self) -> None:
        self._is_closed = True
        if not self._take_charge():
            self._waker.send(b"\0")
            self._over.wait(None)
        for key in list(self._selector.get_map().values()):
            self.drop(key.fileobj)
        self._selector.close()
        self._waker.close()

    def _take_charge(self) -> bool:
        """False if somebody has done so before."""
        try:
            return self._unbegun.pop()
        except IndexError:
            return False

    def _serve(self) -> None:
        if self._take_charge():
            try:
                self._listen()
            finally:
                self._over.open()

    def _listen(self) -> None:
        while not self._is_closed:
            events = self._selector.select(0 if self._asked else None)
            for key, _mask in events:
                key.data(key.fileobj)
            if not events:
                self._asked = False
                self._passes += 1
            self._news.open()

    def _wake(self, woken: socket.socket) -> None:
        woken.recv(CHUNK_BYTES)
        self._asked = True
        while self._ends:
            batch = self._expected.get(self._ends.popleft())
            if batch is not None and batch.leash is not None:
                with suppress(OSError):
                    batch.leash.send(b"\0")

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _address = listener.accept()
        except BlockingIOError:
            return
        except OSError:
            # No descriptor is left: those that knock are not let in, and go another way.
            self.drop(listener)
            return
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ, _Listening(self, connection).hear)

    def knows(self, secret: bytes) -> bool:
        """Whether this is a batch of this run."""
        return hmac.compare_digest(secret, self._secret)

    def leash(self, number: int, connection: socket.socket) -> None:
        """A batch has begun whose worker can be ended."""
        batch = self._expected.get(number)
        if batch is not None:
            batch.leash = connection

    def take(self, number: int, place: int, message: bytes) -> None:
        """A task has said something."""
        batch = self._expected.get(number)
        if batch is not None:
            batch.hear(place, message)
            batch.heard += 1

    def drop(self, sock: Any) -> None:
        """Nothing more will come from there."""
        self._selector.unregister(sock)
        try:
            # Also where a process that was forked meanwhile holds it as well.
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        sock.close()


class _Expected:
    """A batch that may speak.

    Parameters:
        hear: See ``Line.expect``.
    """

    __slots__ = ("hear", "heard", "leash")

    def __init__(self, hear: Callable[[int, bytes], object]) -> None:
        self.hear = hear
        self.heard = 0
        """How many pieces have come."""
        self.leash: socket.socket | None = None
        """Where its worker is told to end; it is closed when the batch is over."""


class _Listening:
    """One batch that speaks.

    Parameters:
        line: Who is told.
        connection: Where it is heard.
    """

    def __init__(self, line: Line, connection: socket.socket) -> None:
        self._line = line
        self._connection = connection
        self._received = bytearray()
        self._number: int | None = None

    def hear(self, connection: socket.socket) -> None:
        """Take what has come."""
        try:
            data = connection.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._received += data
        if not data or not self._is_welcome():
            self._line.drop(connection)
        elif self._number is not None:
            self._take(self._number)

    def _is_welcome(self) -> bool:
        """False for a stranger, of whom nothing is read."""
        if self._number is None and len(self._received) >= _HELLO.size:
            secret, number, is_leash = _HELLO.unpack_from(self._received)
            if not self._line.knows(secret):
                return False
            del self._received[: _HELLO.size]
            self._number = number
            if is_leash:
                self._line.leash(number, self._connection)
            try:
                self._connection.send(_WELCOME)
            except OSError:
                return False
        return True

    def _take(self, number: int) -> None:
        begin = 0
        while len(self._received) - begin >= _HEADER.size:
            place, size = _HEADER.unpack_from(self._received, begin)
            end = begin + _HEADER.size + size
            if len(self._received) < end:
                break
            self._line.take(number, place, bytes(self._received[end - size : end]))
            begin = end
        del self._received[:begin]


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
            self._connection.sendall(_HEADER.pack(place, len(message)) + message)
        except BaseException as error:
            # What came behind a part of this would not be understood.
            self.close()
            if isinstance(error, (OSError, StructError)):
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
            with suppress(OSError):
                self._connection = _connected(self._way, leash=True)
                die_at_word(self._connection.fileno())

    def __exit__(self, *_error: object) -> None:
        if self._connection is not None:
            with suppress(OSError):
                live_on(self._connection.fileno())
            self._connection.close()


_unreachable: Final[set[str | tuple[str, int]]] = set()
"""Callers that did not answer, and where nobody did at all: the next batch does not wait for them again."""


def _connected(way: Way, *, leash: bool = False) -> socket.socket:
    """A connection to a caller who listens.

    Raises:
        OSError: there is none.
    """
    address = way.host, way.port
    elsewhere = way.host == LOOPBACK and way.machine != MACHINE
    if elsewhere or way.host in _unreachable or address in _unreachable:
        raise ConnectionError("out of reach")
    try:
        connection = _connection(address)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(_HELLO.pack(way.secret, way.number, leash))
            if connection.recv(1) != _WELCOME:
                raise ConnectionError("somebody else listens there")
        except BaseException:
            connection.close()
            raise
    except OSError:
        _give_up(address)
        raise
    return connection


def _connection(address: tuple[str, int]) -> socket.socket:
    try:
        return socket.create_connection(address, CONNECT_SECONDS)
    except TimeoutError:
        # There is a wall: it will be the same for the next run, which listens at another port.
        _give_up(address[0])
        raise


def _give_up(what: str | tuple[str, int]) -> None:
    if len(_unreachable) > BACKLOG:
        _unreachable.clear()
    _unreachable.add(what)
