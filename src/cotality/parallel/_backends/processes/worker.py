"""What runs in a worker process: one loop that takes batches and runs their tasks, one after the other.

It imports as little as it can: this is most of the time that a first call takes.
"""

from __future__ import annotations

import io
import marshal
import os
import select
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic, sleep
from typing import Any, NoReturn, TypeAlias

from cotality.parallel._backends import cpus
from cotality.parallel._backends.capture.overhear import Capture
from cotality.parallel._backends.forks import in_forked_children
from cotality.parallel._backends.processes import board as layout
from cotality.parallel._backends.processes import calls, lifeline, main_module, unpacking
from cotality.parallel._backends.processes.board import (
    DONE,
    END_BITS,
    END_MASK,
    ONE_DONE,
    RECALLED,
    STARTED,
    WAITING,
    Board,
)
from cotality.parallel._backends.processes.calls import Calls
from cotality.parallel._backends.processes.channel import Channel, ChannelClosed
from cotality.parallel._backends.processes.codec import dump_failure
from cotality.parallel._backends.processes.columns import Columns, Links
from cotality.parallel._backends.processes.kinds import (
    BATCH,
    BROKEN,
    FORGET,
    FUNCTION,
    INHERIT,
    LEND,
    LISTEN,
    LOOK,
    READY,
    SETTLED,
    VERDICT,
)
from cotality.parallel._backends.processes.results import Results
from cotality.parallel._backends.processes.voice import Voice
from cotality.parallel._data.atoms import ATOMS
from cotality.parallel._data.place import become_worker

LOOK_SECONDS = 0.025
"""How long finished results may wait before the parent is told to look: longer than most batches take."""
AWAKE_SECONDS = 0.0002
"""How long a worker that has just run out of work stays awake for more: to wake it costs the parent four times as much
as to send, and may put it behind another process though a processor is idle."""
DOZE_SECONDS = 0.002
"""How long, in all, it looks for more, in between naps from then on, from which nobody has to wake it."""
NAP_SECONDS = 0.00001
"""A nap. The system's timers make it longer."""
EXIT_GRACE_SECONDS = 1.0
"""How long threads that tasks have left behind may hold up the end of the worker."""


def main(channel_fd: int, board_fd: int, lifeline_fd: int) -> NoReturn:
    """Live as a worker: never returns."""
    become_worker()
    lifeline.hold_on_to(lifeline_fd)
    _detach()
    channel = Channel(socket.socket(fileno=channel_fd))
    board = Board(board_fd)
    os.close(board_fd)
    code = 0
    try:
        Worker(channel, board).live()
    except ChannelClosed:
        pass
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    _end(code)


def _detach() -> None:
    """Be deaf to what is meant for the caller: its Ctrl-C, its input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    if nothing:
        os.close(nothing)
    for stream in (sys.stdout, sys.stderr):
        # What a task prints is out before the worker can be killed.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)


def _flush() -> None:
    """Let out what tasks have printed without ending the line."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            # There is none, a task has closed it, or nobody reads it any more.
            pass


def _end(code: int) -> NoReturn:
    """Leave: run what was registered for the exit, but wait for nothing longer than the grace."""
    leaver = threading.Timer(EXIT_GRACE_SECONDS, os._exit, (code,))
    leaver.daemon = True
    try:
        # Where no thread is left to see to the grace, there is none.
        leaver.start()
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.main_thread():
                thread.join()
        import atexit

        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    finally:
        os._exit(code)


_give_way: Callable[[], object] = getattr(os, "sched_yield", partial(sleep, 0))

Batch: TypeAlias = tuple[int, int, int, int, tuple[str, ...] | None, list[list[Any]], Links | None]
"""The first sequence number, how many tasks, the area, the function that all call, and what with, as ``Columns``."""


