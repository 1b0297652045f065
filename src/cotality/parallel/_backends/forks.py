"""What depends on whether this system can fork a process. Windows can not."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal, TypeAlias

StartMethod: TypeAlias = Literal["forkserver", "spawn", "fork"]
"""How a worker process comes to be."""

START_METHODS: tuple[StartMethod, ...] = ("forkserver", "spawn", "fork") if hasattr(os, "fork") else ("spawn",)
"""Those that this system has; the first is the default."""


def in_forked_children(action: Callable[[], object]) -> None:
    """From now on do this first in each child that this process forks: what it inherits is its parent's."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=action)
