"""The garbage collector of the caller's process, which looks at everything there is again and again while a great many
objects are made that are all there to stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Let the collector wait while something of ours is made; no code of the user's may run in here.

    Afterwards it is as it was, whatever is raised, a Ctrl-C included. It is one for the whole process: if another
    thread turns it off meanwhile, it is on again at the end.
    """
    was_on = gc.isenabled()
    try:
        gc.disable()
        yield
    finally:
        if was_on:
            gc.enable()
