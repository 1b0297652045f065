"""Where a task runs: its arguments that are more than atoms are put among the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from cotality.parallel._backends.processes.codec import load
from cotality.parallel._backends.processes.columns import Columns, call_of_row, rows_of
from cotality.parallel._backends.processes.results import NoInput, finished
from cotality.parallel._data.task_errors import TransferError

Rows: TypeAlias = tuple[Callable[..., Any], Iterable[tuple[Any, ...]]]
"""What to call for each task of a batch, and the arguments to call it with."""


class Link:
    """Hands the result of a task to the one behind it."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: tuple[Any] | None = None
        """What the last task gave, if the one behind it needs it."""

    def rows(self, function: Callable[..., Any], given: Columns) -> Rows:
        """The calls of a batch in which all call the same function; as long as the columns hold them, for they may be
        cut while this goes on."""
        assert given.names is not None
        call = call_of_row(function, given.names)
        if given.links is None:
            return call, rows_of(given.names, given.columns)
        place, follows, kept = given.links
        return self._calling(call, place), zip(follows, kept, *given.columns, strict=False)

    def _calling(self, function: Callable[..., Any], place: int) -> Callable[..., Any]:
        """What calls a function for each row of values: with the result of the one before as its argument at this place
        where it follows, and for the one behind where its result is kept."""

        def call(follows: bool, keeps: bool, /, *values: Any) -> Any:
            held, self.held = self.held, None
            if follows:
                if held is None:
                    raise NoInput
                values = (*values[:place], held[0], *values[place + 1 :])
            value = function(*values)
            return self.keep(value) if keeps else value

        return call

    def keep(self, value: Any) -> Any:
        """The result of a task, which is kept."""
        value = finished(value)
        self.held = (value,)
        return value


def unpack(
    positional: list[Any],
    arguments: dict[str, Any],
    packed: list[tuple[Any, Any]],
    borrow: Callable[[int], Any],
    previous: tuple[Any] | None,
) -> tuple[Callable[..., Any] | None, bool]:
    """Put arguments in their places.

    Parameters:
        positional, arguments: Where.
        packed: The places, and what belongs there, as ``outbound`` packs it.
        borrow: Gives the value of a loan.
        previous: The result of the task before this one, if there is one.

    Returns:
        The function, if it travels with the task; and whether the task behind this one needs its result.

    Raises:
        NoInput: there is no result of the task before this one.
        TransferError: an argument can not be loaded; names it.
    """
    function: Callable[..., Any] | None = None
    keeps = False
    for place, content in packed:
        if place == ():
            keeps = True
            continue
        if content == ():
            if previous is None:
                raise NoInput
            value = previous[0]
        else:
            value = _loaded(place, content, borrow)
        if place is None:
            function = value
        elif isinstance(place, int):
            positional[place] = value
        else:
            arguments[place] = value
    return function, keeps


def _loaded(place: Any, content: Any, borrow: Callable[[int], Any]) -> Any:
    try:
        return load(content) if isinstance(content, bytes) else borrow(content)
    except BaseException as error:
        what = "the function" if place is None else f"argument {place!r}"
        raise TransferError(
            f"{what} could not be loaded in the worker ({type(error).__name__}); the task did not start"
        ) from error
