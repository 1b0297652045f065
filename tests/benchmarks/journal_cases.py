"""What it costs to remember results, and not to make them again: beside libraries that keep results on a disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from tests.benchmarks import gauges, work
from tests.benchmarks.case import Case, Figure, Figures, Scale
from tests.benchmarks.graph_engines import settle_prefect
from tests.benchmarks.peers import Peer


class Remembering(Peer):
    """One way to call a function of each value, with results that are kept in a folder.

    Calling it a second time with the same values is to make nothing again.
    """

    calls: ClassVar[tuple[int, int]] = (5_000, 1_000)
    """How many calls the full and the quick run have."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)

    def call(self, values: Sequence[int]) -> list[int]:
        """The results, in order."""
        raise NotImplementedError

    def hash(self, data: Any) -> Any:
        """What stands for a large argument."""
        raise NotImplementedError

    def close(self) -> None:
        self._folder.cleanup()


class CotalityJournal(Remembering):
    label = "cotality, journal"
    library = "cotality"
    statement = "from cotality.core.utils.process import Task, execute_tasks_in_parallel"
    ours = True
    calls = (100_000, 100_000)

    def call(self, values: Sequence[int]) -> list[int]:
        from cotality.core.utils.process import Task, execute_tasks_in_parallel

        tasks = [Task(work.noop, {"value": value}) for value in values]
        return execute_tasks_in_parallel(tasks, backend="serial", journal=self.folder / "run.db")

    def hash(self, data: Any) -> Any:
        from cotality.parallel._journal.content import Content

        return Content().token(data)


class JoblibMemory(Remembering):
    label = "joblib.Memory"
    library = "joblib"
    statement = "from joblib import Memory"

    def call(self, values: Sequence[int]) -> list[int]:
        from joblib import Memory

        kept = Memory(self.folder, verbose=0).cache(work.noop)
        return [kept(value) for value in values]

    def hash(self, data: Any) -> Any:
        from joblib import hash as hashed

        return hashed(data)


class Redun(Remembering):
    label = "redun"
    library = "redun"
    statement = "from redun import Scheduler, task"

    def call(self, values: Sequence[int]) -> list[int]:
        import logging

        from redun import Scheduler, task
        from redun.config import Config

        logging.disable(logging.CRITICAL)
        kept = task(name="noop", namespace="benchmark", version="1")(work.noop)
        scheduler = Scheduler(config=Config({"backend": {"db_uri": f"sqlite:///{self.folder}/redun.db"}}))
        scheduler.load()
        found: list[int] = scheduler.run([kept(value) for value in values])
        return found

    def hash(self, data: Any) -> Any:
        from redun.value import get_type_registry

        return get_type_registry().get_hash(data)


class PrefectResults(Remembering):
    label = "Prefect, persisted results"
    library = "prefect"
    statement = "from prefect import flow, task"
    calls = (500, 200)

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        settle_prefect(str(self.folder))
        from prefect import flow, task
        from prefect.cache_policies import INPUTS

        kept = task(persist_result=True, cache_policy=INPUTS)(work.noop)

        @flow
        def benchmark(values: list[int]) -> list[int]:
            return [kept(value) for value in values]

        self._flow = benchmark

    def call(self, values: Sequence[int]) -> list[int]:
        found: list[int] = self._flow(list(values))
        return found

    def hash(self, data: Any) -> Any:
        from prefect.utilities.hashing import hash_objects

        return hash_objects(data)


def remember(peer_type: type[Remembering], scale: Scale) -> Figures:
    """Calls that do nothing, of which each result is kept; and then the same calls again."""
    figures: Figures = {}
    most = peer_type.calls[scale.quick]
    with closing(peer_type(1)) as peer:
        peer.call(range(10))
        values = range(100, 100 + most)
        for key in ("record", "skip"):
            results: list[list[int]] = []
            spent = gauges.seconds(lambda results=results: results.append(peer.call(values)))  # type: ignore[misc]
            assert results == [list(values)]
            figures[key] = spent / most * 1e6
    return {**figures, "tasks": most}


def fingerprint(peer_type: type[Remembering], scale: Scale) -> Figures:
    """How fast a large argument is recognised."""
    import numpy as np

    size = (50 if scale.quick else 400) * gauges.MEGABYTE
    data = np.frombuffer(os.urandom(gauges.MEGABYTE) * (size // gauges.MEGABYTE), dtype="u1")
    with closing(peer_type(1)) as peer:
        peer.hash(np.ones(10))
        return {"rate": size / gauges.seconds(lambda: peer.hash(data)) / 1e9}


_PEERS = (CotalityJournal, JoblibMemory, Redun, PrefectResults)
JOURNAL_CASES: tuple[Case, ...] = (
    Case(
        "journal",
        "keeping the results of calls that do nothing, and calling again",
        _PEERS,
        (
            Figure("record", "µs a task, kept"),
            Figure("skip", "µs a task, not run again"),
            Figure("tasks", "tasks", best=""),
        ),
        remember,
    ),
    Case(
        "fingerprint",
        "recognising an array of {400|50} MB",
        _PEERS,
        (Figure("rate", "GB/s", best="most"),),
        fingerprint,
    ),
)
