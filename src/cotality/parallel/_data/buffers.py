"""Buffers that are kept out of a pickle, so that they are not copied into it."""

from __future__ import annotations

from collections.abc import Callable
from pickle import PickleBuffer


def keeping_apart(buffers: list[memoryview], least: int) -> Callable[[PickleBuffer], bool]:
    """A ``buffer_callback`` that puts buffers of at least so many bytes into a list, and no others."""

    def keep_apart(buffer: PickleBuffer) -> bool:
        try:
            raw = buffer.raw()
        except BufferError:
            return True
        if raw.nbytes < least:
            return True
        buffers.append(raw)
        return False

    return keep_apart
