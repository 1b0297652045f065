"""The parent's view of one worker: what it has been sent, how far it is, and its end."""

from __future__ import annotations

import marshal
import os
import signal
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice, repeat
from struct import Struct
from typing import Any, TypeAlias
from weakref import WeakSet

from cotality.parallel._backends.forks import StartMethod, in_forked_children
from cotality.parallel._backends.processes import board as layout
from cotality.parallel._backends.processes import launch, memory
from cotality.parallel._backends.processes.board import (
    DONE,
    END_BITS,
    END_MASK,
    LOADING,
    RECALLED,
    STARTED,
    WAITING,
    Board,
)
from cotality.parallel._backends.processes.channel import Channel, ChannelClosed, Frame
from cotality.parallel._backends.processes.codec import load_failure
from cotality.parallel._backends.processes.columns import Columns
from cotality.parallel._backends.processes.descriptors import become, connected_sockets
from cotality.parallel._backends.processes.ear import Ear
from cotality.parallel._backends.processes.kinds import (
    BATCH,
    BROKEN,
    FORGET,
    FUNCTION,
    INHERIT,
    LEND,
    LISTEN,
    PARCEL,
    READY,
    SAYS,
    SETTLED,
    SETUP,
    UNKNOWN,
    VERDICT,
)
from cotality.parallel._backends.processes.loans import Loan, MemoryLoan
from cotality.parallel._backends.processes.opener import Opener
from cotality.parallel._data.messages import Ending, Planned

MOST_FUNCTIONS = 500
"""A worker that knows this many functions is replaced: those sent by value are never the same twice."""


Borrowed: TypeAlias = tuple[int, Sequence[Loan]]

_LIST = Struct("<cI")
"""How marshal writes the beginning of a list: its items follow, each as it is written on its own."""


_alive: WeakSet[Handle] = WeakSet()


