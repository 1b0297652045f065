"""What only a process that is being started may receive: queues, locks and pipes of ``multiprocessing``.

They refuse to be pickled unless ``multiprocessing`` believes that it is starting a process. So it is told that it is,
and the descriptors it wants to hand over go along with the worker's set-up.
"""

from __future__ import annotations

import io
from collections import ChainMap
from multiprocessing import reduction
from multiprocessing.context import set_spawning_popen
from typing import Any, ClassVar

from cotality.parallel._backends.processes import main_module
from cotality.parallel._backends.processes.codec import PROTOCOL, load

_received: list[int] = []


class InheritedFd:
    """Stands for a descriptor in such a pickle."""

    def __init__(self, index: int) -> None:
        self._index = index

    def detach(self) -> int:
        return _received[self._index]


class _Testator:
    """What ``multiprocessing`` takes for the process that is being started."""

    DupFd = InheritedFd

    def __init__(self) -> None:
        self.fds: list[int] = []

    def duplicate_for_child(self, fd: int) -> int:
        self.fds.append(fd)
        return len(self.fds) - 1


def dump_inherited(value: object) -> tuple[bytes, list[int]]:
    """Pickle a value for a worker that is being started; gives the descriptors that must go along."""
    testator = _Testator()
    set_spawning_popen(testator)  # type: ignore[arg-type]
    try:
        return _dump(value, testator), testator.fds
    finally:
        set_spawning_popen(None)


def _dump(value: object, testator: _Testator) -> bytes:
    """Pickled by ``multiprocessing``, for only its own pickler knows its reducers; by value what has no name."""
    try:
        data = bytes(reduction.ForkingPickler.dumps(value, PROTOCOL))
        if b"__main__" not in data or main_module.find_main()[0]:
            return data
    except Exception:
        # A lambda, for example; should it be for another reason, that comes up again.
        pass
    import cloudpickle

    testator.fds.clear()
    reducers: Any = reduction.ForkingPickler

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        dispatch_table: ClassVar[Any] = ChainMap(reducers._extra_reducers, dict(cloudpickle.Pickler.dispatch_table))

    file = io.BytesIO()
    Pickler(file, PROTOCOL).dump(value)
    return file.getvalue()


def load_inherited(data: bytes, fds: list[int]) -> Any:
    """In the worker: what was dumped."""
    _received[:] = fds
    return load(data)
