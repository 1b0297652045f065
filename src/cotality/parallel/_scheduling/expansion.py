"""A map that has begun: its items, and where the next one comes from.

Where a map goes through other maps only, an item is made as soon as those that it comes from have ended, in whatever
order that is: one that is tried again for a minute holds up none of the others. A list beside them is gone through in
its order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from cotality.parallel._data.mapped import Mapped

NOT_BEGUN: Final = -1
"""Stands among the items for one that is not there yet, though some behind it are."""
_OVER: Final = object()


class Missing(NamedTuple):
    """An item that does not exist, because the one that it would come from has failed."""

    cause: str
    error: Exception


class Upstream:
    """The results of another map as the source of a map.

    Parameters:
        expansion: The other map.
    """

    def __init__(self, expansion: Expansion) -> None:
        self.expansion = expansion
        self.untaken: set[int] = set()
        """The places of the items that were begun there and have not been taken here."""
        self.ended: dict[int, None] = {}
        """Those of them that have ended, in the order in which they did."""

    @property
    def lag(self) -> int:
        """How many items were begun there and have not been taken here."""
        return len(self.untaken)

    def take(self, place: int) -> int:
        """Take an item; gives its ticket."""
        self.untaken.discard(place)
        self.ended.pop(place, None)
        return self.expansion.items[place]


class Expansion:
    """A map that has begun.

    Parameters:
        ticket: Its ticket.
        mapped: The map.
    """

    def __init__(self, ticket: int, mapped: Mapped[Any]) -> None:
        self.ticket = ticket
        self.mapped = mapped
        self.sources: list[Iterator[Any] | Upstream] = []
        self.items: list[int] = []
        """The tickets of its items, each at its place."""
        self.held = bytearray()
        """Whether each item's result is held for who takes all of them together."""
        self.length: int | None = None
        """How many items there will be, where that is known before the last has come."""
        self.kind: str | None = None
        """The name that all of its items have had so far; empty if they had several, None if there was none."""
        self.single = True
        """Whether each of them was one task, with nothing made beside it."""
        self.unfinished = 0
        self.unconsumed = 0
        """How many of its items' outcomes a stream has not handed out yet."""
        self.exhausted = False
        self.bar: Missing | None = None
        """What made an item not succeed: nor does this one then."""
        self.cut: Missing | None = None
        """What ended the map that it goes through before its time: the rest of its items will never be."""
        self.error: Exception | None = None
        """What its source raised, or what is wrong with it."""
        self.followers: list[Upstream] = []
        self.borrowed: set[int] = set()
        """What its items use that is no item, kept as long as there may be more items."""
        self._begun = 0
        self._places: dict[int, int] = {}
        """The places of the items that have not ended, by their tickets."""

    @property
    def upstreams(self) -> list[Upstream]:
        """The maps that it goes through item by item, each once."""
        return list(dict.fromkeys(source for source in self.sources if isinstance(source, Upstream)))

    @property
    def is_complete(self) -> bool:
        """Whether all items exist that there should be, so that they tell all of its end."""
        return self.error is None and self.cut is None

    @property
    def to_come(self) -> tuple[str, int] | None:
        """How many tasks it will still make, if they go on to be like those so far, and what they are called."""
        if self.exhausted:
            return "", 0
        if self.length is None or self.kind is None or not self.single:
            return None
        return self.kind, max(0, self.length - self._begun)

    # What comes next -------------------------------------------------------------------------------------------------

    def due(self) -> int | None:
        """The place of an item that can be made; None if there is none now, or none any more: ``exhausted`` tells."""
        if self.exhausted:
            return None
        upstreams = self.upstreams
        if not upstreams:
            return len(self.items)
        if all(isinstance(source, Upstream) for source in self.sources):
            first, *others = upstreams
            place = next((place for place in first.ended if all(place in other.ended for other in others)), None)
        else:
            place = self._begun if all(self._begun in upstream.ended for upstream in upstreams) else None
        if place is None:
            self._see_whether_it_is_over(upstreams)
        return place

    def _see_whether_it_is_over(self, upstreams: list[Upstream]) -> None:
        # All that the shortest of them has are taken.
        short = [each for each in upstreams if each.expansion.exhausted and len(each.expansion.items) == self._begun]
        if not short:
            return
        for upstream in short:
            other = upstream.expansion
            self.cut = self.cut or (other.cut if other.error is None else Missing(other.mapped.name, other.error))
        if any(upstream.lag for upstream in upstreams) or any(
            self._pull(source) is not _OVER for source in self.sources if not isinstance(source, Upstream)
        ):
            self._end_unequal()
        elif len(short) == len(upstreams):
            self.exhausted = True

    def pull(self) -> list[Any] | None:
        """The next items of the sources that are no maps; None if there are none any more."""
        items = [self._pull(source) for source in self.sources if not isinstance(source, Upstream)]
        if not any(item is _OVER for item in items):
            return items
        if self.upstreams or not all(item is _OVER for item in items):
            self._end_unequal()
        self.exhausted = True
        return None

    def _pull(self, source: Iterator[Any]) -> Any:
        try:
            return next(source, _OVER)
        except Exception as error:
            self.error = error
            return _OVER

    def _end_unequal(self) -> None:
        self.exhausted = True
        if self.is_complete:
            self.error = ValueError(f"the iterables of {self.mapped.name} are of unequal length")

    # Its items -------------------------------------------------------------------------------------------------------

    def begin(self, place: int, ticket: int, *, held: bool) -> None:
        """An item has been made."""
        missing = place + 1 - len(self.items)
        self.items.extend([NOT_BEGUN] * missing)
        self.held.extend(bytes(max(0, missing)))
        self.items[place], self.held[place] = ticket, held
        self._begun += 1
        self._places[ticket] = place
        self.unfinished += 1
        for follower in self.followers:
            follower.untaken.add(place)

    def end(self, ticket: int) -> None:
        """An item has ended."""
        place = self._places.pop(ticket)
        self.unfinished -= 1
        for follower in self.followers:
            follower.ended[place] = None
