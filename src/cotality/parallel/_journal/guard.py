"""Files that nobody else may change, and that are whole or not there: what is in them is run as code."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cotality.parallel._data.task_errors import JournalError

_held: set[tuple[int, int]] = set()
"""The locks that this process has, by device and inode: the kernel does not keep it from taking one twice."""


def check_owner(path: Path) -> None:
    """Raise if anybody else owns a file or a folder, or may write it; None there is fine.

    Raises:
        JournalError: it is not ours alone.
    """
    if not hasattr(os, "geteuid"):
        raise JournalError("journals need a POSIX system such as Linux or macOS, which says whose a file is")
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise JournalError(f"{path} is neither a file nor a folder, but a link or a device: give another path")
    if found.st_uid != os.geteuid():
        raise JournalError(f"{path} belongs to another user; what is in it would be run as code, so it is refused")
    if found.st_mode & 0o022:
        raise JournalError(
            f"{path} may be written by others; what is in it would be run as code, so it is refused: "
            f"if you trust what is in it, chmod go-w {path}"
        )


def make_private(path: Path) -> None:
    """Make an empty file that nobody else may read or write, unless it is there.

    Raises:
        JournalError: it is there, and others may write it.
        OSError: it can not be made.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    check_owner(path)


def write_whole(path: Path, parts: Any) -> None:
    """Write a file that is there as a whole or not at all, also if the machine stops.

    Raises:
        OSError: it can not be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb", buffering=0) as file:
            for part in parts:
                view = memoryview(part).cast("B") if len(part) else memoryview(b"")
                while view:
                    view = view[file.write(view) or 0 :]
            os.fsync(file.fileno())
        os.rename(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Lock:
    """Says that this process writes a journal. The kernel lets go of it when the process ends, however it does.

    Parameters:
        path: A file that is made beside the journal and holds the id of the process.

    Raises:
        JournalError: another run has it; names its process.
        OSError: it can not be made.
    """

    def __init__(self, path: Path) -> None:
        import fcntl

        make_private(path)
        found = os.stat(path)
        self._identity = (found.st_dev, found.st_ino)
        if self._identity in _held:
            # To open it and close it again would let go of the lock that the other run has.
            raise JournalError(_refusal(path, os.getpid()))
        self._file = open(path, "r+b", buffering=0)  # noqa: SIM115
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = self._file.read(32).decode(errors="replace").strip()
            self._file.close()
            if not isinstance(error, (BlockingIOError, PermissionError)):
                raise
            raise JournalError(_refusal(path, owner)) from None
        _held.add(self._identity)
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let go of it."""
        _held.discard(self._identity)
        self._file.close()


def _refusal(path: Path, owner: object) -> str:
    journal = path.name.removesuffix("-lock")
    return f"the journal {journal} is in use: the process {owner} runs with it; wait for that, or give another path"


@contextlib.contextmanager
def told_of(path: Path) -> Iterator[None]:
    """What the system says of a journal's files, as an error that says what to do."""
    try:
        yield
    except OSError as error:
        what = error.strerror or type(error).__name__
        raise JournalError(
            f"the journal {path} can not be used: {what}; is there room, and may it be written?"
        ) from error
