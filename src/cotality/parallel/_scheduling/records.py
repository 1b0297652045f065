"""What is written down of each task of a run: three numbers and a letter; the rest only where there is more to say."""

from __future__ import annotations

from array import array
from typing import Any, Final, NamedTuple

from cotality.parallel._data.outcome import Outcome, State, state_of_error
from cotality.parallel._data.row import EarlierAttempt
from cotality.parallel._data.wording import summary_of

PENDING, SUCCEEDED, FAILED, SKIPPED, CANCELLED = range(5)
NAMES: Final[dict[int, State]] = {SUCCEEDED: "succeeded", SKIPPED: "skipped", CANCELLED: "cancelled"}
"""How people say it; what has failed may have done so in several ways."""
NEVER: Final = -1.0
NO_PLACE: Final = -1
DROPPED: Final = object()
"""Stands for a result that is not there any more."""


class Gone(NamedTuple):
    """What is left of an item of a map that nobody will ask for any more."""

    name: str
    is_task: bool


class Records:
    """States and times by ticket; outcomes are made of them when somebody asks."""

    def __init__(self) -> None:
        self.state: bytearray = bytearray()
        self.ready: array[float] = array("d")
        self.began: array[float] = array("d")
        self.ended: array[float] = array("d")
        self.workers: list[str | None] = []
        self.places: array[int] = array("q")
        """Where an item stands in its map; NO_PLACE for what is no item."""
        self.attempts: dict[int, int] = {}
        """How often a task was tried, where it was more than once."""
        self.earlier: dict[int, list[EarlierAttempt]] = {}
        """Its attempts that were followed by another one, on the clock of the run loop."""
        self.errors: dict[int, Exception] = {}
        self.causes: dict[int, str] = {}
        """The name of the task whose failure was the first cause, for each that was skipped."""

    def followed(self, ticket: int, failure: BaseException) -> None:
        """The attempt that has just ended, with this, is followed by another one."""
        error = f"{summary_of(failure):.200}"
        began, ended, worker = self.began[ticket], self.ended[ticket], self.workers[ticket]
        self.earlier.setdefault(ticket, []).append(EarlierAttempt(began, ended, worker, state_of_error(failure), error))

    def extend(self, count: int) -> range:
        """Tickets for so many more tasks."""
        first = len(self.state)
        for times in (self.ready, self.began, self.ended):
            times.extend(array("d", [NEVER]) * count)
        self.workers.extend([None] * count)
        self.places.extend(array("q", [NO_PLACE]) * count)
        # Last: who has a state is there, and a Ctrl-C in the midst of this leaves nobody who is there by half.
        self.state.extend(bytes(count))
        return range(first, first + count)

    def outcome(self, ticket: int, node: Any, value: Any, name: str | None = None) -> Outcome[Any]:
        """What a task that has ended came to."""
        began, ready = self.began[ticket], self.ready[ticket]
        started = began != NEVER
        first = self.earlier[ticket][0].start if ticket in self.earlier else began
        succeeded = self.state[ticket] == SUCCEEDED
        return Outcome(
            task=None if type(node) is Gone else node,
            name=name or node.name,
            index=ticket,
            state=self.state_of(ticket),
            # A map that has not succeeded keeps what some of its items gave, for those.
            value=value if succeeded and value is not DROPPED else None,
            error=self.errors.get(ticket),
            attempts=self.attempts.get(ticket, 1) if started else 0,
            waited=max(0.0, first - ready) if started and ready != NEVER else 0.0,
            duration=max(0.0, self.ended[ticket] - began) if started else 0.0,
            worker=self.workers[ticket],
            first_cause=self.causes.get(ticket),
            kept=value is not DROPPED or not succeeded,
            place=self.place_of(ticket),
        )

    def place_of(self, ticket: int) -> int | None:
        """The place of an item in its map; None for what is no item."""
        place = self.places[ticket]
        return None if place == NO_PLACE else place

    def state_of(self, ticket: int) -> State:
        """How a task has ended, as people say it."""
        state = self.state[ticket]
        return state_of_error(self.errors[ticket]) if state == FAILED else NAMES.get(state, "cancelled")
