"""What observers may ask of the plan of a list or a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cotality.parallel._data.messages import AnyCall
from cotality.parallel._scheduling.plan import Plan


class ListSurvey:
    """Answers for a list or a stream.

    Parameters:
        plan: Its plan.
        total: How many tasks it has, if that is known.
        backend: Where they run.
    """

    def __init__(self, plan: Plan, total: int | None, backend: Any) -> None:
        self._plan = plan
        self._total = total
        self._backend = name_of_lane(backend)

    @property
    def total(self) -> int | None:
        return self._total if self._total is not None or not self._plan.exhausted else self._plan.taken

    def to_come(self) -> Mapping[str, int] | None:
        return {}

    def names(self, start: int) -> tuple[Sequence[str], int]:
        return (), 0

    def is_item(self, ticket: int) -> bool:
        return True

    def place_of(self, ticket: int) -> int | None:
        return None

    def ready_at(self, ticket: int) -> float | None:
        return None

    def backend_of(self, call: AnyCall) -> str:
        return self._backend

    def counts(self) -> Mapping[str, int]:
        plan = self._plan
        succeeded = plan.ended - plan.failed.total()
        counts = {"succeeded": succeeded, **plan.failed, "cancelled": plan.taken - plan.ended}
        return {state: number for state, number in counts.items() if number}


def name_of_lane(lane: Any) -> str:
    """What a backend is called, of which no more may be known than its class."""
    return lane if isinstance(lane, str) else type(lane).__name__
