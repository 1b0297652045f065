"""The caller's end of the line, over which comes at once what tasks say in workers that are not ours.

A batch connects when one of its tasks first says something. What was sent is in the kernel's hands, and arrives even if
the worker dies the next moment. Where no connection can be made, what was said takes a slower way; see ``Hearing``.
Over another connection, the leash, the caller can end the worker.
"""

from __future__ import annotations

import errno
import hmac
import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import count
from time import monotonic
from typing import Any, Final

from cotality.parallel._backends.crew import start_thread
from cotality.parallel._backends.daemons import uninterrupted
from cotality.parallel._backends.futures.home import MACHINE
from cotality.parallel._backends.futures.way import HEADER, HELLO, QUIETLY, SEND_SECONDS, WELCOME, Way
from cotality.parallel._backends.gate import Gate

BACKLOG: Final = 512
CHUNK_BYTES: Final = 256 * 1024
MOST_STRANGERS: Final = 64
"""How many may be connected that have not said who they are."""
ROOM_SECONDS: Final = 0.02
"""How often it is looked whether the caller has caught up."""
ARRIVE_SECONDS: Final = 1.0
"""How long what was sent may take behind the report of its batch, which comes another way."""
_WORD: Final = b"\0"


class Line:
    """The caller's end, for one run. Its thread reads; what it hears it tells from there.

    Parameters:
        host: The address at which workers reach it.
        is_behind: Whether the caller has to catch up with what it was told: as long as it has, nothing more is read, so
            that those who speak have to wait.

    Raises:
        OSError: it can not listen there.
    """

    def __init__(self, host: str, is_behind: Callable[[], bool] = lambda: False) -> None:
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
        self._is_behind = is_behind
        self._pid = os.getpid()
        self._secret = os.urandom(16)
        self._strangers: dict[socket.socket, None] = {}
        """Those that have not said who they are, in the order in which they came."""
        self._numbers = count()
        self._expected: dict[int, _Expected] = {}
        """The batches that are under way."""
        self._news = Gate()
        """Something has come, or everything has been read that was here."""
        self._asks = self._answers = 0
        """How often somebody has waited for the latter, and the last time of these that it was so."""
        self._is_awaited = False
        """Whether somebody waits for what has not been read."""
        self._ends: deque[int] = deque()
        """The batches whose workers are to end."""
        self._hurried = Gate()
        """Opened by whoever can not wait until the caller has caught up."""
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
            # That it has died is heard of another way. What it has sent ends with the end of its connection.
            self._await(lambda: self._answers == self._asks and batch.voice is None)
        elif batch.heard < told:
            self._await(lambda: batch.heard >= told)
        del self._expected[number]

    def _await(self, enough: Callable[[], bool]) -> None:
        """Have everything read that is here, until that is enough, or nothing more comes."""
        if os.getpid() != self._pid:
            return
        self._asks += 1
        self._is_awaited = True
        self._wake_up()
        until, left = monotonic() + SEND_SECONDS, 10
        while not enough() and left:
            # A program that has stood still has no time left, and may have what it waits for.
            if not self._news.wait(ARRIVE_SECONDS / 10) or monotonic() > until:
                left -= 1
        self._is_awaited = False

    def end(self, number: int) -> bool:
        """End the worker that runs a batch, unless that is over; False if it is not on a leash, or has not begun."""
        is_known = self._expected[number].leash is not None
        if is_known:
            # By the thread that alone knows whether the connection is still open.
            self._ends.append(number)
            self._wake_up()
        return is_known

    def _wake_up(self) -> None:
        with suppress(OSError):
            # It may have seen by itself that the run is over.
            self._waker.send(_WORD, QUIETLY)
        self._hurried.open()

    def close(self) -> None:
        """The run is over."""
        uninterrupted(self._close)

    def _close(self) -> None:
        self._is_closed = True
        if os.getpid() != self._pid:
            # A child that was forked: what it has are copies, and the thread is its parent's.
            for key in list(self._selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
            self._selector.close()
        elif self._take_charge():
            self._let_go()
        else:
            self._wake_up()
            # A collection of garbage may end a run in the thread of a line, its own or another one's.
            if not getattr(_here, "serves", False):
                self._over.wait(None)
        self._waker.close()

    def _let_go(self) -> None:
        for key in list(self._selector.get_map().values()):
            self.drop(key.fileobj)
        self._selector.close()

    def _take_charge(self) -> bool:
        """False if somebody has done so before."""
        try:
            return self._unbegun.pop()
        except IndexError:
            return False

    def _serve(self) -> None:
        if self._take_charge():
            _here.serves = True
            try:
                self._listen()
            finally:
                _here.serves = False
                self._let_go()
                self._over.open()

    def _listen(self) -> None:
        while not self._is_closed:
            asks = self._asks
            events = self._selector.select(None if self._answers == asks else 0)
            for key, _mask in events:
                key.data(key.fileobj)
            if not events:
                self._answers = asks
            self._news.open()
            while self._is_behind() and not self._is_awaited:
                if self._hurried.wait(ROOM_SECONDS):
                    break

    def _wake(self, woken: socket.socket) -> None:
        woken.recv(CHUNK_BYTES)
        while self._ends:
            batch = self._expected.get(self._ends.popleft())
            if batch is not None and batch.leash is not None:
                with suppress(OSError):
                    batch.leash.send(_WORD, QUIETLY)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _address = listener.accept()
        except OSError as error:
            if error.errno in _SHORT:
                # Those that knock are not let in, and go another way.
                self.drop(listener)
            return
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ, _Listening(self, connection).hear)
        self._strangers[connection] = None
        if len(self._strangers) > MOST_STRANGERS:
            self.drop(next(iter(self._strangers)))

    def welcome(self, connection: socket.socket, secret: bytes, number: int, *, is_leash: bool) -> bool:
        """Whether this is a batch of this run, which is told so; its worker can be ended if this is its leash."""
        if not hmac.compare_digest(secret, self._secret):
            return False
        self._strangers.pop(connection, None)
        batch = self._expected.get(number)
        if batch is not None and is_leash:
            batch.leash = connection
        elif batch is not None:
            batch.voice = connection
        try:
            connection.send(WELCOME, QUIETLY)
        except OSError:
            return False
        return True

    def fell_silent(self, connection: socket.socket, number: int | None) -> None:
        """Nothing more comes from there."""
        batch = None if number is None else self._expected.get(number)
        if batch is not None and batch.voice is connection:
            batch.voice = None

    def take(self, number: int, place: int, message: bytes) -> None:
        """A task has said something."""
        batch = self._expected.get(number)
        if batch is not None:
            batch.hear(place, message)
            batch.heard += 1

    def drop(self, sock: Any) -> None:
        """Nothing more will come from there."""
        self._strangers.pop(sock, None)
        # It may be gone already; and it is shut down where a process that was forked meanwhile holds it as well.
        with suppress(KeyError, ValueError, OSError):
            self._selector.unregister(sock)
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()


