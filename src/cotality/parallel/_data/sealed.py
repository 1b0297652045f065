"""Results that stay as they came from where they were made, until somebody here needs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar


class Sealed:
    """A result that is not opened yet. Other workers take it as it is; who needs it here opens it."""

    __slots__ = ()

    travels: ClassVar[bool] = True
    """Whether workers take it as it is."""

    def open(self) -> Any:
        """The result.

        Raises:
            BaseException: whatever its own code raises.
        """
        raise NotImplementedError


class Several(Sealed):
    """Several results together, of which some are not opened yet.

    Parameters:
        parts: The results.
    """

    __slots__ = ("_parts",)

    travels = False

    def __init__(self, parts: Sequence[Any]) -> None:
        self._parts = parts

    def open(self) -> list[Any]:
        return [part.open() if isinstance(part, Sealed) else part for part in self._parts]
