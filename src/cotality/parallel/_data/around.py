"""A call with something around it, which an observer has sent along."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from types import CoroutineType, FunctionType
from typing import Any

from cotality.parallel._data.messages import AnyCall
from cotality.parallel._data.names import ByName
from cotality.parallel._data.task import Call, called_by, task_of


class Around:
    """A function that is called inside of a context manager, in the worker; a coroutine is awaited in it.

    Parameters:
        manager: The context manager.
        function: The function.
    """

    __slots__ = ("function", "manager")

    def __init__(self, manager: AbstractContextManager[Any], function: Callable[..., Any]) -> None:
        self.manager = manager
        self.function = function

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        with self.manager:
            value = self.function(*args, **kwargs)
        return _within(self.manager, value) if type(value) is CoroutineType else value

    def __reduce__(self) -> Any:
        function = self.function
        return type(self), (self.manager, ByName.of(function) if type(function) is FunctionType else function)


async def _within(manager: AbstractContextManager[Any], coroutine: Coroutine[Any, Any, Any]) -> Any:
    with manager:
        return await coroutine


def put_around(call: AnyCall, manager: AbstractContextManager[Any]) -> Call:
    """The same call, inside of a context manager."""
    return with_function(call, Around(manager, called_by(call)))


def bare(call: AnyCall) -> AnyCall:
    """The same call without what was put around it, for an earlier attempt for example."""
    function = call.callback_function
    if not isinstance(function, Around):
        return call
    while isinstance(function, Around):
        function = function.function
    return with_function(call, function)


def with_function(call: AnyCall, function: Callable[..., Any]) -> Call:
    """The same call of another function."""
    other = Call(task_of(call), function, call.positional, call.arguments)
    if call.wired:
        other.wired = tuple(call.wired)
    other.sealed = isinstance(call, Call) and call.sealed
    return other
