"""Results as bytes and back.

A result is a pickle, with large buffers apart, so that an array is mapped from its file and not copied. Its *stamp* is
a digest of key, time and bytes: what is opened has been compared with it before.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Sequence
from hashlib import blake2b, sha256
from time import time
from typing import Any, Final, NamedTuple, TypeAlias

from cotality.parallel._data.atoms import ATOMS
from cotality.parallel._data.buffers import keeping_apart
from cotality.parallel._data.sealed import Sealed
from cotality.parallel._data.task_errors import JournalError
from cotality.parallel._journal.keys import Function

PROTOCOL: Final = 5
APART_BYTES: Final = 1 << 16
"""Buffers of at least this size are kept out of the pickle."""
INLINE_BYTES: Final = 1 << 12
"""Results of at most this size stand in the index itself; larger ones are files."""
_ALIGNED: Final = 64
_FACTS: Final = struct.Struct("<16s8sdq")
_AT: Final = struct.Struct("<d")
FACTS_BYTES: Final = _FACTS.size
STAMP, CALL, AT = slice(0, 16), slice(16, 24), slice(24, 32)
"""Where these stand in the facts of an entry."""

Parts: TypeAlias = Sequence[bytes | memoryview]
Found: TypeAlias = tuple[bytes, bytes]
"""The key of a result that is there, and its facts, as the index of its keeper has them."""


class Facts(NamedTuple):
    """What the index knows of a result.

    Parameters:
        stamp: What its bytes are compared with; other tasks that take it have it in their keys.
        call: See :mod:`keys`.
        at: When it was kept, in seconds since the epoch.
        function: The number of its function.
    """

    stamp: bytes
    call: bytes
    at: float
    function: int

    @classmethod
    def of(cls, packed: bytes) -> Facts:
        """What :func:`facts_of` has packed, whatever a keeper has put behind it."""
        return cls(*_FACTS.unpack_from(packed))


def facts_of(stamp: bytes, call: bytes, at: float, function: int) -> bytes:
    """See :class:`Facts`. There may be a million, and bytes are the least they can be."""
    return _FACTS.pack(stamp, call, at, function)


def dump(value: Any) -> Parts:
    """A result as bytes: one part, or several for a file.

    Raises:
        Exception: it can not be pickled.
    """
    if type(value) in ATOMS:
        return (pickle.dumps(value, PROTOCOL),)
    buffers: list[memoryview] = []
    keep_apart = keeping_apart(buffers, APART_BYTES)
    try:
        data = pickle.dumps(value, PROTOCOL, buffer_callback=keep_apart)
    except Exception as plain:
        import cloudpickle

        buffers.clear()
        try:
            data = cloudpickle.dumps(value, PROTOCOL, buffer_callback=keep_apart)
        except Exception:
            raise plain from None
    return _laid_out(data, buffers) if buffers else (data,)


def _laid_out(data: bytes, buffers: Sequence[memoryview]) -> Parts:
    """How long each part is, and then the parts, each at an address that suits arrays."""
    lengths = [len(data), *(buffer.nbytes for buffer in buffers)]
    head = b"B" + struct.pack(f"<I{len(lengths)}Q", len(lengths), *lengths)
    parts: list[bytes | memoryview] = [head]
    at = len(head)
    given: list[bytes | memoryview] = [data, *buffers]
    for part in given:
        padding = -at % _ALIGNED
        parts += [bytes(padding), part]
        at += padding + len(part)
    return parts


def load(data: Any) -> Any:
    """A result from its bytes, which somebody has checked.

    Raises:
        BaseException: whatever its own code raises.
    """
    if data[:1] != b"B":
        # That is how no pickle begins.
        return pickle.loads(data)
    view = memoryview(data)
    (count,) = struct.unpack_from("<I", view, 1)
    lengths = struct.unpack_from(f"<{count}Q", view, 5)
    at = 5 + 8 * count
    parts = []
    for length in lengths:
        at += -at % _ALIGNED
        parts.append(view[at : at + length])
        at += length
    return pickle.loads(parts[0], buffers=parts[1:])


class Stamps:
    """Makes stamps.

    Parameters:
        secret: Only who knows it can make one; None: anybody can, and it shows damage only.
    """

    def __init__(self, secret: bytes | None) -> None:
        key = b"" if secret is None else blake2b(secret, digest_size=32).digest()
        self._blank = blake2b(digest_size=16, key=key)
        """A digest of nothing: to copy it costs a third of what it costs to make another one."""

    def of(self, key: bytes, at: float, parts: Parts) -> bytes:
        """The stamp of a result."""
        stamp = self._blank.copy()
        stamp.update(key + _AT.pack(at))
        if size_of(parts) <= INLINE_BYTES:
            stamp.update(b"".join(parts))
        else:
            # Twice as fast where there is much.
            much = sha256()
            for part in parts:
                much.update(part)
            stamp.update(much.digest())
        return stamp.digest()

    def fits(self, found: Found, data: Any) -> bool:
        """Whether these are the bytes that an entry speaks of."""
        key, facts = found
        short = data if len(data) <= INLINE_BYTES else sha256(data).digest()
        stamp = self._blank.copy()
        stamp.update(key + facts[AT] + short)
        return stamp.digest() == facts[STAMP]


def size_of(parts: Parts) -> int:
    """How many bytes these are together."""
    return len(parts[0]) if len(parts) == 1 else sum(map(len, parts))


Row: TypeAlias = tuple[bytes, bytes, int, float, int, Parts]
"""A result that is to be kept: its key and its facts; of those the number of its function and when it was made; how
large it is, and its bytes."""


class Keeper:
    """Where results are kept."""

    stamps: Stamps

    def index(self) -> dict[bytes, bytes]:
        """The facts of all results, by key. Behind them may stand where the keeper has a result."""
        raise NotImplementedError

    def functions(self) -> dict[int, Function]:
        """The functions whose results are kept, by number."""
        raise NotImplementedError

    def number_of(self, function: Function) -> int:
        """The number of a function, which gets one if it has none."""
        raise NotImplementedError

    def append(self, rows: Sequence[Row]) -> None:
        """Keep results; when this returns they are durable, and if it raises none of them is there.

        Raises:
            JournalError: they can not be written.
        """
        raise NotImplementedError

    def read_many(self, found: Sequence[Found]) -> dict[bytes, Any]:
        """The bytes of results, by key, compared with their stamps; without those that are damaged."""
        raise NotImplementedError

    def close(self) -> None:
        """Let others use it; what is kept can still be read."""
        raise NotImplementedError

    def read(self, found: Found) -> Any:
        """The bytes of a result, compared with its stamp.

        Raises:
            JournalError: they are damaged, or not there.
        """
        data = self.read_many([found]).get(found[0])
        if data is None:
            raise JournalError(
                "a result in the journal is damaged or not there any more; it was taken out: "
                "run again, and its task runs again"
            )
        return data

    def is_fresh(self, key: bytes, facts: bytes, expires: float | None) -> bool:
        """Whether a result is not too old. The time may be what is damaged: it is compared with the rest."""
        return expires is None or (0 <= time() - Facts.of(facts).at < expires and key in self.read_many([(key, facts)]))


class Stored(Sealed):
    """A result that is in a store, and is read when somebody needs it."""

    __slots__ = ("_facts", "_keeper", "_key", "_name")

    travels = False

    def __init__(self, keeper: Keeper, key: bytes, facts: bytes, name: str) -> None:
        self._keeper = keeper
        self._key = key
        self._facts = facts
        self._name = name

    def open(self) -> Any:
        data = self._keeper.read((self._key, self._facts))
        try:
            return load(data)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise JournalError(
                f"the result of {self._name} can not be opened any more: {type(error).__name__} was raised; "
                "has the code of what it gives changed? Give the task another version=, and it runs again"
            ) from error
