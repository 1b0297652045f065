"""A journal in a place that keeps named pieces of bytes: a bucket, a share, anything behind four methods.

What is written together is one piece, a *segment*: its results one behind the other, and what the index has to know of
them. A large result is a piece of its own, written before the segment that names it. Nothing is ever changed.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import socket
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from cotality.parallel._data.journal import JournalStore
from cotality.parallel._data.task_errors import JournalError
from cotality.parallel._journal.keys import Function
from cotality.parallel._journal.owners import lives, mark_of
from cotality.parallel._journal.values import INLINE_BYTES, Facts, Found, Keeper, Row, Stamps, facts_of

_LOCK: Final = "lock"
_SEGMENT: Final = "segment-"
_HEAD: Final = b"cotality journal"
"""As long as a key, for a segment is stamped like a result."""


class _Place(NamedTuple):
    """Where a result is: from a byte of a piece on, so many."""

    piece: str
    start: int
    size: int


class PieceStore(Keeper):
    """A journal in such a place. One run at a time writes it.

    Parameters:
        place: The place.
        secret: See :class:`Stamps`.
        writes: Whether anything may be written; if not it is only looked at, also while somebody else has it.

    Raises:
        JournalError: it can not be used; says why.
    """

    def __init__(self, place: JournalStore, secret: bytes | None, *, writes: bool = True) -> None:
        self.stamps = Stamps(secret)
        self._place = place
        self._index: dict[bytes, bytes] = {}
        self._where: dict[bytes, _Place] = {}
        self._functions: dict[Function, int] = {}
        self._segments = 0
        self._last = ("", b"")
        """The segment that was read last, and its results: what follows is mostly from there as well."""
        self._locked = False
        with self._told():
            names = sorted(place.names())
            if writes:
                if _LOCK in names:
                    _check_lock(place.read(_LOCK), self._name, _where(place))
                place.write(_LOCK, _owner())
                self._locked = True
        try:
            for name in names:
                number = name.removeprefix(_SEGMENT).partition("-")[0]
                if name.startswith(_SEGMENT) and number.isdecimal():
                    self._segments = max(self._segments, int(number))
                    self._learn(name)
        except BaseException:
            with contextlib.suppress(JournalError):
                self.close()
            raise

    @property
    def _name(self) -> str:
        return str(getattr(self._place, "name", type(self._place).__name__))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What the place raises, as an error that says what to do."""
        try:
            yield
        except JournalError:
            raise
        except Exception as error:
            raise JournalError(
                f"the journal in {self._name} can not be used: {type(error).__name__} was raised; "
                "is it there, and may it be written?"
            ) from error

    def _learn(self, name: str) -> None:
        with self._told():
            data = self._place.read(name)
        stamp, body = data[16:32], data[32:]
        if data[:16] != _HEAD or self.stamps.of(_HEAD, 0.0, (body,)) != stamp:
            # A valid part of a journal is used.
            return
        rows, functions, data = marshal.loads(body)
        numbers = [self.number_of(Function(*function)) for function in functions]
        for key, facts, function, piece, start, size in rows:
            self._index[key] = facts_of(*Facts.of(facts)._replace(function=numbers[function]))
            self._where[key] = _Place(piece or name, start, size)

    # What a run asks -------------------------------------------------------------------------------------------------

    def index(self) -> dict[bytes, bytes]:
        return dict(self._index)

    def functions(self) -> dict[int, Function]:
        return {number: function for function, number in self._functions.items()}

    def number_of(self, function: Function) -> int:
        return self._functions.setdefault(function, len(self._functions))

    def read_many(self, found: Sequence[Found]) -> dict[bytes, Any]:
        read: dict[bytes, Any] = {}
        pieces: dict[str, bytes] = {}
        for each in found:
            place = self._where.get(each[0])
            if place is None:
                continue
            if place.piece not in pieces:
                pieces[place.piece] = self._bytes_of(place.piece)
            data = pieces[place.piece][place.start : place.start + place.size]
            if self.stamps.fits(each, data):
                read[each[0]] = data
            else:
                del self._where[each[0]]
        return read

    def _bytes_of(self, piece: str) -> bytes:
        """What is in a piece; nothing if it is not there any more."""
        last, data = self._last
        if piece == last:
            return data
        with self._told():
            try:
                data = self._place.read(piece)
            except Exception:
                # That it can not be read just now is no damage.
                if piece in self._place.names():
                    raise
                return b""
        if piece.startswith(_SEGMENT):
            data = marshal.loads(data[32:])[2] if self.stamps.of(_HEAD, 0.0, (data[32:],)) == data[16:32] else b""
            self._last = piece, data
        return data

    def append(self, rows: Sequence[Row]) -> None:
        self._segments += 1
        name = f"{_SEGMENT}{self._segments:012}-{os.urandom(4).hex()}"
        known: list[tuple[bytes, bytes, int, str, int, int]] = []
        inline = bytearray()
        with self._told():
            for key, facts, function, _at, size, parts in rows:
                data = b"".join(parts)
                piece, start = "", len(inline)
                if size > INLINE_BYTES:
                    piece, start = f"result-{key.hex()}-{os.urandom(4).hex()}", 0
                    self._place.write(piece, data)
                else:
                    inline += data
                known.append((key, facts, function, piece, start, size))
            functions = [tuple(function) for function in self._functions]
            body = marshal.dumps((known, functions, bytes(inline)), 0)
            self._place.write(name, _HEAD + self.stamps.of(_HEAD, 0.0, (body,)) + body)
        for key, facts, _function, piece, start, size in known:
            self._index[key] = facts
            self._where[key] = _Place(piece or name, start, size)

    def close(self) -> None:
        if self._locked:
            self._locked = False
            with self._told():
                self._place.remove(_LOCK)


