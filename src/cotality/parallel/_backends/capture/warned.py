"""Takes down warnings."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

from cotality.parallel._backends.capture.listening import Listening, encode_filters
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
        for action, message, (module, name), where, line in wanted.filters:
            category = getattr(sys.modules.get(module), name, None)
            # Of a module that nobody has imported nothing warns.
            if isinstance(category, type) and issubclass(category, Warning):
                # The caller's main module has another name here.
                where = "__(?:mp_)?main__$" if where == "__main__" else where
                warnings.filterwarnings(action, message, category, where, line, append=True)
        self._filters = encode_filters()

    stand_back = apply

    def is_replaced(self) -> bool:
        """Whether somebody has set it up in another way since."""
        return warnings.showwarning != self._take_down or encode_filters() != self._filters

    def _take_down(
        self, message: Any, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        kinds = [(kind.__module__, kind.__qualname__) for kind in category.__mro__]
        try:
            text = str.__str__(str(message))
        except Exception:
            text = shown(message)
        if not self._tell(Warned(text, kinds, filename, lineno)):
            self._show(message, category, filename, lineno, file, line)
