"""Clocks and memory, as the system reports them (Linux)."""

from __future__ import annotations

import os
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from tests.benchmarks.work import spin

MEGABYTE = 1_000_000
SAMPLE_SECONDS = 0.005


def seconds(action: Callable[[], object]) -> float:
    """How long a call takes."""
    before = time.perf_counter()
    action()
    return time.perf_counter() - before


def seconds_per_loop() -> float:
    """What one turn of ``spin`` costs in this process when nothing interrupts it."""
    turns = 200_000
    return min(seconds(lambda: spin(turns)) for _ in range(5)) / turns


def resident() -> float:
    """The resident set of this process, in MB."""
    return _status("VmRSS")


def peak_resident() -> float:
    """The largest resident set this process has had, in MB."""
    return _status("VmHWM")


def _status(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / MEGABYTE
    raise LookupError(field)


class PeakOfTree:
    """The most that ``resident_tree`` is during a ``with`` block, in MB.

    Sampled by a thread, so what comes and goes within a few milliseconds is missed, and what is timed should be timed
    without it.
    """

    def __enter__(self) -> PeakOfTree:
        self.peak = resident_tree()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self.peak = max(self.peak, resident_tree())

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, resident_tree())


def resident_tree() -> float:
    """What this process and its descendants hold, in MB: a page that several of them map counts once (``Pss``)."""
    return sum(_pss(pid) for pid in _tree()) / MEGABYTE


def _pss(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        # It has ended since it was listed.
        return 0
    return next((int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0)


def _tree() -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                # The name in parentheses may hold anything; the parent is the second word after it.
                parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry))
    found = [os.getpid()]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


class Received:
    """What this process receives over TCP during a ``with`` block, in MB, as the kernel counts it.

    Connections that are closed within the block are missed: engines keep theirs.
    """

    def __enter__(self) -> Received:
        self._before = _received()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        after = _received()
        self.megabytes = sum(count - self._before.get(inode, 0) for inode, count in after.items()) / MEGABYTE


_TCP_INFO_BYTES_RECEIVED = 128
"""Where ``tcpi_bytes_received`` stands in ``struct tcp_info``."""


def _received() -> dict[int, int]:
    """How many bytes have come over each connection that is open, by the inode of its socket."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            status = os.fstat(int(name))
            if not stat.S_ISSOCK(status.st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as copy:
                info = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        except OSError:
            # It is no connection of TCP, or was closed meanwhile.
            continue
        if len(info) >= _TCP_INFO_BYTES_RECEIVED + 8:
            found[status.st_ino] = int.from_bytes(info[_TCP_INFO_BYTES_RECEIVED:][:8], sys.byteorder)
    return found
