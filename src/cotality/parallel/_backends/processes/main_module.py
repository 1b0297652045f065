"""How a worker comes by what the program defines in ``__main__``.

A worker imports the main module only when something refers to it, by the name it was started with (``python -m``)
or else by its path. In a notebook, or where the program came from standard input, there is nothing to import; what is
defined there travels by value.
"""

from __future__ import annotations

import os
import runpy
import sys
import types
from typing import TypeAlias

Whereabouts: TypeAlias = tuple[str, str]
"""``("name", module)`` or ``("path", file)``, or ``("", "")``."""

GUARD = 'if __name__ == "__main__":'

_whereabouts: Whereabouts = ("", "")
_importing = False


def find_main() -> Whereabouts:
    """Where a worker will find the main module of this process."""
    if _whereabouts[0]:
        return _whereabouts
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return "name", spec.name
    path = getattr(main, "__file__", None)
    if not path or "ipython" in os.path.basename(sys.argv[0] if sys.argv else "") or not path.endswith(".py"):
        return "", ""
    path = os.path.abspath(path)
    return ("path", path) if os.path.exists(path) else ("", "")


def answer_for_main(whereabouts: Whereabouts) -> None:
    """In a worker: from now on ``import_main`` imports this."""
    global _whereabouts
    _whereabouts = whereabouts


def import_main() -> None:
    """In a worker: import the main module under the name ``__mp_main__``, once.

    Raises:
        Exception: whatever the module raises.
    """
    global _importing
    kind, where = _whereabouts
    current = sys.modules.get("__main__")
    if not kind or getattr(current, "__name__", "") == "__mp_main__":
        return
    module = types.ModuleType("__mp_main__")
    _importing = True
    try:
        if kind == "name":
            # A package's own __main__ would run the program again under any name.
            if where.endswith("__main__"):
                return
            content = runpy.run_module(where, run_name="__mp_main__", alter_sys=True)
        else:
            content = runpy.run_path(where, run_name="__mp_main__")
    finally:
        _importing = False
    module.__dict__.update(content)
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module


class UnguardedScript(RuntimeError):
    """A worker has come to a call of its own while it imported the main module."""


def refuse_while_importing() -> None:
    """Raise when a worker's import of the main module has come to a call of its own.

    Raises:
        UnguardedScript: the script lacks the guard; without this each worker would start workers that start workers.
    """
    if _importing:
        raise UnguardedScript(
            "this script starts processes while a worker imports it. Put the part that runs things "
            f"under {GUARD!r}, or into a function that is called from there"
        )
