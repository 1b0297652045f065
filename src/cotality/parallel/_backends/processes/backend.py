"""One run's use of worker processes.

Its life is ``submit``, ``collect``, ``submit``, ``collect``, ... in the thread of the run loop. ``collect`` waits on
everything at once: the channels, the ends of the processes, the wake-up; and on the next moment at which something
has to be decided, which is never sooner than a millisecond and mostly never.

A worker has up to two batches: while it runs the one, the other is on its way. That must not make tasks wait behind a
long one while another worker is idle, so what a worker has not started can be recalled, and goes back to the plan.
"""

from __future__ import annotations

import os
import selectors
import signal
from collections.abc import Callable, Iterable, Sequence
from time import monotonic, sleep

from cotality.parallel._backends.capture import wire
from cotality.parallel._backends.capture.listening import listening
from cotality.parallel._backends.present import repeat
from cotality.parallel._backends.processes import board as layout
from cotality.parallel._backends.processes import launch, obituary
from cotality.parallel._backends.processes.channel import ChannelClosed
from cotality.parallel._backends.processes.descriptors import become, own_pipe
from cotality.parallel._backends.processes.handle import Handle
from cotality.parallel._backends.processes.opener import UnloadableFunction
from cotality.parallel._backends.processes.outbound import Outbound, Packed, Shortage
from cotality.parallel._backends.processes.peak import peak_of
from cotality.parallel._backends.processes.warm import GRACE_SECONDS, WarmWorkers
from cotality.parallel._data.current import Belonging
from cotality.parallel._data.messages import NOT_STARTED, Ending, Planned
from cotality.parallel._data.task_errors import TransferError

SHORT_SECONDS = 0.01
"""Tasks shorter than this are sent ahead: the gap between two batches would cost more than 1 %."""
IDLE_SECONDS = 0.001
"""How long a worker is idle before tasks are recalled for it from another one."""
HOSTAGE_SECONDS = 0.05
"""How long a task may run before those behind it in its batch are recalled in any case."""
FINISH_SECONDS = 0.02
"""How long the end of a run waits for workers to finish the task they are at, before it ends them."""
ENOUGH = 256
"""With so many results at hand those of other workers wait: theirs has nothing to do until it is given more."""
MOST_START_FAILURES = 3


