"""What a case is: something that is measured, with several peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.benchmarks.peers import Peer

SEED = 20_240_501
WORKERS = 2


@dataclass(frozen=True)
class Scale:
    """How much a measurement may cost, and which round it belongs to."""

    quick: bool
    round: int

    @property
    def seconds(self) -> float:
        """What a measurement per task may take."""
        return 0.3 if self.quick else 0.8


@dataclass(frozen=True)
class Figure:
    """A column of a case's table."""

    key: str
    unit: str
    best: str = "least"
    """``"least"``, ``"most"``, or ``""`` for what is shown and not compared."""


Figures: TypeAlias = dict[str, float]
Measure: TypeAlias = Callable[[Any, Scale], Figures]
"""Takes the class of a peer: of one that runs what the case is about."""


@dataclass(frozen=True)
class Case:
    """One thing that is measured.

    Parameters:
        name: What ``--case`` takes.
        title: What the table says; ``{...}`` holds what the full and the quick run differ in, as ``{full|quick}``.
        peers: Who takes part.
        figures: What ``measure`` gives.
        measure: Measures one peer, in a process of its own.
        rounds: How many rounds the full and the quick run have.
        by_library: Whether the rows are libraries, not ways to use them.
        full_only: Who is too slow for the quick run.
    """

    name: str
    title: str
    peers: tuple[type[Peer], ...]
    figures: tuple[Figure, ...]
    measure: Measure
    rounds: tuple[int, int] = (3, 2)
    by_library: bool = False
    full_only: tuple[type[Peer], ...] = ()

    def taking_part(self, *, quick: bool) -> list[type[Peer]]:
        """Who is measured, of those that are installed."""
        return [peer for peer in self.peers if peer.installed() and not (quick and peer in self.full_only)]

    def label(self, peer: type[Peer]) -> str:
        library = "concurrent.futures" if peer.library == "concurrent" else peer.library
        return library if self.by_library else peer.label


PER_TASK = Figure("task", "µs a task")
PER_TASK_COUNT = Figure("tasks", "tasks", best="")


def per_task(run: Callable[[int], float], most: int, budget: float, *, thirds: int = 4) -> Figures:
    """Microseconds a task, with as many tasks, up to ``most``, as fit into the budget.

    It begins with a third of a third of … of the most.
    """
    count = spent = 0.0
    for power in range(thirds, -1, -1):
        count = most // 3**power
        spent = run(int(count))
        if 3 * spent > budget:
            break
    return {"task": spent / count * 1e6, "tasks": count}
