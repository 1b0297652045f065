"""Runs attempts in the caller's own thread, one after the other, so that ``pdb`` and profilers work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from types import CoroutineType

from cotality.parallel._backends.awaiting import finish
from cotality.parallel._backends.clock import monotonic
from cotality.parallel._backends.gate import Gate
from cotality.parallel._backends.present import Mark, context_of, structlog_mark
from cotality.parallel._data.capabilities import OF_THREADS
from cotality.parallel._data.current import Belonging
from cotality.parallel._data.messages import Ending, Planned


class SerialPool:
    """The caller's thread."""

    capabilities = OF_THREADS

    def open(self, max_workers: int | None) -> SerialBackend:
        return SerialBackend()


class SerialBackend:
    """Runs one task in each ``collect``. It can interrupt nothing: while a task runs, nobody else does."""

    workers = 1
    reach = 1

    def __init__(self) -> None:
        self._due: deque[Planned] = deque()
        self._owner = Gate()
        self._belonging: Belonging | None = None
        self._mark: Mark | None = None

    def ring(self, bell: Callable[[], None]) -> None:
        """Nothing happens here but in ``collect``."""

    def belong(self, belonging: Belonging) -> None:
        self._belonging = belonging
        self._mark = structlog_mark()

    def room(self) -> int:
        return 0 if self._due else 1

    def submit(self, batch: Sequence[Planned]) -> None:
        self._due.extend(batch)

    def collect(self, timeout: float | None) -> list[Ending]:
        if not self._due:
            if timeout != 0:
                self._owner.wait(timeout)
            return []
        planned = self._due.popleft()
        task = planned[1]
        started = monotonic()
        try:
            value = self._context_for(planned).run(task.callback_function, *task.positional, **task.arguments)
            if type(value) is CoroutineType:
                value = finish(value, self._context_for(planned))
        except KeyboardInterrupt:
            # Here it is the user's Ctrl-C: there is nobody else whose it could be.
            raise
        except BaseException as error:
            return [(planned, error, None, started, monotonic(), "caller")]
        return [(planned, None, value, started, monotonic(), "caller")]

    def _context_for(self, planned: Planned) -> Context:
        return context_of(planned, self._belonging, self._mark, copy_context())

    def running(self) -> list[tuple[int, float]]:
        return []

    def interrupt(self, ticket: int, failure: BaseException) -> None:
        """While a task runs, nobody is there to interrupt it."""

    def runaways(self) -> Sequence[str]:
        return ()

    def wake(self) -> None:
        self._owner.open()

    def close(self) -> None:
        self._due.clear()
