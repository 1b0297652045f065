"""What is due, by the backend that it is due on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Any, TypeAlias

from cotality.parallel._data.limit import Limit
from cotality.parallel._data.messages import Planned
from cotality.parallel._data.task import Task
from cotality.parallel._scheduling.ranks import Ranks

LaneName: TypeAlias = Any
"""What tells one of a run's backends from another."""
Entry: TypeAlias = "int | Planned"
"""What is due: a ticket, or what was planned already and comes back."""


class Lane:
    """What is due on one backend.

    ``chains`` is told by whoever opens the backend: whether it can send a task along behind the one whose result it
    needs; and ``keeps``: whether results stay where they were made unless somebody here needs them.
    """

    def __init__(self) -> None:
        self.due: deque[Entry] | Ranked = deque()
        self.barred: dict[tuple[Limit, ...], deque[Entry]] = {}
        """Those that are due but for a limit."""
        self.chains = False
        self.keeps = False

    def __bool__(self) -> bool:
        return bool(self.due) or any(self.barred.values())

    def rank(self, ranks: Ranks) -> None:
        """From now on, or once more, the one with the highest rank comes first."""
        if isinstance(self.due, Ranked):
            self.due.renew()
        else:
            self.due = Ranked(ranks, self.due)


class Ranked:
    """What is due, the highest rank first; what comes back, even before that. Used as the queue that it replaces."""

    def __init__(self, ranks: Ranks, due: Iterable[Entry]) -> None:
        self._ranks = ranks
        self._numbers = count()
        self._heap: list[tuple[float, int, Entry]] = [(0.0, next(self._numbers), entry) for entry in due]
        self.renew()

    def renew(self) -> None:
        """The ranks have changed."""
        rank_of = self._ranks.of
        self._heap = [
            (-rank_of(entry if type(entry) is int else entry[0]) if first > -inf else first, number, entry)  # type: ignore[index]
            for first, number, entry in self._heap
        ]
        heapify(self._heap)

    def append(self, entry: Entry) -> None:
        heappush(self._heap, (-self._ranks.of(ticket_of(entry)), next(self._numbers), entry))

    def appendleft(self, entry: Entry) -> None:
        heappush(self._heap, (-inf, next(self._numbers), entry))

    def popleft(self) -> Entry:
        return heappop(self._heap)[2]

    def __len__(self) -> int:
        return len(self._heap)


def ticket_of(entry: Entry) -> int:
    """The ticket of what is due."""
    return entry if isinstance(entry, int) else entry[0]


class Lanes:
    """The lanes of one run. Others may join, as maps make tasks.

    Parameters:
        name_of: Says on which backend a task runs.
    """

    def __init__(self, name_of: Callable[[Task[Any]], LaneName]) -> None:
        self._name_of = name_of
        self.by_name: dict[LaneName, Lane] = {}
        self._last: tuple[Any, Any, Lane] = None, None, Lane()

    def of(self, task: Task[Any]) -> Lane:
        """Where a task runs."""
        options, function, lane = self._last
        if task.options is not options or task.callback_function is not function:
            # Most are like the one before them.
            lane = self.by_name.setdefault(self._name_of(task), Lane())
            self._last = task.options, task.callback_function, lane
        return lane

    def rank(self, ranks: Ranks) -> None:
        """From now on the one with the highest rank comes first on each lane."""
        for lane in self.by_name.values():
            lane.rank(ranks)

    @property
    def any_barred(self) -> bool:
        """Whether a limit keeps something from starting."""
        return any(any(lane.barred.values()) for lane in self.by_name.values() if lane.barred)

    def __bool__(self) -> bool:
        """Whether anything is due."""
        return any(self.by_name.values())
