"""What tests ask before they fork."""

from __future__ import annotations

import os

import pytest

CAN_FORK = hasattr(os, "fork")
METHODS = ("forkserver", "spawn", "fork") if CAN_FORK else ("spawn",)
"""The start methods that this system has."""

STARTS_SECONDS = 20 if CAN_FORK else 120
"""The deadline of a program that starts workers all the time: a new interpreter takes far longer than a fork."""

needs_forks = pytest.mark.skipif(not CAN_FORK, reason="this system can not fork")
