"""The decorated functions of the workflow suite; in a module of their own, as a program's are."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from cotality.workflow import Outcome, RetryPolicy, task
from tests.contract.functions import note, note_and_fail_until

LABELS: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("LABELS", default=())
VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


@task
def give(value: Any) -> Any:
    return value


@task
def add(left: int, right: int = 1) -> int:
    return left + right


@task
def by_position(before: int, number: int, /) -> int:
    return (3 * before + number) % 1000


@task
def by_name(*, number: int, before: int) -> int:
    return (3 * before + number) % 1000


@task
def in_a_row(*numbers: int) -> int:
    return (3 * numbers[1] + numbers[0] + numbers[2]) % 1000


@task
def in_their_order(**numbers: int) -> int:
    assert [*numbers] == ["z", "a"]
    return (3 * numbers["a"] + numbers["z"]) % 1000


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task
def numbers_to(count: int) -> list[int]:
    return list(range(count))


@task
def fail(message: str) -> int:
    error = ValueError(message)
    error.add_note("a note of its own")
    raise error


@task
def fail_if_odd(number: int) -> int:
    if number % 2:
        raise ValueError(number)
    return number


@task
def summary(outcomes: list[Outcome[int]]) -> list[str]:
    return [outcome.state for outcome in outcomes]


@task
def state_of(outcome: Outcome[Any]) -> str:
    return outcome.state


@task
def noted(path: str, line: str) -> str:
    return note(path, line)


@task
def flaky(path: str, attempts: int) -> int:
    note(path, "attempt")
    made = len(Path(path).read_text().splitlines())
    if made < attempts:
        raise ConnectionError(f"attempt {made}")
    return made


@task
def attempts_made(path: str) -> int:
    note(path, "attempt")
    return len(Path(path).read_text().splitlines())


@task
def note_the_time(path: str) -> None:
    note(path, repr(time.monotonic()))


@task
def sleep(seconds: float, value: Any = None) -> Any:
    time.sleep(seconds)
    return value


@task
async def wait(seconds: float, value: Any = None) -> Any:
    await asyncio.sleep(seconds)
    return value


@task
async def meet(count: int, room: Any) -> int:
    """Comes back when so many are in here at once."""
    room.append(None)
    while len(room) < count:
        await asyncio.sleep(0.001)
    return len(room)


@task
async def crowd(room: Any) -> int:
    """How many are in here at once."""
    room.append(None)
    seen = len(room)
    await asyncio.sleep(0.001)
    room.pop()
    return seen


@task
async def loop_id() -> tuple[int, int]:
    return id(asyncio.get_running_loop()), threading.get_ident()


@task
def where() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


@task
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@task
def read_variable() -> str:
    return VARIABLE.get()


@task
async def aread_variable() -> str:
    return VARIABLE.get()


@task
def gives_a_task() -> Any:
    return add(1)


class Scaler:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    @task
    def scale(self, number: int) -> int:
        return self.factor * number

    @staticmethod
    @task
    def half(number: int) -> float:
        return number / 2

    @classmethod
    @task
    def named(cls, number: int) -> str:
        return f"{cls.__name__}{number}"


REFUSE_SMALL = RetryPolicy(attempts=5, wait=0, on_result=lambda value: value < 3)


@task
def fail_with(secret: str) -> None:
    hidden = secret[::-1]
    raise ValueError(f"there are {len(hidden)} characters in it")


@task
def span_id() -> int:
    from opentelemetry import trace

    return trace.get_current_span().get_span_context().span_id


@task
async def aspan_id() -> int:
    from opentelemetry import trace

    await asyncio.sleep(0)
    return trace.get_current_span().get_span_context().span_id


class Labelled:
    """Has a label among those that are seen inside of it."""

    def __init__(self, label: str) -> None:
        self.label = label

    def __enter__(self) -> None:
        self.token = LABELS.set((*LABELS.get(), self.label))

    def __exit__(self, *_error: object) -> None:
        LABELS.reset(self.token)

    def __reduce__(self) -> Any:
        return Labelled, (self.label,)


@task(retries=RetryPolicy(attempts=3, wait=0.001, jitter=0))
def labels(path: str, attempts: int) -> tuple[str, ...]:
    note_and_fail_until(path, attempts)
    return LABELS.get()


@task
async def alabels(before: Any) -> tuple[str, ...]:
    await asyncio.sleep(0)
    return LABELS.get()
