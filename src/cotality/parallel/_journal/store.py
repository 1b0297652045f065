"""Where results are kept: one SQLite file as index and for small results, and a folder of files for large ones.

Any prefix of what was written is a valid store. A row names a large result only after its file is whole on the disk,
and rows become visible together when they are committed.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from mmap import mmap
from pathlib import Path
from threading import RLock
from time import time
from typing import Any, Final

from cotality.parallel._data.task_errors import JournalError
from cotality.parallel._journal.guard import Lock, check_owner, make_private, told_of, write_whole
from cotality.parallel._journal.keys import Function
from cotality.parallel._journal.mapping import contents_of
from cotality.parallel._journal.values import FACTS_BYTES, INLINE_BYTES, Found, Keeper, Parts, Row, Stamps

APPLICATION: Final = 0x636F_7461
VERSION: Final = 1
_ROWS: Final = 100
"""How many rows one statement writes: each statement lets other threads go first, which may take a while."""
_ASKED: Final = 500
_PAGES: Final = 4000
"""After so many pages what was written is moved from the log into the file."""
_COLUMNS: Final = "key, facts, function, used, size, file, data"
_KNOWN: Final = f"facts, rowid FROM results WHERE typeof(facts) = 'blob' AND length(facts) = {FACTS_BYTES}"
_DATA: Final = "data, file FROM results WHERE"
_ROW: Final = struct.Struct(f"{FACTS_BYTES}xq")
"""Behind the facts in an index: the row they are in. To read by that costs a fifth of what it costs by key."""
_SCHEMA: Final = f"""
BEGIN;
CREATE TABLE functions (id INTEGER PRIMARY KEY, name TEXT NOT NULL, digest BLOB NOT NULL, UNIQUE (name, digest));
CREATE TABLE results (
    key BLOB NOT NULL UNIQUE, facts BLOB NOT NULL, function INTEGER NOT NULL, used REAL NOT NULL, size INTEGER NOT NULL,
    file TEXT, data BLOB);
