"""Progress in a notebook: one output that is drawn anew.

Whatever shows notebooks can show that. What rich itself does there needs widgets, which have to be installed, and
nothing is left of them in a notebook that is saved.
"""

from __future__ import annotations

import io
from typing import Any

from IPython.display import display
from rich.console import Console
from rich.progress import Progress as Display
from rich.progress import ProgressColumn

WIDTH = 100
_show: Any = display
"""Some versions of it have no annotations."""
_HTML = '<pre style="line-height: 1.3; white-space: pre; overflow-x: auto">{code}</pre>'


class NotebookDisplay(Display):
    """Rows of progress in the output of a cell.

    Parameters:
        columns: What each row has.
    """

    def __init__(self, *columns: ProgressColumn) -> None:
        # It is asked for HTML, and so must believe that somebody sees colours.
        paper = Console(file=io.StringIO(), width=WIDTH, record=True, force_terminal=True, force_jupyter=False)
        super().__init__(*columns, console=paper, auto_refresh=False, expand=True)
        self._handle: Any = None

    def start(self) -> None:
        self._handle = _show(self._drawn(), raw=True, display_id=True)

    def stop(self) -> None:
        self.refresh()
        self._handle = None

    def refresh(self) -> None:
        if self._handle is not None:
            self._handle.update(self._drawn(), raw=True)

    def _drawn(self) -> dict[str, str]:
        with self._lock:
            self.console.print(self.get_renderable())
            text = self.console.export_text(clear=False)
            return {"text/plain": text, "text/html": self.console.export_html(inline_styles=True, code_format=_HTML)}
