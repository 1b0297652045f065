"""How large a batch and the window are: by how long tasks take, so that nobody chooses a chunk size."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from cotality.parallel._data.messages import Ending

BATCH_SECONDS = 0.02
"""The work one message should carry. A message costs 100 to 300 µs on both sides together: about 1 % of this."""
WORTHWHILE_SECONDS = 0.001
"""The least work that is worth a message of its own, as long as no worker waits for it."""
LONG_SECONDS = 0.1
"""A worker that has run a task as long as this may well wait for the next one until the loop has turned."""
LARGEST_BATCH = 512
SAMPLES = 16


class Sizing:
    """Learns the mean duration of a run's attempts and answers in numbers of tasks.

    Parameters:
        workers: How many attempts run at once.
        reach: The widest window that the backend can use.
        window: The window the caller asked for; None: two tasks a worker, more only while tasks are so short that
            two batches a worker hold more.
        batch_seconds: The work that one message should carry.
    """

    def __init__(self, workers: int, reach: int, window: int | None, batch_seconds: float = BATCH_SECONDS) -> None:
        self._workers = workers
        self._reach = reach
        self._fixed = window
        self._batch_seconds = batch_seconds
        self._mean = 0.0
        self._turnover: float = workers
        """How many end between two turns of the loop, at the most of late."""
        self.batch = 1
        self.window = window or 2 * workers

    def learn(self, endings: Sequence[Ending]) -> None:
        """Take note of how long these attempts took. Looks at a few of them: this is done for every task there is."""
        sample = endings[:: len(endings) // SAMPLES + 1]
        spent = 0.0
        for _ticket, _failure, _value, started, ended, _worker in sample:
            spent += ended - started
        seen = spent / len(sample)
        self._mean = (self._mean + seen) / 2 if self._mean else seen
        self._turnover = max(len(endings), 0.9 * self._turnover)
        # One outlier must not make single messages of the next thousand tasks, nor one lucky handful a huge batch.
        fitting = int(self._batch_seconds / (self._mean + 1e-7))
        self.batch = max(1, self.batch // 2, min(fitting, 2 * self.batch + 6, LARGEST_BATCH))
        if self._fixed is None:
            self.window = max(2 * self._workers, min(self._reach, 2 * self._workers * self.batch))

    @property
    def stock(self) -> int:
        """How many may be with workers that take from one heap. Beyond what they run only what they take up before they
        can be given more: what lies there has its turn before what is more urgent and comes later."""
        ahead = 0 if self._mean > LONG_SECONDS else ceil(2 * self._turnover)
        return min(self.window, self._workers + ahead)

    def share(self, due: int, idle: int) -> int:
        """How many of the tasks that are due the next batch may hold: enough to be worth a message, but so that each
        worker gets some. None when nobody waits for work and more may be due before somebody does.

        Parameters:
            due: How many are due.
            idle: How many workers have nothing to do.
        """
        enough = int(WORTHWHILE_SECONDS / (self._mean + 1e-7)) + 1
        ahead = -(-due // (2 * self._workers))
        if idle:
            return max(1, ahead, min(-(-due // idle), enough))
        return max(ahead, enough) if due >= enough else 0
