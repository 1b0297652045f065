"""Serial runs, whatever the code under test asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cotality.parallel._backends.choose import run_serially
from cotality.parallel._backends.serial import SerialPool


@contextmanager
def serial_runs() -> Iterator[None]:
    """Have every run that begins inside be serial: one task after the other, in the thread of its caller, whatever
    backend its options or its tasks name.

    It holds for the whole process, so also for what other threads run, a server under test for example. The tasks of
    ``arun`` and ``astream`` run one after the other as well, in a thread of their own. Calls of executors are no runs:
    they stay where they are.

    Example:
        >>> import threading
        >>> from cotality.parallel import Task, run
        >>> from cotality.parallel.testing import serial_runs
        >>> with serial_runs():
        ...     [thread] = run([Task(threading.current_thread, {})], backend="processes")
        >>> thread is threading.current_thread()
        True
    """
    before = run_serially(None)
    # Inside of a fake clock's serial runs, they stay the fake clock's.
    run_serially(before or SerialPool())
    try:
        yield
    finally:
        run_serially(before)