_here: Final = threading.local()
"""``serves``: this is the thread of a line."""
_SHORT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class _Expected:
    """A batch that may speak.

    Parameters:
        hear: See ``Line.expect``.
    """

    __slots__ = ("hear", "heard", "leash", "voice")

    def __init__(self, hear: Callable[[int, bytes], object]) -> None:
        self.hear = hear
        self.heard = 0
        """How many pieces have come."""
        self.voice: socket.socket | None = None
        """Where more may come from."""
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
            self._line.fell_silent(connection, self._number)
        elif self._number is not None:
            self._take(self._number)

    def _is_welcome(self) -> bool:
        """False for a stranger, of whom nothing is read."""
        if self._number is None and len(self._received) >= HELLO.size:
            secret, number, is_leash = HELLO.unpack_from(self._received)
            del self._received[: HELLO.size]
            self._number = number
            return self._line.welcome(self._connection, secret, number, is_leash=is_leash)
        return True

    def _take(self, number: int) -> None:
        begin = 0
        while len(self._received) - begin >= HEADER.size:
            place, size = HEADER.unpack_from(self._received, begin)
            end = begin + HEADER.size + size
            if len(self._received) < end:
                break
            self._line.take(number, place, bytes(self._received[end - size : end]))
            begin = end
        del self._received[:begin]
