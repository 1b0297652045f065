"""How the command line ends: its exit codes, and what is said where something can not be used."""

from __future__ import annotations

SUCCEEDED, FAILED, UNUSABLE, TIMED_OUT, CANCELLED, INTERRUPTED = 0, 1, 2, 3, 4, 130


class Unusable(Exception):
    """What the user has given can not be used, and why."""
