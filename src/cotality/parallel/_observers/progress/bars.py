"""Progress as bars, in a terminal or a notebook.

All runs of the program share one display, for there is one screen: a run inside of a task and a run in another thread
have their rows in it. It is there while there are runs, and what is printed meanwhile appears above it.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Display

from cotality.parallel._data.progress import Progress
from cotality.parallel._held import Held
from cotality.parallel._observers.progress.words import counts, rate, remaining, troubles

MOST_PARTS = 12
"""How many task names have a row of their own."""

_lock = threading.RLock()
_display: Display | None = None
_runs = 0


@cache
def console() -> Console:
    """Where bars are shown: what a program prints on standard output may be read by another one."""
    return Console(stderr=True)


def _open() -> Display:
    global _display, _runs
    with Held(_lock):
        if _display is None:
            _display = _new_display()
            _display.start()
        _runs += 1
        return _display


def _new_display() -> Display:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[counts]}", justify="right"),
        TextColumn("[red]{task.fields[troubles]}"),
        TextColumn("{task.fields[rate]}", justify="right", style="dim"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[remaining]}", style="progress.remaining"),
    )
    if console().is_jupyter:
        from cotality.parallel._observers.progress.notebook import NotebookDisplay

        return NotebookDisplay(*columns)
    return Display(*columns, console=console(), expand=True)


def _leave(display: Display, rows: list[TaskID]) -> None:
    global _display, _runs
    with Held(_lock):
        _runs -= 1
        if _runs:
            # The others need the room.
            for row in rows:
                display.remove_task(row)
        else:
            display.stop()
            _display = None


class Bars:
    """The rows of one run."""

    def __init__(self) -> None:
        self._display: Display | None = None
        self._rows: dict[str, TaskID] = {}

    def __call__(self, progress: Progress) -> None:
        display = self._display = self._display or _open()
        try:
            self._show(display, "", progress, progress.name or "tasks")
            if len(progress.parts) > 1:
                for name in list(progress.parts)[:MOST_PARTS]:
                    self._show(display, name, progress.parts[name], f"  {name}")
            if progress.finished or not display.live.auto_refresh:
                display.refresh()
            if progress.finished:
                self._leave()
        except Exception:
            # Nobody will call this any more.
            self._leave()
            raise

    def _leave(self) -> None:
        display, self._display = self._display, None
        if display is not None:
            _leave(display, list(self._rows.values()))

    def _show(self, display: Display, key: str, progress: Progress, description: str) -> None:
        facts: dict[str, Any] = {
            "description": escape(description),
            "total": progress.total,
            "completed": progress.done,
            "counts": counts(progress),
            "troubles": troubles(progress),
            "rate": rate(progress),
            "remaining": remaining(progress),
        }
        if key not in self._rows:
            self._rows[key] = display.add_task(**facts)
        else:
            display.update(self._rows[key], **facts)
        if progress.finished:
            display.stop_task(self._rows[key])