class Worker:
    """The loop, and what it knows: what it is to do, and how far it has come."""

    def __init__(self, channel: Channel, board: Board) -> None:
        self._channel = channel
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._board = board
        self._voice = Voice(channel, board)
        self._capture = Capture(self._voice.say)
        self._calls = Calls(board, self._voice, self._capture)
        self._results = Results(self._voice, __file__, calls.__file__, unpacking.__file__)
        self._forked: list[bool] = []
        in_forked_children(lambda: self._forked.append(True))
        self._inherited: list[int] = []
        self._batches: deque[Batch] = deque()
        self._idle_seconds: float | None = None
        self._epoch = 0
        self._keep = 0
        self._last_look = 0.0

    def live(self) -> None:
        """Take batches until the parent closes the channel, or has had nothing to do for too long."""
        while True:
            ran = bool(self._batches)
            while self._batches:
                self._run(*self._batches.popleft())
            if not (ran and self._linger()) and not self._wait():
                return
            self._take_frames()

    def _linger(self) -> bool:
        """Look a moment for more to do without being woken; tells whether there is something."""
        has_come = self._poll.poll
        since = monotonic()
        while not has_come(0):
            idle = monotonic() - since
            if idle < AWAKE_SECONDS:
                _give_way()
            elif idle < DOZE_SECONDS:
                sleep(NAP_SECONDS)
            else:
                return False
        return True

    def _wait(self) -> bool:
        """Wait for the parent; False after so long that it will not come back."""
        return self._idle_seconds is None or bool(self._poll.poll(1000 * self._idle_seconds))

    def _take_frames(self) -> None:
        for frame in self._channel.receive():
            if frame.kind == BATCH:
                self._batches.append(marshal.loads(frame.payload))
            elif frame.kind == FUNCTION:
                self._calls.learn(*marshal.loads(frame.payload))
            elif frame.kind == LEND:
                self._calls.lend(frame)
            elif frame.kind == FORGET:
                self._calls.forget(marshal.loads(frame.payload))
            elif frame.kind == VERDICT:
                self._obey(marshal.loads(frame.payload))
            elif frame.kind == INHERIT:
                self._inherited.append(os.dup(frame.fd))
                frame.close()
            elif frame.kind == LISTEN:
                self._capture.listen(frame.payload)
            else:
                self._set_up(marshal.loads(frame.payload))

    def _set_up(self, setup: dict[str, Any]) -> None:
        """Become what the parent is: its paths, its environment, its main module; then its initializer."""
        sys.path[:] = setup["sys_path"]
        sys.argv[:] = setup["argv"]
        if setup["environ"] != dict(os.environ):
            os.environ.clear()
            os.environ.update(setup["environ"])
        try:
            os.chdir(setup["cwd"])
        except OSError:
            pass
        main_module.answer_for_main(tuple(setup["main"]))
        self._capture.listen(setup["listening"])
        self._idle_seconds = setup["idle_seconds"]
        width = self._board.words
        cpus.enclosing_width.set(lambda: int(width[layout.WIDTH]))
        if setup["authkey"] is not None:
            import multiprocessing

            multiprocessing.current_process().authkey = setup["authkey"]
        if setup["memory_limit"] is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_DATA, (setup["memory_limit"], resource.RLIM_INFINITY))
        if setup["initializer"] is not None:
            from cotality.parallel._backends.processes.inherit import load_inherited

            try:
                initializer, arguments = load_inherited(setup["initializer"], self._inherited)
                self._capture.let_set_up(partial(initializer, *arguments))
            except BaseException as error:
                self._voice.send(BROKEN, dump_failure(error))
                raise ChannelClosed from error
        self._voice.send(READY)

    def _obey(self, verdict: tuple[int, int]) -> None:
        """The parent has recalled what it had sent: whatever comes after ``keep`` is not ours any more."""
        self._epoch, self._keep = verdict
        # Nothing in here has begun.
        self._batches.clear()
        _flush()
        self._voice.send(SETTLED, marshal.dumps(self._epoch))

    def _await_verdict(self, sequence: int) -> bool:
        """Recalled between two tasks: learn whether the next one is still ours."""
        epoch = self._epoch
        self._board.words[WAITING] = 1
        while self._epoch == epoch:
            self._take_frames()
        self._board.words[WAITING] = 0
        return sequence <= self._keep

    def _run(
        self,
        first: int,
        count: int,
        area_number: int,
        number: int,
        names: tuple[str, ...] | None,
        columns: list[list[Any]],
        links: Links | None,
    ) -> None:
        """Run a batch. A result is published before the next task is started, so it outlives us.

        What the tasks have printed is out before the parent can know the last result: the call may end with it.
        """
        words, times, area = self._board.words, self._board.times[area_number], self._board.areas[area_number]
        atoms, dump_atom, write, clock = ATOMS, marshal.dumps, area.write, monotonic
        forked, last_look, epoch = self._forked, self._last_look, self._epoch
        results = self._results
        area.seek(0)
        last, done = count - 1, first - 1 << END_BITS
        self._voice.last = first + last
        times[layout.BEGAN] = clock()
        words[STARTED] = first
        call, rows = self._calls.of_batch(first, number, Columns(names, columns, links))
        for place, row in enumerate(rows):
            if words[RECALLED] != epoch:
                if not self._await_verdict(first + place):
                    return
                # This one is ours because it counts as started; what follows is not.
                for column in columns:
                    del column[place + 1 :]
                epoch, last = self._epoch, place
            try:
                value = call(*row)
            except BaseException as error:
                data = results.failure(error)
            else:
                try:
                    data = dump_atom(value, 2) if type(value) in atoms else results.encode(first + place, value)
                except (ValueError, MemoryError):
                    # Marshal stops at 2 GiB.
                    data = results.encode(first + place, value)
                del value
            if forked:
                # The task has forked, and this is the child that came out of it: the answer is not ours to give.
                os._exit(0)
            try:
                write(data)
            except ValueError:
                write(data := results.send_apart(first + place, data))
            if place == last:
                _flush()
            done += ONE_DONE + len(data)
            times[place] = now = clock()
            words[DONE] = done
            if now - last_look > LOOK_SECONDS:
                last_look = now
                _flush()
                self._voice.send(LOOK)
        self._last_look = clock()
        times[layout.LENGTH] = done & END_MASK
        self._voice.send(LOOK)
