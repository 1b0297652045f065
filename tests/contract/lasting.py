"""How long a task lasts that is to outlast a timeout, and how long that is."""

from __future__ import annotations

from typing import Any

from cotality.parallel.foreseeing import capabilities_of


def lasting(backend: Any) -> float:
    """Seconds; few where it can neither be ended nor its place be taken by another, for the tests behind it wait."""
    able = capabilities_of(backend)
    assert able is not None
    return 20.0 if able.replaces else 1.6


def patience(backend: Any) -> float:
    """Seconds of a timeout that only such a task outlasts; more where results come a long way."""
    able = capabilities_of(backend)
    assert able is not None
    return 0.3 if able.confines else 0.9
