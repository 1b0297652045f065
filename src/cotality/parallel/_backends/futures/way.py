"""How a batch reaches the caller, and what the two say to each other there."""

from __future__ import annotations

import socket
from struct import Struct
from typing import Final, NamedTuple

LOOPBACK: Final = "127.0.0.1"
SEND_SECONDS: Final = 10.0
"""How long the caller may take no notice, before what is said goes another way."""

HELLO: Final = Struct("!16sQ?")
"""The secret, the batch, and whether this is its leash."""
WELCOME: Final = b"\1"
HEADER: Final = Struct("!II")
"""Which task, and how many bytes."""
QUIETLY: Final[int] = getattr(socket, "MSG_NOSIGNAL", 0)
"""Programs that let SIGPIPE end them would end where the other end is gone."""


class Way(NamedTuple):
    """How one batch reaches the caller; made of what marshal writes.

    Parameters:
        host, port: Where.
        machine: Which one that is.
        secret: What only the batches of this run know: whatever else connects is not listened to.
        number: The batch.
    """

    host: str
    port: int
    machine: str
    secret: bytes
    number: int
