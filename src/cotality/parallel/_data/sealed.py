"""Results that stay as they came from where they were made, until somebody here needs them."""

from __future__ import annotations

from typing import Any


class Sealed:
    """A result that is not opened yet. Other workers take it as it is; who needs it here opens it."""

    __slots__ = ()

    def open(self) -> Any:
        """The result.

        Raises:
            BaseException: whatever its own code raises.
        """
        raise NotImplementedError