class ProcessBackend:
    """See the module.

    Parameters:
        warm: Where workers come from and go back to.
        workers: The most workers.
        enclosing: Among how many workers the machine is divided already.
    """

    reach = 2048
    chains = True

    def __init__(self, warm: WarmWorkers, workers: int, enclosing: Callable[[], int]) -> None:
        become(self, _OpenBackend)
        self.workers = workers
        self._warm = warm
        self._enclosing = enclosing
        self._outbound = Outbound()
        self._listening = b""
        """What the caller wants to hear, as it is when the first worker is asked for."""
        self._belonging: Belonging | None = None
        self._handles: list[Handle] = []
        self._selector = selectors.DefaultSelector()
        self._endings: list[Ending] = []
        self._watched: list[ProcessBackend] = []
        self._due_at: float | None = None
        self._pace = SHORT_SECONDS
        self._starving_since: float | None = None
        self._kills: dict[Handle, float] = {}
        self._start_failures = 0
        self._short = False
        """Whether memory or descriptors are short, so that tasks have to end before others can be sent."""
        self._torn = False
        """Whether an exception, a Ctrl-C for example, has come between: what we know of the workers may be wrong."""
        self._wake_read, self._wake_write = own_pipe()
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end.fileno(), False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)

    def belong(self, belonging: Belonging) -> None:
        self._belonging = belonging

    # Giving ----------------------------------------------------------------------------------------------------------

    def room(self) -> int:
        if self._short and any(handle.pending for handle in self._handles):
            return 0
        depth = 2 if self._pace < SHORT_SECONDS else 1
        # Asked before and after each batch. Most have no room, so whether they are usable need not be asked then.
        room = max(0, self.workers - len(self._handles))
        for handle in self._handles:
            free = depth - handle.batches_out
            if free > 0 and self._usable(handle):
                room += free
        return room

    def idle(self) -> int:
        """How many workers have nothing to do, those that are not started yet included."""
        idle = max(0, self.workers - len(self._handles))
        for handle in self._handles:
            if not handle.batches_out and self._usable(handle):
                idle += 1
        return idle

    def _usable(self, handle: Handle) -> bool:
        return handle.usable and not handle.gone and handle not in self._kills and not self._warm.spent(handle)

    def submit(self, batch: Sequence[Planned]) -> None:
        self._torn = True
        self._send(self._choose(), batch)
        self._torn = False

    def _send(self, handle: Handle, batch: Sequence[Planned]) -> None:
        limit = self._warm.max_tasks_per_worker
        if limit is not None and handle.tasks_sent + len(batch) > limit:
            batch, beyond = batch[: limit - handle.tasks_sent], batch[limit - handle.tasks_sent :]
            self._give_back(beyond)
        now = monotonic()
        packed = self._outbound.pack_alike(batch) or self._outbound.pack_batch(batch)
        for planned, error in packed.failed:
            busy = bool(packed.sendable) or any(other.pending for other in self._handles)
            if isinstance(error, Shortage) and busy:
                self._short = True
                self._give_back([planned])
            else:
                failure = TransferError(str(error)) if isinstance(error, Shortage) else error
                self._endings.append((planned, failure, None, now, now, handle.name))
        self._give_back(packed.returned)
        if not packed.sendable:
            return
        self._announce(handle, packed)
        if not handle.pending:
            handle.check_at = now + HOSTAGE_SECONDS
        handle.send_batch(packed.sendable, next(iter(packed.functions)), packed.columns, packed.loans)
        self._attend(handle)

    def _announce(self, handle: Handle, packed: Packed) -> None:
        """Send a worker the functions and loans that a batch needs and it does not have."""
        for number, function in packed.functions.items():
            if number not in handle.functions and function.message:
                handle.send_function(number, function.message)
        for _place, needed in packed.loans:
            for loan in needed:
                handle.send_loan(loan)

    def _choose(self) -> Handle:
        """The worker that has least to do; a new one where all have something."""
        usable = [handle for handle in self._handles if self._usable(handle)]
        least = min(usable, key=lambda handle: handle.batches_out, default=None)
        if least is not None and (least.idle or len(self._handles) >= self.workers):
            return least
        try:
            self._listening = self._listening or listening()
            handle = self._warm.lease(self.workers, self._listening)
        except OSError:
            if least is None:
                raise
            # No room for another one: go on with those there are.
            self.workers = len(self._handles)
            return least
        self._handles.append(handle)
        self._selector.register(handle.channel, selectors.EVENT_READ, handle)
        handle.awaited = False
        if handle.process.pidfd is not None:
            self._selector.register(handle.process.pidfd, selectors.EVENT_READ, handle)
        self._tell_width()
        return handle

    def _tell_width(self) -> None:
        width = max(1, len(self._handles)) * self._enclosing()
        for handle in self._handles:
            handle.board.words[layout.WIDTH] = width

    def _attend(self, handle: Handle) -> None:
        """Wait for a channel to take more where it could not take all."""
        if handle.gone or handle.awaited == handle.channel.congested:
            return
        handle.awaited = handle.channel.congested
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if handle.awaited else 0)
        self._selector.modify(handle.channel, events, handle)

    # Taking ----------------------------------------------------------------------------------------------------------

    def collect(self, timeout: float | None) -> list[Ending]:
        self._torn = True
        now = monotonic()
        until = None if timeout is None else now + timeout
        while not self._endings:
            patience = self._look_after(now)
            self._due_at = None if patience is None else now + patience
            if self._endings:
                break
            for other in self._watched:
                if other._due_at is not None:
                    due_in = max(0.0, other._due_at - now)
                    patience = due_in if patience is None else min(patience, due_in)
            if until is not None:
                patience = until - now if patience is None else min(patience, until - now)
            events = self._selector.select(None if patience is None else max(0.0, patience))
            woken = self._meet(events)
            now = monotonic()
            if woken or (until is not None and now >= until):
                break
        endings, self._endings = self._endings, []
        self._torn = False
        return endings

    def _meet(self, events: list[tuple[selectors.SelectorKey, int]]) -> bool:
        """Deal with what ``select`` reports; True when somebody wants ``collect`` to return."""
        woken = False
        ended: list[Handle] = []
        for key, mask in events:
            handle = key.data
            if handle is None:
                self._wake_read.read(4096)
                woken = True
            elif key.fileobj is handle.process.pidfd:
                ended.append(handle)
            else:
                if mask & selectors.EVENT_WRITE:
                    self._flush(handle)
                unsettled = not handle.settled
                if mask & selectors.EVENT_READ and not handle.receive():
                    # No more to read; without a descriptor of the process this is how its end is noticed.
                    self._selector.unregister(handle.channel)
                    if handle.process.pidfd is None:
                        ended.append(handle)
                self._harvest(handle)
                woken = woken or (unsettled and handle.settled)
                if len(self._endings) >= ENOUGH:
                    break
        for handle in ended:
            self._bury(handle)
        # A place that has come free is a reason to return: the plan may have waited for it.
        return woken or bool(ended)

    def _flush(self, handle: Handle) -> None:
        try:
            handle.channel.flush()
        except ChannelClosed:
            pass
        self._attend(handle)

    def _harvest(self, handle: Handle) -> None:
        endings = handle.harvest()
        self._repeat(handle)
        if not endings:
            return
        self._start_failures = 0
        self._short = False
        mean = (endings[-1][4] - endings[0][3]) / len(endings)
        self._pace = (self._pace + mean) / 2
        if handle.refused:
            for place, ending in enumerate(endings):
                if isinstance(ending[1], UnloadableFunction):
                    endings[place] = self._without(ending, ending[1])
        self._endings += endings
        self._release(handle)
        self._starving_since = None
        if handle.idle and self._warm.spent(handle):
            # It ends, is buried, and its place is free for a new one.
            handle.channel.finish()

    def _repeat(self, handle: Handle) -> None:
        """Have said here what tasks of a worker have said; before the run learns how they have ended."""
        for planned, message in handle.ear.take():
            if self._belonging is not None:
                repeat(wire.loads(message), planned, self._belonging)

    def _without(self, ending: Ending, refused: UnloadableFunction) -> Ending:
        """A task that did not start because its worker could not load the function."""
        planned, _failure, _value, started, ended, worker = ending
        error = self._outbound.refused(planned[1], *refused.args)
        return planned, error or NOT_STARTED, None, started, ended, worker

    def _release(self, handle: Handle) -> None:
        for loan in handle.returned_loans():
            over = self._outbound.loans.ended(loan)
            if over is not None:
                for other in self._handles:
                    other.forget_loans({over.number})

    # Looking after the workers ---------------------------------------------------------------------------------------

    def _look_after(self, now: float) -> float | None:
        """Do what is due; gives the seconds until something else is, or None."""
        due: list[float] = []
        for handle, kill_at in self._kills.items():
            if now >= kill_at:
                handle.terminate(signal.SIGKILL)
            else:
                due.append(kill_at)
        starving = self._starving(now)
        for handle in self._handles:
            if handle.gone or handle in self._kills:
                # It has ended or is about to: that is what will be seen next.
                continue
            if handle.recalled_at is not None:
                cut_at = handle.recalled_at + layout.SETTLE_SECONDS
                if now >= cut_at:
                    self._cut(handle)
                else:
                    due.append(cut_at)
            elif len(handle.pending) > 1:
                due += self._free_hostages(handle, starving, now)
        if self._starving_since is not None and not starving and any(len(h.pending) > 1 for h in self._handles):
            due.append(self._starving_since + IDLE_SECONDS)
        return max(0.0, min(due) - now) if due else None

    def _starving(self, now: float) -> bool:
        """Whether a worker has had nothing to do for a moment; the plan has given all it has before we are called."""
        if not any(handle.idle for handle in self._handles) and len(self._handles) >= self.workers:
            self._starving_since = None
            return False
        if self._starving_since is None:
            self._starving_since = now
        return now - self._starving_since >= IDLE_SECONDS

    def _free_hostages(self, handle: Handle, starving: bool, now: float) -> list[float]:
        """Recall what waits behind a long task, or what an idle worker could do; else say when to look again."""
        if not starving and now < handle.check_at:
            return [handle.check_at]
        self._harvest(handle)
        current = handle.current
        if len(handle.pending) < 2:
            return []
        handle.check_at = (current[1] if current else now) + HOSTAGE_SECONDS
        if (starving or now >= handle.check_at) and handle.holds_up_others:
            handle.recall(now)
            return [now + layout.SETTLE_SECONDS]
        return [max(handle.check_at, now + IDLE_SECONDS)]

    def _cut(self, handle: Handle) -> None:
        returned = handle.cut()
        self._attend(handle)
        self._give_back(returned)
        self._release(handle)

    def _give_back(self, batch: Iterable[Planned]) -> None:
        """These have not started: the plan may give them to somebody else."""
        self._endings += [(planned, NOT_STARTED, None, 0.0, 0.0, "") for planned in batch]

    # Ends ------------------------------------------------------------------------------------------------------------

    def running(self) -> list[tuple[int, float]]:
        found = [handle.current for handle in self._handles]
        return [(current[0][0], current[1]) for current in found if current is not None]

    def runaways(self) -> Sequence[str]:
        return ()

    def peaks(self) -> dict[str, int]:
        """The most bytes of memory that each worker has had since it was started, where the system tells."""
        found = {handle.name: peak_of(handle.process.pid) for handle in self._handles}
        return {name: peak for name, peak in found.items() if peak}

    def interrupt(self, ticket: int, failure: BaseException) -> None:
        for handle in self._handles:
            if handle.runs(ticket) and handle not in self._kills:
                # Recalled first, so that it starts nothing more should it end the task just now; and looked at again
                # when it must have seen that, or the next one could be killed for this one.
                handle.recall(monotonic())
                sleep(layout.SETTLE_SECONDS)
                if handle.runs(ticket):
                    handle.doom = failure
                    handle.terminate()
                    self._kills[handle] = monotonic() + GRACE_SECONDS

    def _bury(self, handle: Handle) -> None:
        """A worker has ended: keep what it finished, blame the task it was at, give the rest back."""
        handle.receive()
        self._harvest(handle)
        self._handles.remove(handle)
        self._kills.pop(handle, None)
        for watched in (handle.channel, handle.process.pidfd):
            if watched is not None and watched in self._selector.get_map():
                self._selector.unregister(watched)
        code = launch.exit_code(handle.process)
        current = handle.current
        if current is not None:
            planned, began = current
            failure = handle.doom or obituary.worker_died(code, loading=handle.loading)
            self._endings.append((planned, failure, None, began, monotonic(), handle.name))
            self._give_back(other for other in handle.pending if other is not planned)
        else:
            self._give_back(handle.pending)
        handle.pending.clear()
        self._release(handle)
        broken, ready = handle.broken, handle.ready
        handle.close()
        self._tell_width()
        if broken is not None or not ready:
            self._start_failed(broken, code)

    def _start_failed(self, broken: BaseException | None, code: int | None) -> None:
        """A worker has ended before it could run anything.

        Raises:
            WorkerStartError: its initializer raised, or it was not the first.
        """
        if broken is not None:
            raise obituary.initializer_raised(broken) from broken
        self._start_failures += 1
        if self._start_failures >= MOST_START_FAILURES:
            raise obituary.can_not_start(self._start_failures, code)

    def ring(self, bell: Callable[[], None]) -> None:
        """Nothing rings here: who waits in another one of these watches this one there."""

    def watch(self, other: ProcessBackend) -> None:
        """Let ``collect`` return, too, when another backend of processes has something to look after."""
        self._watched.append(other)
        self._selector.register(other._selector.fileno(), selectors.EVENT_READ, None)

    def wake(self) -> None:
        try:
            # Takes nothing where it is full, for then it is awake already.
            self._wake_write.write(b"\0")
        except (ValueError, OSError):
            # It is closed, or is being closed in another thread: over.
            pass

    def close(self) -> None:
        if self._wake_read.closed:
            return
        handles, self._handles = self._handles, []
        try:
            if not self._torn:
                self._finish(handles)
            self._warm.end([handle for handle in handles if self._torn or not self._reusable(handle)])
        except BaseException:
            # A second Ctrl-C: at once.
            for handle in handles:
                handle.terminate(signal.SIGKILL)
            raise
        finally:
            self._selector.close()
            self._wake_read.close()
            self._wake_write.close()
            self._outbound.loans.clear()
            become(self, ProcessBackend)
        if not self._torn:
            for handle in handles:
                if self._reusable(handle):
                    self._warm.give_back(handle)

    def leftovers(self) -> list[Ending]:
        """What had ended when this was closed, and was not collected."""
        endings, self._endings = list(self._endings), []
        return endings

    def _reusable(self, handle: Handle) -> bool:
        return handle.vacant and handle not in self._kills

    def _finish(self, handles: Sequence[Handle]) -> None:
        """Take back what busy workers have not started, and wait a moment for what they have."""
        busy = [handle for handle in handles if not self._reusable(handle)]
        now = monotonic()
        until = now + FINISH_SECONDS
        for handle in busy:
            handle.recall(now)
        while now < until and any(not handle.vacant for handle in busy):
            for handle in busy:
                if handle.recalled_at is not None and now >= handle.recalled_at + layout.SETTLE_SECONDS:
                    handle.cut()
            self._selector.select(layout.SETTLE_SECONDS)
            for handle in busy:
                if not handle.vacant and handle.receive():
                    self._endings += handle.harvest()
                    self._repeat(handle)
            now = monotonic()


class _OpenBackend(ProcessBackend):
    """A backend until it is closed; see ``become``."""

    def __del__(self) -> None:
        # A selector is part of a cycle until it is closed; one that an interrupt has made us lose would keep workers.
        if hasattr(self, "_selector"):
            self._selector.close()
