"""How many failures a run bears."""

from __future__ import annotations

FEWEST = 100
"""Of fewer tasks than these no share can be told, as long as others may come."""


class Tolerance:
    """How many failures a run bears: none (``"fail_fast"``), any number (``"finish"``), so many, or such a share."""

    def __init__(self, failure: str | int | float) -> None:
        self._most: float = 0 if failure == "fail_fast" else float("inf") if failure == "finish" else float(failure)
        self._share = isinstance(failure, float) and failure < 1

    def exceeded(self, failures: int, tasks: int, *, more: bool) -> bool:
        """Whether so many failures are too many.

        Parameters:
            failures: How many tasks have failed.
            tasks: How many there are, as far as is known.
            more: Whether a map may still make others: then a share is one of at least ``FEWEST``.
        """
        if more:
            tasks = max(tasks, FEWEST)
        return failures > (self._most * tasks if self._share else self._most)
