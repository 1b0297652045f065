"""Runs that are consumed while they go on, and runs that are awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from cotality.parallel import Outcome
from cotality.parallel.building import start_daemon
from cotality.workflow._run import Run

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

_END: Any = object()


class Stream(Iterator[Outcome[Any]]):
    """The outcomes of a run as they come. Leaving it, by ``break`` or otherwise, ends the run.

    Attributes:
        run: The run, while it goes on.

    Example:
        >>> from cotality.workflow import Workflow, task
        >>> @task
        ... def square(number: int) -> int:
        ...     return number * number
        >>> flow = Workflow()
        >>> squares = flow.map(square, range(3))
        >>> with flow.stream(squares) as outcomes:
        ...     print([outcome.value for outcome in outcomes])
        [0, 1, 4]
    """

    def __init__(self, run: Run, outcomes: Generator[Outcome[Any], None, None]) -> None:
        self.run = run
        self._outcomes = outcomes

    def __next__(self) -> Outcome[Any]:
        return next(self._outcomes)

    def close(self) -> None:
        """End the run, if it has not ended; more than once does nothing."""
        self._outcomes.close()
        # A stream that nobody has begun to read is no generator that could end anything.
        self.run.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream(AsyncIterator[Outcome[Any]]):
    """As :class:`Stream`, for ``async for``. Leave it with ``async with`` or ``aclose``, for what is only dropped ends
    when the garbage is collected.

    Attributes:
        run: The run, while it goes on.

    Example:
        >>> import asyncio
        >>> from cotality.workflow import Workflow, task
        >>> @task
        ... async def square(number: int) -> int:
        ...     return number * number
        >>> async def main() -> list[int]:
        ...     flow = Workflow()
        ...     squares = flow.map(square, range(3))
        ...     async with flow.astream(squares) as outcomes:
        ...         return [outcome.value async for outcome in outcomes]
        >>> asyncio.run(main())
        [0, 1, 4]
    """

    def __init__(self, run: Run, outcomes: Generator[Outcome[Any], None, None]) -> None:
        self.run = run
        self._outcomes = outcomes
        self._driver: Driver | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome[Any]:
        if self._driver is None:
            self._driver = Driver(self.run.cancel)
        try:
            outcome = await self._driver.call(lambda: next(self._outcomes, _END))
        except BaseException:
            # The run is over, and its error may keep this object for long: its traceback leads here.
            self._leave()
            raise
        if outcome is _END:
            await self.aclose()
            raise StopAsyncIteration
        return outcome

    async def aclose(self) -> None:
        """End the run, if it has not ended; more than once does nothing."""
        driver, self._driver = self._driver or Driver(self.run.cancel), None
        try:
            await driver.call(self._end)
        finally:
            driver.end()

    def _end(self) -> None:
        self._outcomes.close()
        # A stream that nobody has begun to read is no generator that could end anything.
        self.run.leave()

    def _leave(self) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.leave(self._outcomes.close)

    def __del__(self) -> None:
        self._leave()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class Driver:
    """A thread that turns the run loop, so that the event loop of the caller is never held up.

    Parameters:
        cancel: Ends what is being done, when nobody waits for it any more.
    """

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._loop = running_loop()
        context = copy_context()
        start_daemon(partial(context.run, self._serve), "cotality-run")

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            # While it waits it must not keep alive what it has called.
            del call

    async def call(self, function: Callable[[], T]) -> T:
        """Have a function called in the thread, and wait for its result.

        Raises:
            BaseException: whatever it raises.
        """
        import asyncio

        future: asyncio.Future[Callable[[], T]] = self._loop.create_future()
        self._calls.put(lambda: self._answer(future, _attempt(function)))
        try:
            answer = await asyncio.shield(future)
        except asyncio.CancelledError:
            self._cancel()
            # What it was at ends soon; before that nobody may think that it has.
            await asyncio.wait([future])
            raise
        return answer()

    def _answer(self, future: asyncio.Future[Callable[[], T]], answer: Callable[[], T]) -> None:
        def settle() -> None:
            if not future.done():
                future.set_result(answer)

        try:
            self._loop.call_soon_threadsafe(settle)
        except RuntimeError:
            # The event loop is closed: nobody waits any more.
            pass

    def leave(self, last: Callable[[], None]) -> None:
        """Let the thread go behind one more call, for whose result nobody waits."""

        def call() -> None:
            _attempt(last)

        self._calls.put(call)
        self.end()

    def end(self) -> None:
        """Let the thread go, when it has done what it was given."""
        self._calls.put(None)


def running_loop() -> asyncio.AbstractEventLoop:
    """The event loop of the caller; asyncio costs a third of this package's import time, so only who awaits pays.

    Raises:
        RuntimeError: there is none.
    """
    import asyncio

    return asyncio.get_running_loop()


class _Answer(Generic[T]):
    """What a call gave, as something to call again in another thread."""

    def __init__(self, value: Any, error: BaseException | None) -> None:
        self._value = value
        self._error = error

    def __call__(self) -> T:
        if self._error is not None:
            try:
                raise self._error
            finally:
                del self
        return self._value  # type: ignore[no-any-return]


def _attempt(function: Callable[[], T]) -> Callable[[], T]:
    try:
        return _Answer[T](function(), None)
    except BaseException as error:
        return _Answer[T](None, error)
