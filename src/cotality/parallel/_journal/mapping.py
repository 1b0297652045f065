"""The files of large results in memory: mapped, so that an array is not copied, as long as descriptors are plenty."""

from __future__ import annotations

import mmap
import weakref
from pathlib import Path
from typing import Final

SHARE_OF_DESCRIPTORS: Final = 8
"""One in so many of the descriptors that the process may have may be held by results that are mapped. What comes beyond
is copied."""

_mapped = 0


def contents_of(path: Path) -> mmap.mmap | bytearray:
    """What is in a file. What the user does to an array stays his: the file is not changed.

    Raises:
        OSError: it can not be read.
    """
    global _mapped
    import resource

    with open(path, "rb") as file:
        size = file.seek(0, 2)
        if not size or _mapped >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] // SHARE_OF_DESCRIPTORS:
            file.seek(0)
            return bytearray(file.read())
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    _mapped += 1
    weakref.finalize(mapping, _unmapped).atexit = False
    return mapping


def _unmapped() -> None:
    global _mapped
    _mapped -= 1
