"""What a plan and the run loop ask of whoever remembers finished tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from cotality.parallel._data.messages import Ending, Planned

ELSEWHERE: Final = object()
"""Stands for a result that somebody else is making: it is to be asked for again."""
ASK_SECONDS: Final = 0.05
"""How soon."""


class Memory(Protocol):
    """One run's use of a journal and of caches."""

    tells: bool
    """Whether anybody wants to be told what was taken over."""

    def open(self) -> None:
        """The run begins."""
        ...

    def record(self, endings: Sequence[Ending], now: float) -> None:
        """So many attempts have ended; what was taken over is among them."""
        ...

    def news(self) -> list[Ending]:
        """What was taken over since somebody asked."""
        ...

    def patience(self, now: float) -> float | None:
        """How many seconds nothing has to be written; None: for ever."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...


class GraphMemory(Memory, Protocol):
    """The same for a workflow."""

    def recall(self, ticket: int) -> Any:
        """The result of a task that could run now, if there is one already; None if it has to run; ``ELSEWHERE``."""
        ...

    def may_follow(self, ticket: int, child: int) -> bool:
        """Whether a task may be sent along behind another one without being asked for."""
        ...


class ListMemory(Memory, Protocol):
    """The same for a list or a stream."""

    def recall(self, pulled: Sequence[Planned]) -> tuple[list[Planned], list[Ending], list[Planned]]:
        """Those of these tasks that have to run, the ends of others, and those that somebody else is at, who are to be
        asked for again."""
        ...

    def give_up(self, ticket: int) -> None:
        """A task has failed for good."""
        ...
