"""Values of which nothing more is to be known than their type."""

from __future__ import annotations

from typing import Final

ATOMS: Final[frozenset[type]] = frozenset({int, float, bool, type(None), complex, str, bytes})
"""Numbers and texts, by identity of the type, as subclasses carry more.

They hold nothing else, and marshal writes them at a third of pickle's cost, in its format 0 in one way only.
"""
