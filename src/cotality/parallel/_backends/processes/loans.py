"""Arguments that are large: written to memory once, mapped by each worker that needs them.

A *loan* is such a parcel. An object that several tasks hold is lent once, as long as one of them is under way;
``share`` lends for as long as the object lives.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from io import FileIO
from itertools import count
from typing import Any, TypeVar

from cotality.parallel._backends.processes import memory
from cotality.parallel._backends.processes.codec import Encoded, dump
from cotality.parallel._backends.processes.sealed import SealedResult

T = TypeVar("T")

LEND_BYTES = 64 * 1024
"""What is larger is lent; what is smaller goes along with its task."""
DECODE_ONCE_BYTES = 1024 * 1024
"""What is at least this large is also built only once in a worker, and seen by all its tasks there."""

_numbers = count(1)


class Loan:
    """One value that is put down once for several tasks."""

    __slots__ = ("borrowers", "number", "shared", "value")

    def __init__(self, value: object) -> None:
        self.number = next(_numbers)
        self.value = value
        """Kept, so that nobody else gets its id; None when the object is shared and kept by its owner."""
        self.borrowers = 0
        self.shared = False


class MemoryLoan(Loan):
    """One value in shared memory."""

    __slots__ = ("file", "lengths")

    def __init__(self, value: object, file: FileIO, lengths: Sequence[int]) -> None:
        super().__init__(value)
        self.file = file
        self.lengths = lengths

    def __del__(self) -> None:
        # The file of a result is the result's.
        if not isinstance(self.value, SealedResult):
            self.file.close()

    @property
    def once(self) -> bool:
        return sum(self.lengths) >= DECODE_ONCE_BYTES


class Loans:
    """The loans of one run."""

    def __init__(self) -> None:
        self._by_id: dict[int, Loan] = {}
        self._latest: Loan | None = None

    def find(self, value: object) -> Loan | None:
        """The loan of this very object, if it has one."""
        return _shared.get(id(value)) or self._by_id.get(id(value))

    def lend(self, value: object, encoded: Encoded) -> Loan:
        """Put a value that is not lent yet into shared memory."""
        loan = self._by_id[id(value)] = _written(value, encoded)
        return loan

    def pass_on(self, sealed: SealedResult) -> Loan:
        """What a worker has put into shared memory, for other workers."""
        assert sealed.file is not None
        loan = self._by_id[id(sealed)] = MemoryLoan(sealed, sealed.file, sealed.lengths)
        return loan

    def clear(self) -> None:
        """The run is over: nothing is lent any more."""
        self._by_id.clear()
        self._latest = None

    def ended(self, loan: Loan) -> Loan | None:
        """A task that held this has ended; gives the loan that is over by that, which workers may forget."""
        loan.borrowers -= 1
        if loan.borrowers or loan.shared:
            return None
        # The next task may well hold the same object: the last loan lives until another one has ended.
        over, self._latest = self._latest, loan
        if over is None or over is loan or over.borrowers:
            return None
        self._by_id.pop(id(over.value), None)
        return over


def _written(value: object, encoded: Encoded) -> MemoryLoan:
    """A loan of a value that is put into shared memory now."""
    data, buffers = encoded
    return MemoryLoan(value, *memory.write_parcel([memoryview(data), *buffers]))


_shared: dict[int, Loan] = {}


def share(value: T) -> T:
    """Put an object into shared memory once, for any number of calls; gives the object itself back.

    Wherever the object is then given as an argument to tasks that run in processes, each worker maps the one copy
    instead of receiving its own. Buffers in it (NumPy, pandas, Arrow) are read-only there. Do not change the object
    afterwards: workers see it as it was. The memory is released with the object; a list, dict, tuple, set, string or
    bytes can not tell when it is gone, and stays until :func:`unshare` or the end of the program.

    Parameters:
        value: What to share. An object of less than 64 KiB gains nothing and is left as it is.

    Returns:
        ``value`` itself.

    Raises:
        Exception: as pickling it raises.

    Example:
        >>> words = share([f"word {n}" for n in range(100_000)])
        >>> unshare(words)
    """
    key = id(value)
    if key in _shared:
        return value
    encoded = dump(value)
    if len(encoded[0]) + sum(buffer.nbytes for buffer in encoded[1]) < LEND_BYTES:
        return value
    loan = _written(value, encoded)
    loan.shared = True
    try:
        weakref.finalize(value, _shared.pop, key, None).atexit = False
    except TypeError:
        pass
    else:
        loan.value = None
    _shared[key] = loan
    return value


def shared_numbers() -> set[int]:
    """The loans that outlive a run."""
    return {loan.number for loan in _shared.values()}


def unshare(value: Any) -> None:
    """Release what :func:`share` put into shared memory; does nothing for what is not shared.

    Parameters:
        value: The object that was shared.

    Example:
        >>> unshare(share(list(range(100_000))))
    """
    _shared.pop(id(value), None)


share.__module__ = unshare.__module__ = "cotality.parallel"
