"""Descriptors that are closed with what holds them, also when an interrupt comes between any two steps.

A handler of the program's, that of Ctrl-C for one, runs between two steps of Python code and may raise there. A
descriptor that is only a number at that moment is lost. So numbers are given an owner before any Python code sees
them: ``map`` calls one C function with what another has returned, and nothing comes in between.
"""

from __future__ import annotations

import _socket
from collections.abc import Callable, Iterable
from io import FileIO
from itertools import chain, starmap
from operator import itemgetter
from os import pipe
from socket import SocketType
from struct import Struct
from typing import Any

_NUMBERS = Struct("i")
SHARE = 8
"""One in so many of the descriptors that the process may have may be held for one purpose."""


def fair_share() -> int:
    """How many descriptors may be held for one purpose."""
    # Not every system has this module.
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // SHARE


def own(make: Callable[..., int], *arguments: Any) -> FileIO:
    """The owner of the descriptor that ``make``, which must be written in C, opens.

    It takes every descriptor for one to read from: to write, use its number.

    Raises:
        OSError: as ``make`` raises.
    """
    return next(map(FileIO, starmap(make, (arguments,))))


def own_pipe() -> list[FileIO]:
    """The two ends of a new pipe, for reading and for writing."""
    return list(map(FileIO, chain.from_iterable(starmap(pipe, ((),))), ("rb", "wb")))


def own_sent(received: Iterable[tuple[Any, ...]]) -> Iterable[FileIO]:
    """The owners of the descriptors that came with what ``recvmsg`` gives; to be taken by C code, a ``list`` or so."""
    ancillary = chain.from_iterable(map(itemgetter(1), received))
    return map(
        FileIO, chain.from_iterable(chain.from_iterable(map(_NUMBERS.iter_unpack, map(itemgetter(2), ancillary))))
    )


def connected_sockets() -> tuple[SocketType, SocketType]:
    """Two connected sockets; those of the ``socket`` module are made of bare numbers."""
    return _socket.socketpair()


def become(thing: Any, kind: type) -> None:
    """Make an object one of another class of the same layout: with a finalizer as long as it has anything to lose.

    An interrupt that comes while a finalizer runs is lost, and told on stderr. So what is closed must not have one.
    """
    thing.__class__ = kind
