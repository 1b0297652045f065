"""Those who watch a run. None of them can change it or break it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from cotality.parallel._data.around import bare
from cotality.parallel._data.events import Identity, Note, Subject, Watcher
from cotality.parallel._data.messages import Ending, Planned
from cotality.parallel._observers.log import warn


class Audience:
    """The watchers of one run, as one of them.

    Parameters:
        run: Which run it is.
        watchers: Who watches. One that raises is told no more, and that is logged once.
    """

    def __init__(self, run: Identity, watchers: Sequence[Watcher]) -> None:
        self.run = run
        self._watchers = list(watchers)
        self._began = False

    def begin(self, subject: Subject, now: float) -> None:
        """The run begins."""
        self._began = True
        self._tell(lambda watcher: watcher.begin(self.run, subject, now))

    @property
    def accompanies(self) -> bool:
        """Whether somebody is to be asked before attempts are given to a backend."""
        return any(watcher.accompanies for watcher in self._watchers)

    @property
    def wants_each(self) -> bool:
        """Whether somebody is to be told of each task."""
        return any(watcher.wants_each for watcher in self._watchers)

    def accompany(self, batch: Sequence[Planned], now: float) -> Sequence[Planned]:
        """These attempts are given to a backend, with what watchers send along."""
        batch = [(ticket, bare(call)) for ticket, call in batch]
        # The first of them is the outermost.
        for watcher in self._watchers[::-1]:
            if watcher.accompanies:
                try:
                    batch = watcher.accompany(batch, now)
                except KeyboardInterrupt:
                    raise
                except BaseException as error:
                    self._drop(watcher, error)
        return batch

    def turn(self, endings: Sequence[Ending], notes: Sequence[Note], now: float) -> None:
        """So many attempts have ended, and this was decided."""
        for watcher in tuple(self._watchers):
            try:
                watcher.turn(endings, notes, now)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._drop(watcher, error)

    def end(self, state: str, now: float) -> None:
        """The run is over; more than once, or before it has begun, does nothing."""
        if self._began:
            self._tell(lambda watcher: watcher.end(state, now))
        self._watchers.clear()

    def _tell(self, tell: Callable[[Watcher], Any]) -> None:
        for watcher in tuple(self._watchers):
            try:
                tell(watcher)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._drop(watcher, error)

    def _drop(self, watcher: Watcher, error: BaseException) -> None:
        self._watchers.remove(watcher)
        with suppress(Exception):
            # What it says of itself is the user's code, and so may be the log.
            warn(
                "observer.failed",
                f"it is told no more: {type(error).__name__} was raised",
                observer=watcher_name(watcher),
                run=self.run.id,
            )


def watcher_name(watcher: Watcher) -> str:
    """What a watcher is called: who stands behind it, if somebody does."""
    behind = getattr(watcher, "observer", watcher)
    return getattr(behind, "__qualname__", type(behind).__qualname__)
