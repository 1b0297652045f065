"""What tasks say in other processes, to be said again here: log records, entries of structlog, warnings, prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias


class Record(NamedTuple):
    """A record of ``logging``.

    Parameters:
        facts: Its attributes.
        error: The exception that it tells of.
    """

    facts: dict[str, Any]
    error: BaseException | None = None


class Entry(NamedTuple):
    """An entry of structlog.

    Parameters:
        logger: What its logger was asked for by, a name mostly.
        method: Which method was called: ``"info"``, …
        facts: The event and what goes with it.
    """

    logger: tuple[Any, ...]
    method: str
    facts: dict[str, Any]


class Warned(NamedTuple):
    """A warning.

    Parameters:
        text: What it says.
        kinds: Module and name of its category and of the classes that this is made of, the nearest first.
        filename: The file that is to blame.
        line: And the line, from 1.
    """

    text: str
    kinds: Sequence[tuple[str, str]]
    filename: str
    line: int


class Printed(NamedTuple):
    """What was printed.

    Parameters:
        stream: Where to, ``"stdout"`` or ``"stderr"``.
        text: The text.
    """

    stream: str
    text: str


Said: TypeAlias = Record | Entry | Warned | Printed
