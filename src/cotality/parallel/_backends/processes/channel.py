"""Frames over a Unix socket: a length, a kind, a payload, and a descriptor where one goes along.

A payload that is too large for the socket's buffer travels as a memory file, so that no frame ever waits for its
reader in the middle.
"""

from __future__ import annotations

import array
import errno
import os
import socket
from collections import deque
from io import FileIO
from struct import Struct
from time import sleep
from typing import Any, NamedTuple

from cotality.parallel._backends.processes import memory
from cotality.parallel._backends.processes.descriptors import become, own, own_sent

LARGEST_PAYLOAD = 64 * 1024
CROWDED_SECONDS = 0.005
"""How long to wait until a descriptor is tried again that could not be sent for others on their way."""
_HEADER = Struct("=IBB")
_IN_FILE = 1
_WITH_FD = 2
_MOST_FDS = 32
_MOST_BYTES = (1 << 17,)
_MOST_ANCILLARY = (socket.CMSG_SPACE(_MOST_FDS * array.array("i").itemsize),)


class Frame(NamedTuple):
    """One message, and the descriptor that came along."""

    kind: int
    payload: bytes
    file: FileIO | None = None

    @property
    def fd(self) -> int:
        """The descriptor; stays the frame's."""
        return -1 if self.file is None else self.file.fileno()

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


class ChannelClosed(Exception):
    """The other end is gone."""


class Channel:
    """One end of a connection between a process and its worker.

    Parameters:
        sock: A connected Unix stream socket; the channel owns it. Blocking or not, as its owner wants to wait:
            what a non-blocking one can not take at once is kept and sent by ``flush``.
    """

    def __init__(self, sock: socket.SocketType) -> None:
        self._sock = sock
        self._received = bytearray()
        self._messages: list[tuple[bytes, list[Any], int, Any]] = []
        """What ``recvmsg`` has given and whose descriptors have no owner yet."""
        self._files: deque[FileIO] = deque()
        self._unsent: deque[tuple[memoryview, FileIO | None]] = deque()
        self.more = False
        """Whether the last ``receive`` has stopped early, to let descriptors be used up before others come."""
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, 1 << 20)
        become(self, _OpenChannel)

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def congested(self) -> bool:
        """Whether something waits for ``flush``."""
        return bool(self._unsent)

    def send(self, kind: int, payload: bytes = b"", fd: int = -1) -> None:
        """Send a frame; the descriptor stays the caller's.

        Raises:
            ChannelClosed: the other end is gone.
        """
        flags = _WITH_FD if fd >= 0 else 0
        if len(payload) > LARGEST_PAYLOAD and fd < 0:
            file, _lengths = memory.write_parcel([memoryview(payload)])
            with file:
                self._put(_HEADER.pack(0, kind, _IN_FILE), file.fileno())
        else:
            self._put(_HEADER.pack(len(payload), kind, flags) + payload, fd)

    def _put(self, data: bytes, fd: int) -> None:
        view = memoryview(data)
        if not self._unsent:
            sent = self._transmit(view, fd)
            if sent == len(view):
                return
            view = view[sent:]
            if sent:
                fd = -1
        self._unsent.append((view, own(os.dup, fd) if fd >= 0 else None))
        while self._unsent and self._sock.gettimeout() is None:
            # A blocking socket waits by itself, except when too many descriptors are on their way.
            sleep(CROWDED_SECONDS)
            self.flush()

    def flush(self) -> None:
        """Send what could not be sent before, as far as the socket takes it."""
        while self._unsent:
            view, file = self._unsent[0]
            sent = self._transmit(view, -1 if file is None else file.fileno())
            if not sent:
                return
            if file is not None:
                file.close()
            if sent < len(view):
                self._unsent[0] = view[sent:], None
                return
            self._unsent.popleft()

    def _transmit(self, view: memoryview, fd: int) -> int:
        sent = 0
        try:
            if fd >= 0:
                sent = self._sock.sendmsg([view], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
            while sent < len(view):
                sent += self._sock.send(view[sent:])
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno == errno.ETOOMANYREFS:
                # As many descriptors are on their way as this user may have open: later.
                return sent
            if isinstance(error, (BrokenPipeError, ConnectionError)):
                raise ChannelClosed from error
            raise
        return sent

    def receive(self) -> list[Frame]:
        """The frames that have come; a blocking socket waits for the first bytes, not for a whole frame.

        Raises:
            ChannelClosed: the other end is gone and everything it sent has been given out.
        """
        while True:
            try:
                self._messages.extend(map(self._sock.recvmsg, _MOST_BYTES, _MOST_ANCILLARY))
            except BlockingIOError:
                break
            except ConnectionError:
                data, adopted = b"", False
            else:
                data = self._messages[-1][0]
                adopted = self._adopt()
            if not data:
                frames = self._complete()
                if not frames:
                    raise ChannelClosed
                return frames
            self._received += data
            self.more = len(self._files) >= _MOST_FDS
            if self.more or self._sock.gettimeout() != 0.0:
                break
            if len(data) < _MOST_BYTES[0] and not adopted:
                # All that there was: only a message with descriptors ends before that. To ask again would tell the
                # same, at the price of an exception.
                break
        return self._complete()

    def _adopt(self) -> bool:
        """Give the descriptors that have come an owner; tells whether there were any."""
        if self._messages[-1][1]:
            self._files.extend(own_sent(map(self._messages.pop, (-1,))))
            return True
        self._messages.clear()
        return False

    def receive_one(self) -> Frame:
        """The one frame that answers a question."""
        while not (frames := self.receive()):
            pass
        return frames[0]

    def _complete(self) -> list[Frame]:
        frames: list[Frame] = []
        received = self._received
        position = 0
        while len(received) - position >= _HEADER.size:
            length, kind, flags = _HEADER.unpack_from(received, position)
            start = position + _HEADER.size
            if len(received) < start + length:
                break
            payload = bytes(received[start : start + length])
            position = start + length
            if flags and not self._files:
                # The kernel delivers a message without its descriptor when the process can have no more of them.
                del received[:position]
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            file = self._files.popleft() if flags else None
            if file is not None and flags == _IN_FILE:
                with file:
                    file.seek(0)
                    payload = file.readall()
                file = None
            frames.append(Frame(kind, payload, file))
        del received[:position]
        return frames

    def finish(self) -> None:
        """Let the other end know that nothing more will come; what it still sends can be read."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            # The other end is gone already.
            pass

    def close(self) -> None:
        if self._messages:
            self._adopt()
        for _view, file in self._unsent:
            if file is not None:
                file.close()
        self._unsent.clear()
        while self._files:
            self._files.popleft().close()
        self._sock.close()
        become(self, Channel)


class _OpenChannel(Channel):
    """A channel until it is closed; see ``become``."""

    def __del__(self) -> None:
        if self._messages:
            self._adopt()