class FsspecPlace:
    """A folder that fsspec knows, by its address.

    Parameters:
        url: Such as ``"s3://bucket/run"``.
        make: Whether it is made where there is none.

    Raises:
        JournalError: fsspec is not installed, or does not know it.
    """

    def __init__(self, url: str, *, make: bool = True) -> None:
        try:
            import fsspec
        except ImportError:
            raise JournalError(f"{url} needs fsspec: pip install 'cotality-workflow[remote]'") from None
        self.name = url
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
            if make:
                self._files.makedirs(self._root, exist_ok=True)
        except Exception as error:
            raise JournalError(f"{url} can not be opened: {type(error).__name__} was raised") from error

    def names(self) -> list[str]:
        self._files.invalidate_cache()
        if not self._files.exists(self._root):
            return []
        return [str(path).rpartition("/")[2] for path in self._files.ls(self._root, detail=False)]

    def read(self, name: str) -> bytes:
        data: bytes = self._files.cat_file(f"{self._root}/{name}")
        return data

    def write(self, name: str, data: bytes) -> None:
        self._files.pipe_file(f"{self._root}/{name}", data)

    def remove(self, name: str) -> None:
        self._files.rm_file(f"{self._root}/{name}")


def _owner() -> bytes:
    return f"{socket.gethostname()} {mark_of(os.getpid())}".encode()


def _where(place: JournalStore) -> str:
    """The lock, in words that say where it is."""
    name = getattr(place, "name", None)
    return f"the piece {_LOCK!r} of it" if name is None else f"{str(name).rstrip('/')}/{_LOCK}"


def _check_lock(found: bytes, journal: str, lock: str) -> None:
    """Raise unless the run that has locked a journal is known to be gone: its process was one of this machine.

    Of another machine nothing is known, and to guess by time would let two runs write.
    """
    host, _, mark = found.decode(errors="replace").partition(" ")
    pid = mark.partition(" ")[0]
    gone = host == socket.gethostname() and pid.isdecimal() and not lives(mark)
    if not gone:
        who = f"the process {pid} on {host}" if pid else "a process that its lock does not name"
        raise JournalError(
            f"the journal in {journal} is in use: {who} runs with it; wait for that, "
            f"or if it is gone remove {lock}, and run again: what it had finished is kept"
        )
