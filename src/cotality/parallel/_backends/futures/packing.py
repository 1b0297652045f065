"""A batch as it travels to the other end of a future, and how it comes back."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cotality.parallel._backends.capture.listening import listening
from cotality.parallel._backends.futures.home import home
from cotality.parallel._backends.futures.remote import CURE, Lent, Report
from cotality.parallel._backends.futures.way import Way
from cotality.parallel._backends.processes import board as layout
from cotality.parallel._backends.processes.codec import Encoded, load, load_failure
from cotality.parallel._backends.processes.loans import LEND_BYTES, Loan, Loans
from cotality.parallel._backends.processes.opener import loaded
from cotality.parallel._backends.processes.outbound import Outbound, Packed
from cotality.parallel._backends.processes.sealed import SealedResult
from cotality.parallel._data.messages import NOT_STARTED, AnyCall, Planned
from cotality.parallel._data.sealed import Sealed
from cotality.parallel._data.task_errors import TransferError


class Parcel(Loan):
    """A large argument, put where the other end finds it.

    Parameters:
        value: What it is.
        content: What stands for it there: itself, or a reference to it.
        index: Which of the results of a report it is; None: it is no report.
    """

    __slots__ = ("content", "index")

    def __init__(self, value: object, content: Any, index: int | None = None) -> None:
        super().__init__(value)
        self.content = content
        self.index = index


class Stored(Sealed):
    """A result that is still where it was made.

    Parameters:
        report: What stands for the report that it is in.
        index: Which one in there.
        fetch: Gets it.
    """

    __slots__ = ("__weakref__", "_fetch", "index", "report")

    def __init__(self, report: Any, index: int, fetch: Callable[[Any, int], Lent]) -> None:
        self.report = report
        self.index = index
        self._fetch = fetch

    def open(self) -> Any:
        return self._fetch(self.report, self.index).own()

    def __reduce__(self) -> Any:
        # Inside of another value it travels as what it stands for.
        lent = self._fetch(self.report, self.index)
        return Lent.own, (lent,)


class Parcels(Loans):
    """The large arguments of a run, each put down once as long as tasks under way need it.

    Parameters:
        put: Puts one where the other end finds it.
    """

    def __init__(self, put: Callable[[Lent], Any]) -> None:
        super().__init__()
        self._put = put

    def find(self, value: object) -> Loan | None:
        loan = self._by_id.get(id(value))
        if loan is None and type(value) is Stored:
            loan = self._by_id[id(value)] = Parcel(value, value.report, value.index)
        return loan

    def lend(self, value: object, encoded: Encoded) -> Loan:
        data, buffers = encoded
        lent = Lent(data, [buffer.toreadonly() for buffer in buffers])
        loan = self._by_id[id(value)] = Parcel(value, self._put(lent))
        return loan


class Arrived(NamedTuple):
    """A batch that has come back.

    Parameters:
        worker: Where it ran.
        results: Failure and value of each task that ran; those behind them did not start.
        machine: Which machine's clock the times are of.
        times: When the first one began and each of them ended.
        told: How many pieces of what tasks have said were told at once.
        said: The rest, by their places.
    """

    worker: str
    results: list[tuple[BaseException | None, Any]]
    machine: str
    times: list[float]
    told: int
    said: list[tuple[int, bytes]]


class Packing:
    """Packs and unpacks the batches of one run.

    Parameters:
        put: See ``Parcels``.
        width: Among how many workers a machine is divided there.
        prints: Whether what is printed there is to be told, if it does not come out where the caller prints.
    """

    def __init__(self, put: Callable[[Lent], Any], width: int, *, prints: bool = True) -> None:
        self._outbound = Outbound(Parcels(put))
        self._put = put
        self._functions: dict[int, Any] = {}
        """Where those are that are large."""
        self._width = width
        self._prints = prints
        self._listening = b""
        """What the caller wants to hear, as it is when the first batch is packed."""

    def pack(self, batch: Sequence[Planned]) -> Packed:
        """What of a batch can travel, and what can not."""
        return self._outbound.pack_alike(batch) or self._outbound.pack_batch(batch)

    def write(self, packed: Packed, way: Way | None) -> tuple[bytes, list[Any]]:
        """The message for ``run_batch``, and its inputs.

        Parameters:
            packed: The batch.
            way: How it tells at once what its tasks say; None: it can not.
        """
        self._listening = self._listening or listening(prints=self._prints)
        here = home() if self._prints else home()._replace(stdout=None, stderr=None)
        inputs: list[Any] = []
        known: dict[int, int] = {}
        places: dict[int, tuple[int, int | None]] = {}
        for _place, needed in packed.loans:
            for loan in needed:
                assert isinstance(loan, Parcel)
                place = known.setdefault(id(loan.content), len(inputs))
                if place == len(inputs):
                    inputs.append(loan.content)
                places[loan.number] = place, loan.index
        functions: dict[int, bytes | int] = {}
        for number, function in packed.functions.items():
            functions[number] = function.message
            if len(function.message) > LEND_BYTES:
                # It has closed over something large.
                functions[number] = len(inputs)
                inputs.append(self._put_function(number, function.message))
        content: tuple[Any, ...] = (
            tuple(here),
            self._listening,
            None if way is None else tuple(way),
            self._width,
            functions,
            next(iter(functions)),
            tuple(packed.columns),
            places,
        )
        return marshal.dumps(content), inputs

    def _put_function(self, number: int, message: bytes) -> Any:
        if number not in self._functions:
            self._functions[number] = self._put(Lent(message, []))
        return self._functions[number]

    def ended(self, packed: Packed) -> None:
        """A batch is not under way any more."""
        for _place, needed in packed.loans:
            for loan in needed:
                self._outbound.loans.ended(loan)

    def clear(self) -> None:
        """The run is over: what was put down is released."""
        self._outbound.loans.clear()
        self._functions.clear()

    def read(self, calls: Sequence[Planned], report: Report, store: Callable[[int], Stored] | None) -> Arrived:
        """A report.

        Parameters:
            calls: The batch.
            report: What has come back of it.
            store: Makes what stands for a large result that has not come along; None: all have.
        """
        content, lent = report
        worker, outcomes, machine, times, told, said = marshal.loads(content)
        results = [self._result(planned[1], data, lent, store) for planned, data in zip(calls, outcomes, strict=False)]
        return Arrived(worker, results, machine, times, told, said)

    def _result(
        self, call: AnyCall, data: bytes, lent: Sequence[Lent], store: Callable[[int], Stored] | None
    ) -> tuple[BaseException | None, Any]:
        value = marshal.loads(data)
        if type(value) is not tuple:
            return None, value
        form, content, *rest = value
        if form == layout.NO_INPUT:
            return NOT_STARTED, None
        if form == layout.UNLOADABLE:
            return self._refused(call, load_failure(rest[0]), content), None
        if form == layout.FAILED:
            return load_failure(content), None
        sealed = getattr(call, "sealed", False)
        if form == layout.IN_PARCEL and store is not None and sealed:
            return None, store(content)
        if form == layout.PICKLED and sealed:
            return None, SealedResult(content)
        try:
            return None, loaded(lambda: _read(form, content, lent, store))
        except TransferError as failure:
            return failure, None

    def _refused(self, call: AnyCall, reason: BaseException, number: int) -> BaseException:
        """The other end could not load a function: next time its code is sent; or an error if it was."""
        error = self._outbound.refused(call, reason, number)
        if error is None:
            return NOT_STARTED
        if isinstance(reason, ImportError):
            error.add_note(CURE)
        return error


def _read(form: int, content: Any, lent: Sequence[Lent], store: Callable[[int], Stored] | None) -> Any:
    if form == layout.PICKLED:
        return load(content)
    return lent[content].own() if store is None else store(content).open()
