"""Who watches a run: the log, the progress display, and the observers that the caller gave."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from cotality.parallel._data.checks import check_observers
from cotality.parallel._data.events import Identity, Observer, Watcher
from cotality.parallel._observers.audience import Audience
from cotality.parallel._observers.log import log_observer

guests: list[Callable[[], Watcher]] = []
"""In tests: what makes a watcher for each run, though its caller gave none."""


def new_identity(workflow: str | None = None) -> Identity:
    """The identity of a run that is about to begin."""
    return Identity(os.urandom(6).hex(), workflow)


def attend(run: Identity, observers: Sequence[Observer] = (), progress: Any = None) -> Audience | None:
    """The audience of a run; None if nobody cares.

    Parameters:
        run: Which run it is.
        observers: Those of the caller.
        progress: How progress is to be shown; None: it is not.

    Raises:
        TypeError: something that can not be told of events, or of progress.
    """
    check_observers(observers)
    watchers: list[Watcher] = []
    log = log_observer()
    watchers += [guest() for guest in guests]
    if log is not None or observers:
        # Only who listens pays for importing it.
        from cotality.parallel._observers.chronicle import Chronicle

        if log is not None:
            # A list or a stream has nothing but items.
            wants_tasks = run.workflow is not None and log.wants_tasks
            watchers.append(Chronicle(log, wants_tasks=wants_tasks, wants_items=log.wants_items))
        watchers += [Chronicle(observer) for observer in observers]
    if progress is not None and progress is not False:
        from cotality.parallel._observers.progress.choose import progress_watcher

        watchers.append(progress_watcher(progress))
    return Audience(run, watchers) if watchers else None