CREATE TABLE claims (key BLOB PRIMARY KEY, owner TEXT NOT NULL);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
COMMIT;
"""


class Store(Keeper):
    """The files of one journal or cache.

    Parameters:
        path: The SQLite file; others are made beside it.
        secret: See :class:`Stamps`.
        alone: Whether nobody else may write it as long as this is open.
        make: Whether it is made where there is none.
        writes: Whether anything may be written; if not it is only looked at, also while somebody else has it for
            himself, and one that is not there holds nothing.

    Raises:
        JournalError: it can not be used; says why.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        secret: bytes | None = None,
        *,
        alone: bool = True,
        make: bool = True,
        writes: bool = True,
    ) -> None:
        self.path: Path = Path(os.path.abspath(path))
        self.folder: Path = self.path.with_name(self.path.name + "-results")
        self.stamps: Stamps = Stamps(secret)
        self._alone = alone
        self._writes = writes
        self._guard = RLock()
        self._lock: Lock | None = None
        self._connection: sqlite3.Connection | None = None
        self._functions: dict[Function, int] = {}
        if not make and not self.path.exists():
            raise JournalError(f"there is no journal {self.path}")
        with told_of(self.path):
            for other in (self.path, self.folder, *(self._beside(end) for end in ("-wal", "-shm", "-lock"))):
                check_owner(other)
            if writes:
                make_private(self.path)
            if writes and alone:
                self._lock = Lock(self._beside("-lock"))
        try:
            self._connect()
            if writes and alone:
                self.tidy()
        except BaseException:
            self.close()
            raise

    def _beside(self, end: str) -> Path:
        return self.path.with_name(self.path.name + end)

    @property
    def is_journal(self) -> bool:
        """Whether a run has had it for itself, which no cache does."""
        return self._beside("-lock").exists()

    # The SQLite file -------------------------------------------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        with self._told():
            where, is_address = (self.path, False) if self._writes else (self._address_to_read(), True)
            connection = sqlite3.connect(
                where, isolation_level=None, check_same_thread=False, timeout=10, uri=is_address
            )
            self._connection = connection
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if empty and not application and not version:
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
                self._make_schema(connection)
            elif application != APPLICATION:
                raise JournalError(f"{self.path} is not a journal but something else: give another path")
            elif version != VERSION:
                raise JournalError(
                    f"{self.path} was written in version {version} of the format, and this is version {VERSION}: "
                    "give another path, or use the version of the library that has written it"
                )
            # In a journal a commit is on the disk when it returns; what a cache loses can be made again.
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._alone else 'NORMAL'}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_PAGES}").fetchone()
        return connection

    def _address_to_read(self) -> str:
        """Where SQLite reads it without leaving a trace.

        To see what somebody writes just now it needs the log beside the file, and makes it where there is none.
        """
        with told_of(self.path):
            if not self.path.exists() or not self.path.stat().st_size:
                return ":memory:"
            log = self._beside("-wal")
            is_written = log.exists() and log.stat().st_size
        return f"{self.path.as_uri()}?{'mode=ro' if is_written else 'immutable=1'}"

    def _make_schema(self, connection: sqlite3.Connection) -> None:
        try:
            connection.executescript(_SCHEMA)
        except sqlite3.OperationalError:
            # Somebody else has just made it, or it can not be made: then it is missed at the next step.
            if connection.in_transaction:
                connection.rollback()
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What SQLite says, as an error that says what to do. One at a time: a result may be read from any thread."""
        try:
            with self._guard, told_of(self.path):
                yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB":
                raise JournalError(
                    f"{self.path} is not a journal but something else, or damaged at its beginning: give another path, "
                    "or move it away"
                ) from error
            damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
            cure = (
                "it is damaged: move it away, and everything runs again"
                if damaged or "malformed" in str(error)
                else "is there room, and may it be written?"
            )
            raise JournalError(f"the journal {self.path} can not be used: {error}; {cure}") from error

    def query(self, statement: str, *values: Any) -> list[Any]:
        """What a statement gives. After ``close`` the file is opened again."""
        with self._told():
            connection = self._connection or self._connect()
            return connection.execute(statement, values).fetchall()

    # Reading ---------------------------------------------------------------------------------------------------------

    def index(self) -> dict[bytes, bytes]:
        """The facts of all entries by key: read at once, for to ask for each costs more than all else."""
        with self._told():
            connection = self._connection or self._connect()
            rows = connection.execute(f"SELECT key, {_KNOWN}")
            return {key: facts + row.to_bytes(8, sys.byteorder, signed=True) for key, facts, row in rows}

    def find(self, key: bytes) -> bytes | None:
        """What the index has of one key."""
        rows = self.query(f"SELECT {_KNOWN} AND key = ?", key)
        return rows[0][0] + rows[0][1].to_bytes(8, sys.byteorder, signed=True) if rows else None

    def functions(self) -> dict[int, Function]:
        """The functions whose results are kept, by number."""
        return {
            number: Function(name, found)
            for number, name, found in self.query("SELECT id, name, digest FROM functions")
        }

    def read_many(self, found: Sequence[Found]) -> dict[bytes, Any]:
        read: dict[bytes, Any] = {}
        for start in range(0, len(found), _ASKED):
            by_row = {_ROW.unpack_from(each[1])[0]: each for each in found[start : start + _ASKED]}
            places = ", ".join("?" * len(by_row))
            for row, data, file in self.query(f"SELECT rowid, {_DATA} rowid IN ({places})", *by_row):
                self._take(by_row[row], data, file, read)
        if len(read) < len(found):
            self._read_moved([each for each in found if each[0] not in read], read)
        return read

    def _read_moved(self, found: Sequence[Found], read: dict[bytes, Any]) -> None:
        """Read what is in another row by now; what is not is damaged."""
        for each in found:
            for data, file in self.query(f"SELECT {_DATA} key = ?", each[0]):
                self._take(each, data, file, read)
            if each[0] not in read:
                self._forget_damaged(each[0])

    def _take(self, found: Found, data: Any, file: str | None, read: dict[bytes, Any]) -> None:
        if file is not None:
            data = self._read_file(str(file))
        if isinstance(data, (bytes, bytearray, mmap)) and self.stamps.fits(found, data):
            read[found[0]] = data

    def _read_file(self, name: str) -> Any:
        path = self.folder / Path(name).name
        # No descriptor being left, say, is no damage.
        with told_of(self.path), suppress(FileNotFoundError, IsADirectoryError, ValueError):
            check_owner(path)
            return contents_of(path)
        return None

    def _forget_damaged(self, key: bytes) -> None:
        with suppress(JournalError):
            self.query("DELETE FROM results WHERE key = ?", key)

    # Writing ---------------------------------------------------------------------------------------------------------

    def number_of(self, function: Function) -> int:
        """The number of a function, which gets one if it has none."""
        number = self._functions.get(function)
        if number is None:
            self.query("INSERT OR IGNORE INTO functions (name, digest) VALUES (?, ?)", *function)
            rows = self.query("SELECT id FROM functions WHERE name = ? AND digest = ?", *function)
            number = self._functions[function] = rows[0][0]
        return number

    def append(self, rows: Sequence[Row]) -> None:
        """Keep results; when this returns they are on the disk, and if it raises none of them is there.

        Raises:
            JournalError: they can not be written.
        """
        values = [self._put_down(*row) for row in rows]
        with self._told():
            connection = self._connection or self._connect()
            connection.execute("BEGIN IMMEDIATE")
            try:
                for start in range(0, len(values), _ROWS):
                    some = values[start : start + _ROWS]
                    places = ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * len(some))
                    flat = [value for row in some for value in row]
                    connection.execute(f"INSERT OR REPLACE INTO results ({_COLUMNS}) VALUES {places}", flat)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                raise

    def _put_down(self, key: bytes, facts: bytes, function: int, at: float, size: int, parts: Parts) -> tuple[Any, ...]:
        if size <= INLINE_BYTES:
            return (key, facts, function, at, size, None, b"".join(parts))
        name = f"{key.hex()}-{os.urandom(4).hex()}"
        with told_of(self.path):
            self.folder.mkdir(mode=0o700, exist_ok=True)
            check_owner(self.folder)
            write_whole(self.folder / name, parts)
        return (key, facts, function, at, size, name, None)

    def remove(self, keys: Iterable[bytes]) -> None:
        """Forget results."""
        for key in keys:
            files = self.query("SELECT file FROM results WHERE key = ? AND file IS NOT NULL", key)
            self.query("DELETE FROM results WHERE key = ?", key)
            for (file,) in files:
                with suppress(OSError):
                    os.unlink(self.folder / Path(file).name)

    def tidy(self, age: float = 0.0) -> None:
        """Remove the files that no row names: their run was killed before it could, or has made another result since.

        Parameters:
            age: How many seconds ago they were last written at least; somebody else may be about to name a younger one.
        """
        with suppress(FileNotFoundError):
            # In this order: what is named later is not among those found.
            found = {entry.name: entry.stat().st_mtime for entry in os.scandir(self.folder)}
            named = {file for (file,) in self.query("SELECT file FROM results WHERE file IS NOT NULL")}
            for name, written in found.items():
                if name not in named and time() - written >= age:
                    with suppress(OSError):
                        os.unlink(self.folder / name)

    def __del__(self) -> None:
        # Something may have been read after it was closed.
        if getattr(self, "_connection", None) is not None:
            self.close()

    def close(self) -> None:
        """Let go of the files; what is kept can still be read."""
        with self._guard:
            try:
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
            finally:
                if self._lock is not None:
                    self._lock.release()
                    self._lock = None
