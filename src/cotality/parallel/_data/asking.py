"""Asks about a result where it was made, so that it need not travel to be refused."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any

from cotality.parallel._data.task_errors import ResultRefused


def ask(function: Callable[..., Any], on_result: Callable[[Any], bool], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function, and raise if its result is to be refused. Runs in the worker, where the result is."""
    value = function(*args, **kwargs)
    return _ask_later(value, on_result) if type(value) is CoroutineType else _asked(value, on_result)


async def _ask_later(value: Coroutine[Any, Any, Any], on_result: Callable[[Any], bool]) -> Any:
    return _asked(await value, on_result)


def _asked(value: Any, on_result: Callable[[Any], bool]) -> Any:
    if on_result(value):
        raise ResultRefused("its result was refused by the retry policy")
    return value
