"""What a worker calls: functions and large arguments, loaded when a task first needs them."""

from __future__ import annotations

import itertools
import marshal
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from cotality.parallel._backends.capture.overhear import Capture
from cotality.parallel._backends.processes import memory
from cotality.parallel._backends.processes.board import LOADING, Board
from cotality.parallel._backends.processes.channel import Frame
from cotality.parallel._backends.processes.codec import dump_failure, load, load_function
from cotality.parallel._backends.processes.columns import Columns
from cotality.parallel._backends.processes.kinds import UNKNOWN
from cotality.parallel._backends.processes.results import Unloadable
from cotality.parallel._backends.processes.unpacking import Link, Rows, unpack
from cotality.parallel._backends.processes.voice import Voice


def _refuse(number: int, /, *_args: Any, **_kwargs: Any) -> NoReturn:
    """Stands for a function that can not be loaded."""
    raise Unloadable(number)


class Calls:
    """What is known of the functions and the loans of tasks.

    Parameters:
        board: Is told while something is loaded.
        voice: Tells the parent of a function that can not be loaded.
        capture: Looks at what loading a module has set up.
    """

    def __init__(self, board: Board, voice: Voice, capture: Capture) -> None:
        self._words = board.words
        self._voice = voice
        self._capture = capture
        self._functions: dict[int, Callable[..., Any]] = {}
        self._messages: dict[int, bytes] = {}
        self._loans: dict[int, Frame] = {}
        self._built: dict[int, Any] = {}

    def learn(self, number: int, message: bytes) -> None:
        """Keep a function until a task needs it."""
        self._messages[number] = message

    def lend(self, frame: Frame) -> None:
        """Keep a loan until a task needs it."""
        self._loans[marshal.loads(frame.payload)[0]] = frame

    def forget(self, numbers: list[int]) -> None:
        """Give loans back."""
        for number in numbers:
            self._built.pop(number, None)
            self._loans.pop(number).close()

    def of_batch(self, first: int, number: int, given: Columns) -> Rows:
        """The calls of a batch."""
        # Of this batch alone, so that a result whose follower has been recalled goes with it.
        link = Link()
        if given.names is None:
            return partial(self._call, link), zip(itertools.count(first), *given.columns, strict=False)
        return link.rows(self._function(number, first), given)

    def _call(
        self,
        link: Link,
        sequence: int,
        number: int,
        positional: list[Any],
        arguments: dict[str, Any],
        packed: list[tuple[Any, Any]],
    ) -> Any:
        """Call a function with arguments that are more than atoms."""
        self._words[LOADING] = sequence
        previous, link.held = link.held, None
        try:
            function, keeps = unpack(positional, arguments, packed, self._borrow, previous)
            self._capture.look()
            if function is None:
                function = self._function(number, sequence)
        finally:
            self._words[LOADING] = 0
        value = function(*positional, **arguments)
        return link.keep(value) if keeps else value

    def _function(self, number: int, sequence: int) -> Callable[..., Any]:
        """A function by its number; loaded when a task first needs it, and as part of that task."""
        known = self._functions.get(number)
        if known is not None:
            return known
        self._words[LOADING] = sequence
        try:
            known = load_function(self._messages.pop(number))
            self._capture.look()
        except BaseException as error:
            self._voice.send(UNKNOWN, marshal.dumps((number, dump_failure(error))))
            known = partial(_refuse, number)
        finally:
            self._words[LOADING] = 0
        self._functions[number] = known
        return known

    def _borrow(self, number: int) -> Any:
        """The value of a loan: a large one is built once, a smaller one for each task anew."""
        if number in self._built:
            return self._built[number]
        frame = self._loans[number]
        _number, lengths, once = marshal.loads(frame.payload)
        parts = memory.read_parcel(frame.fd, lengths, writable=False)
        value = load(parts[0], parts[1:])
        if once:
            self._built[number] = value
        return value
