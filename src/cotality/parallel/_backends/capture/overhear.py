"""Ties the captures together: each begins when what it captures is imported, and outlasts what modules set up."""

from __future__ import annotations

import marshal
import sys
import threading
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from typing import Any, Final

from cotality.parallel._backends.capture import wire
from cotality.parallel._backends.capture.listening import Listening
from cotality.parallel._backends.capture.printed import PrintCapture
from cotality.parallel._backends.capture.warned import WarningCapture
from cotality.parallel._data.said import Said

IMPORTED: Final = ("logging", "structlog")
"""What is captured once it is imported."""


class Capture:
    """Takes down what is said in this process.

    Parameters:
        tell: Takes it as a message; says whether it did.
    """

    def __init__(self, tell: Callable[[bytes], bool]) -> None:
        self._send = tell
        self._busy = threading.local()
        self._wanted: Listening | None = None
        self._captures: dict[str, Any] = {
            "warnings": WarningCapture(self._tell),
            "stdout": PrintCapture("stdout", self._tell),
            "stderr": PrintCapture("stderr", self._tell),
        }
        self._left_alone: set[str] = set()
        self._setting_up = False
        self._modules = 0
        self._main: Any = None
        sys.meta_path.insert(0, _Watch(self._states, self._undo))

    def listen(self, message: bytes) -> None:
        """From now on the caller wants to hear this."""
        self._wanted = Listening(*marshal.loads(message))
        self._begin()
        self._apply()

    def look(self) -> None:
        """Something was loaded: the main module perhaps, which no finder finds, or kinds of warnings."""
        if len(sys.modules) == self._modules:
            return
        self._modules = len(sys.modules)
        main = sys.modules.get("__mp_main__")
        if main is not self._main:
            self._main = main
            self._apply()
        elif "warnings" not in self._left_alone:
            self._set(self._captures["warnings"])

    def _apply(self) -> None:
        for name, capture in tuple(self._captures.items()):
            if name not in self._left_alone:
                self._set(capture)

    def _set(self, capture: Any) -> None:
        if self._wanted is not None:
            (capture.stand_back if self._setting_up else capture.apply)(self._wanted)

    def let_set_up(self, initializer: Callable[[], object]) -> None:
        """Call what may set the process up; what it does is left alone from then on.

        Raises:
            BaseException: whatever it raises.
        """
        self._setting_up = True
        self._apply()
        initializer()
        self._setting_up = False
        self._left_alone = {name for name, capture in self._captures.items() if capture.is_replaced()}
        self._apply()

    def _begin(self) -> None:
        """Capture what is captured once it is imported, if that has happened."""
        if "logging" in sys.modules and "logging" not in self._captures:
            from cotality.parallel._backends.capture.records import RecordCapture

            self._add("logging", RecordCapture(self._tell))
        if "structlog" in sys.modules and "structlog" not in self._captures:
            from cotality.parallel._backends.capture.entries import EntryCapture

            self._add("structlog", EntryCapture(self._tell))

    def _add(self, name: str, capture: Any) -> None:
        # To import it was an import as well, after which another one may have been added already.
        if name not in self._captures:
            self._captures[name] = capture
            self._set(capture)

    def _states(self) -> dict[str, Any]:
        """How everything is set up that modules set up when they are imported."""
        return {
            name: self._captures[name].state()
            for name in IMPORTED
            if name in self._captures and name not in self._left_alone
        }

    def _undo(self, states: dict[str, Any]) -> None:
        """A module was imported. What it has set up is the caller's, and stands there: here it is undone."""
        if self._wanted is not None:
            for name, state in states.items():
                self._captures[name].restore(state, self._wanted)
        self._begin()

    def _tell(self, said: Said) -> bool:
        if getattr(self._busy, "telling", False):
            # What is said by what is being sent, by a method that pickles for example: there would be no end to it.
            return True
        self._busy.telling = True
        try:
            return self._send(wire.dumps(said))
        finally:
            self._busy.telling = False


class _Watch:
    """A finder that finds what the others find, and has something called before and after imports.

    Parameters:
        before: What to call before a module is imported, and all that this one imports in its turn.
        after: What to call then, with what the other has given.
    """

    def __init__(self, before: Callable[[], dict[str, Any]], after: Callable[[dict[str, Any]], None]) -> None:
        self._before = before
        self._after = after
        self._importing = threading.local()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                self._attend(spec.loader)
                return spec
        return None

    def _attend(self, loader: Any) -> None:
        # That of built-in modules, which set nothing up, is a class; others may load several modules.
        if isinstance(loader, type) or "exec_module" in getattr(loader, "__dict__", {"exec_module": None}):
            return
        load = loader.exec_module

        def exec_module(module: Any) -> None:
            outer = getattr(self._importing, "depth", 0)
            self._importing.depth = outer + 1
            states = {} if outer else self._before()
            try:
                load(module)
            finally:
                if not outer or module.__name__ in IMPORTED:
                    # Who has imported these may use them at once.
                    self._after(states)
                self._importing.depth = outer

        loader.exec_module = exec_module