class Handle:
    """One worker process.

    Parameters:
        method: How to start it.
        setup: What it is to become; see ``worker.Worker``.
        fds: Descriptors that its initializer inherits.

    Raises:
        OSError: it can not be started.
    """

    def __init__(self, method: StartMethod, setup: dict[str, Any], fds: Sequence[int]) -> None:
        become(self, _OpenHandle)
        _alive.add(self)
        self._start(method)
        self.name = f"process {self.process.pid}"
        self.pending: deque[Planned] = deque()
        """What it has and has not finished, in the order in which it runs."""
        self._head = 1
        """The sequence number of the first of these; the others follow without a gap."""
        self._borrowed: dict[int, Sequence[Loan]] = {}
        self.functions: set[int] = set()
        self.loans: set[int] = set()
        self.tasks_sent = 0
        self.ready = False
        self.broken: BaseException | None = None
        """What its initializer raised."""
        self.doom: BaseException | None = None
        """What the running task's failure is, once the worker is being killed for it."""
        self.check_at = 0.0
        """When to see whether a task that runs for long holds others up."""
        self.gone = False
        """Whether its end of the channel is closed and read to the end."""
        self.awaited = False
        """Whether its run waits for its channel to take more."""
        self.recalled_at: float | None = None
        """Since when a recall waits to be cut."""
        self.settled = True
        """Whether the worker has answered the last verdict."""
        self._epoch = 0
        self._sequence = 1
        self._area = 1
        """The area of the batch that was sent last; they take turns."""
        self._batches: deque[tuple[int, int, int]] = deque()
        """The first and the last sequence number and the area of each batch that is out."""
        self._position = 0
        """How far the area of the first of these is read."""
        self._last_end = 0.0
        self._opener = Opener()
        self.ear = Ear(self.board)
        self._listening: bytes = setup["listening"]
        self._set_up(setup, fds)

    def _start(self, method: StartMethod) -> None:
        pages = memory.create(layout.SIZE)
        ours, theirs = connected_sockets()
        try:
            self.board = Board(pages.fileno())
            self.channel = Channel(ours)
            self.process = launch.start(method, theirs.fileno(), pages.fileno())
        except BaseException:
            ours.close()
            raise
        finally:
            pages.close()
            theirs.close()
        ours.setblocking(False)

    def _set_up(self, setup: dict[str, Any], fds: Sequence[int]) -> None:
        try:
            for fd in fds:
                self.channel.send(INHERIT, b"", fd)
            self.channel.send(SETUP, marshal.dumps(setup))
        except ChannelClosed:
            # It has ended already, as will be seen by its process.
            pass
        except BaseException:
            self.terminate(signal.SIGKILL)
            self.close()
            raise

    # Sending ---------------------------------------------------------------------------------------------------------

    def send_function(self, number: int, message: bytes) -> None:
        self.functions.add(number)
        self._send(FUNCTION, marshal.dumps((number, message)))

    def send_loan(self, loan: Loan) -> None:
        assert isinstance(loan, MemoryLoan)
        if loan.number not in self.loans:
            self.loans.add(loan.number)
            self._send(LEND, marshal.dumps((loan.number, list(loan.lengths), loan.once)), loan.file.fileno())

    def listen(self, listening: bytes) -> None:
        """Let it know what the caller wants to hear."""
        if listening != self._listening:
            self._listening = listening
            self._send(LISTEN, listening)

    def forget_loans(self, numbers: set[int]) -> None:
        known = numbers & self.loans
        if known:
            self.loans -= known
            self._send(FORGET, marshal.dumps(list(known)))

    def _send(self, kind: int, payload: bytes, fd: int = -1) -> None:
        try:
            self.channel.send(kind, payload, fd)
        except ChannelClosed:
            # It has ended, as will be seen by its process: what it was to do has not started and comes back then.
            pass

    def send_batch(self, batch: Sequence[Planned], number: int, columns: Columns, loans: Sequence[Borrowed]) -> None:
        """Send a batch; at most two may be out at a time.

        Parameters:
            batch: The tasks.
            number: The function that all call, where the columns have names.
            columns: The same, packed.
            loans: For those that need loans, their place in the batch and the loans.
        """
        first = self._sequence
        self._sequence += len(batch)
        self._area = 1 - self._area
        self._batches.append((first, self._sequence - 1, self._area))
        self.tasks_sent += len(batch)
        if not self.pending:
            self._head = first
        self.pending.extend(batch)
        for offset, needed in loans:
            self._borrowed[first + offset] = needed
        self._send(BATCH, marshal.dumps((first, len(batch), self._area, number, *columns)))

    # Receiving -------------------------------------------------------------------------------------------------------

    def receive(self) -> bool:
        """Take what the worker has sent; False when it has closed its end."""
        if self.gone:
            return False
        while True:
            try:
                frames = self.channel.receive()
            except ChannelClosed:
                self.gone = True
                return False
            for frame in frames:
                self._take(frame)
            if not self.channel.more:
                return True

    def _take(self, frame: Frame) -> None:
        if frame.kind == PARCEL:
            sequence, form, lengths = marshal.loads(frame.payload)
            self._opener.keep(frame, sequence, form, lengths, sealed=self._is_sealed(sequence))
        elif frame.kind == SAYS:
            self.ear.hear(frame.payload)
        elif frame.kind == SETTLED:
            self.settled = marshal.loads(frame.payload) == self._epoch
        elif frame.kind == READY:
            self.ready = True
        elif frame.kind == UNKNOWN:
            number, reason = marshal.loads(frame.payload)
            self._opener.unknown[number] = load_failure(reason)
        elif frame.kind == BROKEN:
            self.broken = load_failure(frame.payload)

    def harvest(self) -> list[Ending]:
        """What the worker has finished since the last time."""
        endings: list[Ending] = []
        self._opener.refused = False
        read = True
        while read:
            done = self.board.words[DONE]
            read = self._hear()
            read = self._harvest_upto(done, endings) or read
            # Who reads from the channel may have read the word that there is more to see, and it does not come twice.
            read = read and self.board.words[DONE] != done
        return endings

    @property
    def refused(self) -> bool:
        """Whether the last harvest has met a function that the worker could not load."""
        return self._opener.refused

    def _hear(self) -> bool:
        """Whatever was said until now is heard; True if the channel had to be read for that."""
        misses = self.ear.misses_some
        if misses:
            self.receive()
        self.ear.attribute(self._head, self.pending)
        return misses

    def _harvest_upto(self, done: int, endings: list[Ending]) -> bool:
        """Take what was finished so far; True if results had to be opened, for which the channel may be read."""
        finished, end = done >> END_BITS, done & END_MASK
        opened = False
        while self.pending and self._head <= finished:
            first, last, area = self._batches[0]
            count = min(last, finished) - self._head + 1
            place = self._head - first
            if not place:
                self._position = 0
                self._last_end = self.board.times[area][layout.BEGAN]
            times = self.board.times[area][place : place + count].tolist()
            upto = end if finished <= last else int(self.board.times[area][layout.LENGTH])
            values = self._values(area, count, upto)
            take = self.pending.popleft
            planned = [take() for _ in times]
            failures: Iterable[BaseException | None] = repeat(None)
            if tuple in set(map(type, values)):
                values, failures = self._opener.open(self._head, planned, values, self.receive)
                opened = True
            endings += zip(planned, failures, values, [self._last_end, *times], times, repeat(self.name), strict=False)
            self._last_end = times[-1]
            self._head += count
            if self._head > last:
                self._batches.popleft()
        return opened

    def _values(self, area: int, count: int, end: int) -> list[Any]:
        """The next results in the area, read as the inside of a list."""
        inside = self.board.areas[area][self._position : end]
        self._position = end
        values: list[Any] = marshal.loads(b"".join((_LIST.pack(b"[", count), inside)))
        return values

    def _is_sealed(self, sequence: int) -> bool:
        """Whether a result is not needed here."""
        place = sequence - self._head
        # Of a run that was left, a result may still come when nobody waits for it any more.
        return place < len(self.pending) and getattr(self.pending[place][1], "sealed", False)

    # Where it is -----------------------------------------------------------------------------------------------------

    @property
    def batches_out(self) -> int:
        """How many batches are sent and not finished."""
        return len(self._batches)

    @property
    def holds_up_others(self) -> bool:
        """Whether others could run something of what it has: more than what only goes on from the task before it."""
        return any(not call.wired for _ticket, call in islice(self.pending, 1, None))

    @property
    def usable(self) -> bool:
        """Whether it may be given a batch: not after a recall, before it has answered and finished what it keeps."""
        return self.settled and (not self.pending or self._head + len(self.pending) == self._sequence)

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do and has read so."""
        return self.vacant and self.settled

    @property
    def vacant(self) -> bool:
        """Whether it has nothing to do, though it may have to read that yet: a worker that is still starting, for one.

        It may be handed on to another run: frames arrive in order, so it reads the verdict before what is sent now.
        """
        return not self.pending and self.recalled_at is None

    @property
    def current(self) -> tuple[Planned, float] | None:
        """The task that runs now and when it began, in monotonic seconds; None between tasks."""
        running = self._running()
        return None if running is None else (self.pending[running[0] - self._head], running[1])

    def runs(self, ticket: int) -> bool:
        """Whether it is this task that runs now."""
        current = self.current
        return current is not None and current[0][0] == ticket

    def _running(self) -> tuple[int, float] | None:
        words, times = self.board.words, self.board.times
        started, finished = words[STARTED], words[DONE] >> END_BITS
        for first, last, area in self._batches:
            if first == started > finished:
                return first, times[area][layout.BEGAN]
            if first <= finished < last and not words[WAITING]:
                return finished + 1, times[area][finished - first]
        return None

    @property
    def loading(self) -> bool:
        """Whether the arguments of the current task are still being loaded: its function has not been called."""
        return self.board.words[LOADING] != 0

    def returned_loans(self) -> list[Loan]:
        """The loans of tasks that have ended or were taken back since the last time."""
        over = [sequence for sequence in self._borrowed if not self._head <= sequence < self._head + len(self.pending)]
        return [loan for sequence in over for loan in self._borrowed.pop(sequence)]

    # Recalling -------------------------------------------------------------------------------------------------------

    def recall(self, now: float) -> None:
        """Ask the worker to start nothing more; ``cut`` follows after ``SETTLE_SECONDS``."""
        if self.recalled_at is None:
            self._epoch += 1
            self.settled = False
            self.recalled_at = now
            self.board.words[RECALLED] = self._epoch

    def cut(self) -> list[Planned]:
        """Tell the worker to keep what it has started; gives what it has not."""
        self.recalled_at = None
        running = self._running()
        keep = running[0] if running is not None else self.board.words[DONE] >> END_BITS
        self._send(VERDICT, marshal.dumps((self._epoch, keep)))
        kept = min(max(0, keep - self._head + 1), len(self.pending))
        returned = [self.pending.pop() for _ in range(len(self.pending) - kept)][::-1]
        self.tasks_sent -= len(returned)
        # The batch that is cut ends early, and those behind it never begin.
        kept_batches = [(first, min(last, keep), area) for first, last, area in self._batches if first <= keep]
        self._batches = deque(kept_batches if self.pending else ())
        return returned

    # Ending ----------------------------------------------------------------------------------------------------------

    def terminate(self, number: int = signal.SIGTERM) -> None:
        """Send a signal; harmless if the worker has ended."""
        try:
            if self.process.pidfd is not None:
                signal.pidfd_send_signal(self.process.pidfd.fileno(), number)
            else:
                os.kill(self.process.pid, number)
        except ProcessLookupError:
            pass

    def close(self) -> None:
        """Let go: a living worker ends, for its channel does."""
        self.channel.close()
        self._opener.clear()
        self.board.close()
        if self.process.pidfd is not None:
            self.process.pidfd.close()
        become(self, Handle)


class _OpenHandle(Handle):
    """A handle until it is closed; see ``become``."""

    def __del__(self) -> None:
        """End a worker that an interrupt has made its owner lose: busy, it would not see its channel close."""
        process = getattr(self, "process", None)
        if process is not None and process.pidfd is not None and not process.pidfd.closed:
            self.terminate(signal.SIGKILL)


def _disown_all() -> None:
    for handle in list(_alive):
        if hasattr(handle, "process"):
            handle.channel.close()
            if handle.process.pidfd is not None:
                handle.process.pidfd.close()


# A forked child that kept the parent's end of a channel open would hide its closing from the worker.
in_forked_children(_disown_all)
