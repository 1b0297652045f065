"""The pages of shared memory between a process and its worker.

Words, each written by one side only:

============  =====  =================================================================================================
``DONE``      worker the last finished task and where its result ends, in one word: so both are published at once.
                     It also says that the next task of the batch, if there is one, is being started
``STARTED``   worker the first task of the batch it is at
``LOADING``   worker the task whose arguments are being loaded, or 0: its function has not been called
``WAITING``   worker 1 while it waits for the verdict on a recall, between two tasks; else 0
``RECALLED``  parent start nothing more before you have read my verdict; counts up
``WIDTH``     parent among how many workers the machine is divided just now
``SAID``      worker how many messages it has sent of what tasks log and warn: all of them are in the channel
============  =====  =================================================================================================

And two areas, for batches take turns: when each task of the batch was finished and when the batch was begun (monotonic
seconds), and the results. Each result is written
by marshal, one behind the other, so that together they are the inside of a list, which is read in one go. What is more
than an atom stands there as a tuple, ``(form, bytes)``; atoms are never tuples.

Recalling needs that the worker's "I start this" and the parent's "stop" can not miss each other. The worker stores
``DONE`` or ``STARTED`` and then reads ``RECALLED``; the parent stores ``RECALLED``, waits ``SETTLE_SECONDS`` and then
reads the other two. A processor holds a store back for nanoseconds, an interpreter a loop turn for microseconds: after
a millisecond either the parent sees the start, or the worker sees the recall.
"""

from __future__ import annotations

import mmap
from typing import Any

DONE, STARTED, LOADING, WAITING, RECALLED, WIDTH, SAID = range(7)
END_BITS = 24
END_MASK = (1 << END_BITS) - 1
ONE_DONE = 1 << END_BITS
"""What one more task adds to ``DONE``, beside the length of its result."""
MOST_TASKS = 1024
"""The largest batch."""
BEGAN = MOST_TASKS
"""Where among the times of a batch its beginning stands."""
LENGTH = MOST_TASKS + 1
"""And there, once the batch is over, how long its results are together."""
AREA = 512 * 1024
SETTLE_SECONDS = 0.001

PICKLED, FAILED, IN_PARCEL, UNLOADABLE, NO_INPUT = range(5)
"""The forms of results that are not atoms."""

_PAGE = mmap.ALLOCATIONGRANULARITY
_TIMES = (MOST_TASKS + 2) * 8
_WORDS = 64
_AREAS_AT = -(-(_WORDS + 2 * _TIMES) // _PAGE) * _PAGE
SIZE = _AREAS_AT + 2 * AREA


class Board:
    """Views of the pages; the file descriptor stays its owner's."""

    def __init__(self, fd: int) -> None:
        self._mapping = mmap.mmap(fd, _AREAS_AT)
        self._whole = memoryview(self._mapping)
        self.words = self._whole[:_WORDS].cast("Q")
        self.times = tuple(self._whole[_WORDS + _TIMES * i : _WORDS + _TIMES * (i + 1)].cast("d") for i in range(2))
        self.areas = tuple(mmap.mmap(fd, AREA, offset=_AREAS_AT + AREA * i) for i in range(2))

    def close(self) -> None:
        views: tuple[memoryview[Any], ...] = (*self.times, self.words, self._whole)
        for view in views:
            view.release()
        for mapping in (*self.areas, self._mapping):
            mapping.close()
