"""Takes down warnings."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from cotality.parallel._backends.capture.listening import Listener, Listening, ear, encode_filters
from cotality.parallel._backends.capture.wire import shown
from cotality.parallel._data.said import Warned


class WarningCapture:
    """Sets ``warnings`` up in a worker.

    Parameters:
        tell: Takes a warning.
    """

    def __init__(self, tell: Callable[[Warned], bool]) -> None:
        self._tell = tell
        self._show = warnings.showwarning
        self._filters: list[tuple[Any, ...]] = []
        """Those that are set, of those that are wanted."""

    def apply(self, wanted: Listening) -> None:
        """Show here what the caller shows, and raise what it raises."""
        # By its name, as the setting that it replaces may be replaced itself.
        warnings.showwarning = self._take_down
        self._filters = encode_filters()
        if self._filters == wanted.filters:
            return
        warnings.resetwarnings()
        for action, message, category, where, line in _filters_of(wanted):
            warnings.filterwarnings(action, message, category, where, line, append=True)
        self._filters = encode_filters()

    stand_back = apply

    def is_replaced(self) -> bool:
        """Whether somebody has set it up in another way since."""
        return warnings.showwarning != self._take_down or encode_filters() != self._filters

    def _take_down(
        self, message: Any, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        if not self._tell(_taken_down(message, category, filename, lineno)):
            self._show(message, category, filename, lineno, file, line)


class WarningsBeside:
    """Takes down what tasks warn of in a worker that is not ours; what others warn of is shown as it is there.

    The caller's filters stand before those of the worker, and match only what its tasks warn of. They stay until
    somebody wants others: each change of them has the interpreter forget what it has warned of.
    """

    def __init__(self) -> None:
        self._filters: dict[str, list[tuple[Any, ...]]] = {}
        """The filters that stand there, by what was wanted."""
        self._listening = False
        self._show: Any = None

    def want(self, listener: Listener) -> None:
        """Somebody listens."""
        wanted = repr(listener.wanted.filters)
        stand = self._filters.get(wanted)
        if stand is None or stand[0] not in warnings.filters:
            if not self._listening:
                self._remove()
            self._add(wanted, listener.wanted)
        # By its name, as the setting that it replaces may be replaced itself.
        if warnings.showwarning != self._take_down:
            self._show, warnings.showwarning = warnings.showwarning, self._take_down
        self._listening = True

    def end(self) -> None:
        """Nobody does any more."""
        self._listening = False
        if warnings.showwarning == self._take_down:
            warnings.showwarning = self._show

    def _add(self, name: str, wanted: Listening) -> None:
        filters = [
            (action, _OfTasks(wanted.filters, message), category, re.compile(where) if where else None, line)
            for action, message, category, where, line in _filters_of(wanted)
        ]
        # What none of them matches is shown once for each place.
        filters.append(("default", _OfTasks(wanted.filters, ""), Warning, None, 0))
        self._filters[name] = filters
        warnings.filters[:0] = filters  # type: ignore[index]
        _tell_the_interpreter()

    def _remove(self) -> None:
        gone = [each for filters in self._filters.values() for each in filters]
        self._filters.clear()
        warnings.filters[:] = [each for each in warnings.filters if each not in gone]  # type: ignore[index]

    def _take_down(
        self, message: Any, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        listener = ear.get()
        if listener is None or not listener.tell(_taken_down(message, category, filename, lineno)):
            self._show(message, category, filename, lineno, file, line)


class _OfTasks:
    """A pattern for messages that matches only what is said by tasks of a caller who wants these filters.

    Parameters:
        filters: The filters.
        pattern: How the message has to begin; empty: anyhow.
    """

    def __init__(self, filters: list[tuple[Any, ...]], pattern: str) -> None:
        self._filters = filters
        self._compiled = re.compile(pattern, re.IGNORECASE)
        self.pattern = pattern

    def match(self, text: str) -> object:
        """What the interpreter asks."""
        listener = ear.get()
        return listener is not None and listener.wanted.filters == self._filters and self._compiled.match(text)


class _Nothing(Warning):
    """Nobody warns of this."""


def _tell_the_interpreter() -> None:
    """Have the interpreter know that the filters are others: it looks when one is added."""
    warnings.simplefilter("ignore", _Nothing, append=True)


def _filters_of(wanted: Listening) -> Iterator[tuple[Any, str, type[Warning], str, int]]:
    """The caller's filters, as ``filterwarnings`` takes them."""
    for action, message, (module, name), where, line in wanted.filters:
        category = getattr(sys.modules.get(module), name, None)
        # Of a module that nobody has imported nothing warns.
        if isinstance(category, type) and issubclass(category, Warning):
            # The caller's main module has another name here.
            yield action, message, category, "__(?:mp_)?main__$" if where == "__main__" else where, line


def _taken_down(message: Any, category: type[Warning], filename: str, line: int) -> Warned:
    kinds = [(kind.__module__, kind.__qualname__) for kind in category.__mro__]
    try:
        text = str.__str__(str(message))
    except Exception:
        text = shown(message)
    return Warned(text, kinds, filename, line)
