"""From what a caller gives as ``progress=`` to what shows it."""

from __future__ import annotations

import sys
from typing import Any

from cotality.parallel._data.place import in_worker
from cotality.parallel._data.progress import Progress
from cotality.parallel._observers.progress.lines import Lines
from cotality.parallel._observers.progress.watcher import ProgressWatcher


def progress_watcher(progress: Any) -> ProgressWatcher:
    """A watcher that shows progress as the caller wants it.

    Raises:
        TypeError: nothing that could show it.
    """
    if progress is True:
        # Without a standard error there is nobody to show it to.
        return ProgressWatcher(progress, _unseen if sys.stderr is None else _display())
    show = getattr(progress, "show", None)
    if callable(show):
        return ProgressWatcher(progress, show)
    if callable(getattr(progress, "update", None)) and hasattr(progress, "n"):
        return ProgressWatcher(progress, _Tqdm(progress))
    if callable(progress) and not isinstance(progress, type):
        return ProgressWatcher(progress, progress)
    raise TypeError(
        "progress must be True, a callable that takes a Progress, an object with a method show(progress), or a bar of "
        f"tqdm, not {type(progress).__name__}"
    )


def _display() -> Any:
    """A bar in a terminal and in a notebook, and lines elsewhere."""
    # Several workers would each draw over what the others have drawn.
    if not in_worker() and (sys.stderr.isatty() or "IPython" in sys.modules):
        from cotality.parallel._observers.progress.bars import Bars, console

        if sys.stderr.isatty() or console().is_jupyter:
            return Bars()
    return Lines(sys.stderr)


def _unseen(progress: Progress) -> None:
    pass


class _Tqdm:
    """Moves a bar of tqdm, which remains the caller's to close."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._shown = 0

    def __call__(self, progress: Progress) -> None:
        if progress.total is not None and self._bar.total is None:
            self._bar.total = progress.total
        self._bar.update(progress.done - self._shown)
        self._shown = progress.done
        if progress.failed and hasattr(self._bar, "set_postfix"):
            self._bar.set_postfix(failed=progress.failed, refresh=False)
        if progress.finished:
            self._bar.refresh()
