"""What it costs to be told of calls: logs, progress, an account of the run; on threads, with calls that do nothing.

Progress is shown on a terminal, a pseudo-terminal that somebody reads. Importing this module imports no peer.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from tests.benchmarks.peers import Call, CotalityThreads, MpireThreads, PoolPeer, ThreadImap


def terminal(stack: ExitStack) -> None:
    """Make standard error a terminal until the stack is left."""
    reader, writer = os.openpty()
    stack.callback(os.close, reader)
    file = stack.enter_context(os.fdopen(writer, "w"))
    before, sys.stderr = sys.stderr, file
    stack.callback(setattr, sys, "stderr", before)

    def read() -> None:
        try:
            while os.read(reader, 65536):
                pass
        except OSError:
            # The last who could write has closed it.
            pass

    threading.Thread(target=read, daemon=True).start()


class Unwatched(CotalityThreads):
    label = "cotality, nobody looks"


class Summed(CotalityThreads):
    label = "cotality, logs as scripts have them"
    level: ClassVar[str] = "INFO"
    json: ClassVar[bool] = False

    def __init__(self, workers: int) -> None:
        from cotality.parallel import configure_logging

        super().__init__(workers)
        self._stack = ExitStack()
        path = Path(self._stack.enter_context(tempfile.TemporaryDirectory())) / "log"
        configure_logging(self.level, json=self.json, file=self._stack.enter_context(path.open("w")))

    def close(self) -> None:
        self._stack.close()


class Logged(Summed):
    label = "cotality, a line of JSON for each"
    level = "DEBUG"
    json = True


class Shown(CotalityThreads):
    label = "cotality, progress"

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._stack = ExitStack()
        terminal(self._stack)

    def collect(self, call: Call, units: Iterable[Any]) -> list[Any]:
        from cotality.core.utils.process import execute_tasks_in_parallel

        return execute_tasks_in_parallel(units, self.workers, progress=True)

    def close(self) -> None:
        self._stack.close()


class Recorded(CotalityThreads):
    label = "cotality, a workflow"
    """Of which everything is recorded that a report needs."""

    def collect(self, call: Call, units: Iterable[Any]) -> list[Any]:
        from cotality.workflow import Workflow

        units = list(units)
        flow = Workflow(max_workers=self.workers)
        for unit in units:
            flow.add(unit)
        self._run = flow.run()
        return [self._run[unit] for unit in units]


class Reported(Recorded):
    label = "cotality, a workflow and its report"

    def collect(self, call: Call, units: Iterable[Any]) -> list[Any]:
        results = super().collect(call, units)
        with tempfile.TemporaryDirectory() as folder:
            self._run.report(f"{folder}/report.html")
        return results


class ImapTqdm(ThreadImap):
    label = "ThreadPool.imap, tqdm"

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._stack = ExitStack()
        terminal(self._stack)

    def collect(self, call: Call, units: Iterable[Any]) -> list[Any]:
        from tqdm import tqdm

        return list(tqdm(self.stream(call, units), total=len(list(units))))

    def close(self) -> None:
        super().close()
        self._stack.close()


class MpireBar(MpireThreads):
    label = "mpire, threading, progress_bar"

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._stack = ExitStack()
        terminal(self._stack)

    def collect(self, call: Call, units: Iterable[Any]) -> list[Any]:
        results: list[Any] = self._pool.map(call, units, progress_bar=True)
        return results

    def close(self) -> None:
        super().close()
        self._stack.close()


class DaskReport(PoolPeer):
    label = "distributed, threads, performance_report"
    library = "distributed"
    statement = "from distributed import Client"

    def __init__(self, workers: int) -> None:
        from distributed import Client

        super().__init__(workers)
        self._client = Client(processes=False, n_workers=1, threads_per_worker=workers, dashboard_address=None)

    def collect(self, call: Call, units: Iterable[Any]) -> list[Any]:
        from distributed import performance_report

        with tempfile.TemporaryDirectory() as folder, performance_report(filename=f"{folder}/report.html"):
            results: list[Any] = self._client.gather(self._client.map(call, list(units), pure=False))
        return results

    def close(self) -> None:
        self._client.close()


WATCHED: tuple[type[PoolPeer], ...] = (
    Unwatched,
    Summed,
    Logged,
    Shown,
    Recorded,
    Reported,
    ImapTqdm,
    MpireBar,
    DaskReport,
)
