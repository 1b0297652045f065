"""What a caller says about the journal of a run, and about the cache of a task."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias


class JournalStore(Protocol):
    """A place that keeps pieces of bytes by their names, for a journal that is no file: ``Journal(store)``.

    Example:
        >>> from cotality.parallel import Journal
        >>> class Bucket:
        ...     def __init__(self):
        ...         self.pieces = {}
        ...     def names(self):
        ...         return list(self.pieces)
        ...     def read(self, name):
        ...         return self.pieces[name]
        ...     def write(self, name, data):
        ...         self.pieces[name] = data
        ...     def remove(self, name):
        ...         del self.pieces[name]
        >>> from cotality.core.utils.process import Task, execute_tasks_in_parallel
        >>> bucket = Bucket()
        >>> execute_tasks_in_parallel([Task(len, {}, positional=("abc",))], journal=Journal(bucket))
        [3]
        >>> len(bucket.pieces)
        1
    """

    def names(self) -> Iterable[str]:
        """The names of all pieces."""
        ...

    def read(self, name: str, /) -> bytes:
        """A piece.

        Parameters:
            name: Its name.
        """
        ...

    def write(self, name: str, data: bytes, /) -> None:
        """Keep a piece; when this returns it is durable, and if it raises it is not there.

        Parameters:
            name: Its name.
            data: What it is.
        """
        ...

    def remove(self, name: str, /) -> None:
        """Forget a piece.

        Parameters:
            name: Its name.
        """
        ...


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal with settings of its own; ``journal="run.db"`` is one with these defaults.

    Parameters:
        path: The file; others are made beside it. Or the address of a folder that fsspec knows, such as
            ``"s3://bucket/run"``, or a :class:`JournalStore`.
        durability: ``"group"`` writes what has finished at least twice a second; ``"each"`` before anybody is told of
            it, so that not even that much can be lost.
        secret: Whoever does not know it can not forge a result; None: results are checked for damage only.
        on_error: ``"raise"`` ends the run when the journal can not be opened or written, ``"go_on"`` goes on without it
            and logs that.

    Raises:
        TypeError, ValueError: a setting that can not be used.

    Example:
        >>> Journal("run.db", durability="each").path
        'run.db'
    """

    path: Any
    durability: Literal["group", "each"] = "group"
    secret: bytes | None = field(default=None, repr=False)
    on_error: Literal["raise", "go_on"] = "raise"

    def __post_init__(self) -> None:
        if not isinstance(self.path, (str, os.PathLike)) and not callable(getattr(self.path, "write", None)):
            raise TypeError(f"a journal needs a path or a JournalStore, not {type(self.path).__name__}")
        if self.durability not in ("group", "each"):
            raise ValueError("durability must be 'group' or 'each'")
        if self.on_error not in ("raise", "go_on"):
            raise ValueError("on_error must be 'raise' or 'go_on'")
        if self.secret is not None and (not isinstance(self.secret, bytes) or not self.secret):
            raise TypeError("secret must be bytes that are not empty")


JournalOption: TypeAlias = str | os.PathLike[str] | Journal


def journal_of(given: object) -> Journal | None:
    """What a caller gave as ``journal=``; None if nothing.

    Raises:
        TypeError: something that is no journal.
    """
    if given is None or isinstance(given, Journal):
        return given
    if not isinstance(given, (str, os.PathLike)):
        raise TypeError(f"journal must be a path or a Journal, not {type(given).__name__}")
    return Journal(given)


class ResultCache(Protocol):
    """What can be given as ``cache=``: a :class:`Cache`, which several workflows and runs may share."""

    by: Literal["code", "inputs"]
    """Whether another code of the function makes another task."""
    expires: float | None
    """After how many seconds a result is too old; None: never."""

    def open(self) -> Any:
        """One run's use of it."""
        ...


Journal.__module__ = JournalStore.__module__ = ResultCache.__module__ = "cotality.parallel"
