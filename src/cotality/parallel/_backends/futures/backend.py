"""One run's use of whatever gives futures; see the package.

A batch under way is a ``Cargo``. Its future calls back from any thread, and only puts the cargo among those that have
landed: everything else happens in ``collect``, in the thread of the run loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from time import monotonic
from typing import Any, Protocol

from cotality.parallel._backends.capture import wire
from cotality.parallel._backends.futures.cargo import Cargo
from cotality.parallel._backends.futures.home import MACHINE
from cotality.parallel._backends.futures.line import Line
from cotality.parallel._backends.futures.packing import Arrived, Packing
from cotality.parallel._backends.futures.way import Way
from cotality.parallel._backends.gate import Gate
from cotality.parallel._backends.present import repeat
from cotality.parallel._backends.processes.outbound import Shortage
from cotality.parallel._data.current import Belonging
from cotality.parallel._data.messages import NOT_STARTED, Ending, Planned
from cotality.parallel._data.task_errors import TaskError, TransferError

MOST_SAID = 5000
"""How much of what tasks say may wait to be said here; those who say more have to wait."""
SAY_SECONDS = 0.01
"""How long it is said before it is looked whether anything else is to be done."""
LOOK_SECONDS = 0.02
"""How often it is looked whether an attempt that has a timeout has begun, where nobody tells."""


class Carrier(Protocol):
    """What knows one kind of futures."""

    packing: Packing
    host: str | None
    """The address at which workers reach this process; None: they do not."""
    chains: bool
    """Whether it can take a task along behind the one whose result it needs."""
    keeps: bool
    """Whether results can stay where they were made."""
    batch_seconds: float
    """The work that one message should carry."""
    short: float
    """Tasks shorter than this many seconds are sent ahead, so that no worker waits for its next batch."""

    def launch(self, cargo: Cargo, message: bytes, inputs: Sequence[Any]) -> Any:
        """Send a batch; gives a future."""
        ...

    def land(self, cargos: Sequence[Cargo]) -> list[Arrived | BaseException]:
        """What has come of batches whose futures are done."""
        ...

    def failed(self, cargo: Cargo, error: BaseException) -> BaseException:
        """What the tasks of a batch fail with of which nothing came back; raises what ends the run."""
        ...

    def began(self, cargo: Cargo) -> bool:
        """Whether a worker is at it."""
        ...

    def end(self, cargo: Cargo) -> bool:
        """End a batch that runs too long, where that can be done; tells whether it was."""
        ...

    def drop(self, cargo: Cargo) -> None:
        """Nobody waits for a batch any more."""
        ...

    def close(self) -> None:
        """The run is over; what it has sent was dropped."""
        ...


class FuturesBackend:
    """See the module.

    Parameters:
        carrier: Sends batches.
        workers: How many attempts run at once.
        alone: Whether these are all there are: then others may be sent ahead and will wait.
    """

    reach = 2048

    def __init__(self, carrier: Carrier, workers: int, *, alone: bool) -> None:
        self.workers = workers
        self._alone = alone
        self.chains = carrier.chains
        self.keeps = carrier.keeps
        self.batch_seconds = carrier.batch_seconds
        self._carrier = carrier
        self._out: dict[int, Cargo] = {}
        self._singles: deque[Planned] = deque()
        """Those that are sent one by one and have no place yet."""
        self._landed: deque[Cargo] = deque()
        self._said: deque[tuple[Planned, bytes]] = deque()
        """What tasks have said that are under way."""
        self._endings: list[Ending] = []
        self._runaways: list[str] = []
        self._pace = carrier.short
        self._belonging: Belonging | None = None
        self._gate = Gate()
        self._woken = False
        self._host = carrier.host
        self._line: Line | None = None

    def ring(self, bell: Callable[[], None]) -> None:
        self._gate.bell = bell

    def belong(self, belonging: Belonging) -> None:
        self._belonging = belonging

    # Giving ----------------------------------------------------------------------------------------------------------

    def room(self) -> int:
        ahead = self._alone and self._pace < self._carrier.short and not self._timed()
        return max(0, (2 if ahead else 1) * self.workers - len(self._out) - len(self._singles))

    def idle(self) -> int:
        """How many workers have nothing to do."""
        return max(0, self.workers - len(self._out) - len(self._singles))

    def _timed(self) -> bool:
        return self._belonging is not None and self._belonging.timed()

    def submit(self, batch: Sequence[Planned]) -> None:
        if self._timed():
            # Which task of a batch runs is not known here. So where it matters each is one, and none waits out there.
            self._singles.extend(batch)
            self._send_singles()
        else:
            self._send(batch, timed=False)

    def _send_singles(self) -> None:
        while self._singles and len(self._out) < self.workers:
            self._send([self._singles.popleft()], timed=True)

    def _send(self, batch: Sequence[Planned], *, timed: bool) -> None:
        now = monotonic()
        packing = self._carrier.packing
        packed = packing.pack(batch)
        for planned, error in packed.failed:
            failure = TransferError(str(error)) if isinstance(error, Shortage) else error
            self._end(planned, failure, None, now, now, "")
        for planned in packed.returned:
            self._end(planned, NOT_STARTED, None, now, now, "")
        if not packed.sendable:
            return
        cargo = Cargo(packed, now, timed=timed, hear=self._hear)
        try:
            cargo.future = self._carrier.launch(cargo, *packing.write(packed, self._way_of(cargo)))
        except Exception as error:
            packing.ended(packed)
            self._give_up(cargo, self._carrier.failed(cargo, error), now)
            return
        self._out[id(cargo)] = cargo
        cargo.future.add_done_callback(lambda _future: self._has_landed(cargo))

    def _way_of(self, cargo: Cargo) -> Way | None:
        """How a batch tells at once what its tasks say."""
        if self._line is None and self._host is not None:
            self._listen(self._host)
        if self._line is None:
            return None
        way = self._line.expect(cargo.hear)
        cargo.line, cargo.number = self._line, way.number
        return way

    def _listen(self, host: str) -> None:
        # Tried once: what can not be told at once comes with the results.
        self._host = None
        try:
            line = Line(host, lambda: len(self._said) > MOST_SAID)
        except Exception:
            # No descriptor is left, that is no address of this machine, or somebody forbids sockets.
            return
        self._line = line
        try:
            line.start()
        except RuntimeError:
            # No thread is left.
            self._line = None
            line.close()

    def _settle(self, cargo: Cargo, told: int | None) -> None:
        """Hear what a batch has said that is over; ``told``: see ``Line.settle``."""
        if cargo.line is not None:
            cargo.line.settle(cargo.number, told)

    def _has_landed(self, cargo: Cargo) -> None:
        """From any thread: a future is done."""
        self._landed.append(cargo)
        self._gate.open()

    def _hear(self, planned: Planned, message: bytes) -> None:
        """From any thread: a task has said something."""
        self._said.append((planned, message))
        self._gate.open()

    # Taking ----------------------------------------------------------------------------------------------------------

    def collect(self, timeout: float | None) -> list[Ending]:
        until = None if timeout is None else monotonic() + timeout
        while not self._endings:
            self._repeat_what_was_said(SAY_SECONDS)
            if self._landed:
                self._land()
                # Room that has come free is a reason to return as well.
                break
            self._gate.close()
            if self._woken:
                break
            patience = None if until is None else until - monotonic()
            if patience is not None and patience <= 0:
                break
            if self._landed or self._said:
                continue
            if self._look():
                patience = LOOK_SECONDS if patience is None else min(patience, LOOK_SECONDS)
            self._gate.wait(patience)
        self._woken = False
        endings, self._endings = self._endings, []
        return endings

    def _look(self) -> bool:
        """Find out what has begun; True if something has a timeout and has not."""
        waits = False
        for cargo in self._out.values():
            if cargo.timed and cargo.began is None:
                if self._carrier.began(cargo):
                    cargo.began = cargo.began or monotonic()
                else:
                    waits = True
        return waits

    def _land(self) -> None:
        cargos = [self._landed.popleft() for _ in range(len(self._landed))]
        cargos = [cargo for cargo in cargos if self._out.pop(id(cargo), None) is not None]
        # It came before them.
        self._repeat_what_was_said()
        for cargo, arrived in zip(cargos, self._carrier.land(cargos), strict=True):
            now = monotonic()
            self._carrier.packing.ended(cargo.packed)
            if isinstance(arrived, Arrived):
                self._unload(cargo, arrived, now)
            else:
                self._give_up(cargo, self._carrier.failed(cargo, arrived), now)
            cargo.empty()
        self._send_singles()

    def _give_up(self, cargo: Cargo, failure: BaseException, now: float) -> None:
        """Nothing has come of a batch."""
        self._settle(cargo, None)
        self._repeat_what_was_said()
        began = cargo.began or cargo.sent
        for planned in cargo.packed.sendable:
            if planned[0] not in cargo.reported:
                self._end(planned, _another(failure), None, began, now, cargo.worker)

    def _unload(self, cargo: Cargo, arrived: Arrived, now: float) -> None:
        planned = cargo.packed.sendable
        self._settle(cargo, arrived.told)
        self._said.extend((planned[place], message) for place, message in arrived.said)
        self._repeat_what_was_said()
        times = arrived.times
        if arrived.machine != MACHINE or not cargo.sent <= times[0] <= times[-1] <= now:
            # Another machine has another clock.
            began = max(cargo.sent, now - (times[-1] - times[0]))
            times = [min(now, began + (at - times[0])) for at in times]
        for place, each in enumerate(planned):
            if each[0] in cargo.reported:
                continue
            if place < len(arrived.results):
                failure, value = arrived.results[place]
                self._end(each, failure, value, times[place], times[place + 1], arrived.worker)
            else:
                self._end(each, NOT_STARTED, None, now, now, arrived.worker)
        if arrived.results:
            self._pace = (self._pace + (times[-1] - times[0]) / len(arrived.results)) / 2

    def _repeat_what_was_said(self, seconds: float | None = None) -> None:
        """Say here what tasks have said until now, which takes as long as the handlers of the program take.

        Parameters:
            seconds: How long it may take; None: as long as it does. They may go on to speak meanwhile.
        """
        until = None if seconds is None else monotonic() + seconds
        for _ in range(len(self._said)):
            planned, message = self._said.popleft()
            if self._belonging is not None:
                repeat(wire.loads(message), planned, self._belonging)
            if until is not None and monotonic() > until:
                return

    def _end(
        self, planned: Planned, failure: BaseException | None, value: Any, began: float, ended: float, worker: str
    ) -> None:
        self._endings.append((planned, failure, value, began, ended, worker))

    # Looking after what runs -----------------------------------------------------------------------------------------

    def running(self) -> list[tuple[int, float]]:
        self._look()
        return [
            (cargo.packed.sendable[0][0], cargo.began)
            for cargo in self._out.values()
            if cargo.began is not None and len(cargo.packed.sendable) == 1 and not cargo.reported
        ]

    def interrupt(self, ticket: int, failure: BaseException) -> None:
        for cargo in self._out.values():
            for planned in cargo.packed.sendable:
                if planned[0] == ticket and ticket not in cargo.reported:
                    cargo.reported.add(ticket)
                    began = cargo.began or cargo.sent
                    self._end(planned, failure, None, began, monotonic(), cargo.worker)
                    if len(cargo.packed.sendable) > 1 or not self._carrier.end(cargo):
                        # Its place is taken until it ends.
                        self._runaways.append(planned[1].name)
                    return

    def runaways(self) -> Sequence[str]:
        runaways, self._runaways = self._runaways, []
        return runaways

    def wake(self) -> None:
        self._woken = True
        self._gate.open()

    def close(self) -> None:
        self._singles.clear()
        out, self._out = self._out, {}
        for cargo in out.values():
            self._carrier.drop(cargo)
            cargo.empty()
        self._landed.clear()
        self._said.clear()
        # Futures that are dropped may hold this for a while, and it must not hold the run.
        self._belonging = None
        self._carrier.packing.clear()
        self._carrier.close()
        if self._line is not None:
            self._line.close()


def _another(failure: BaseException) -> BaseException:
    """The same failure for one more task: each error says whose it is."""
    if not isinstance(failure, TaskError):
        return failure
    another = copy(failure)
    another.__cause__ = failure.__cause__
    return another
