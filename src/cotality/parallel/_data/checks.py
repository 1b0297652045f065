"""Checks of what a caller gives as an option."""

from __future__ import annotations


def check_count(name: str, value: object) -> None:
    """Raise unless a number of things is None or a whole number above 0."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be greater than 0 and a whole number, not {type(value).__name__}")
    if value <= 0:
        raise ValueError(f"{name} must be greater than 0")


def check_seconds(name: str, value: object) -> None:
    """Raise unless a length of time is None or a number above 0."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not value > 0:
        raise ValueError(f"{name} must be greater than 0 seconds")


def check_observers(observers: object) -> None:
    """Raise unless all of these can be told of events."""
    if not isinstance(observers, (list, tuple, set, frozenset)):
        raise TypeError(f"observers must be a list of observers, not {type(observers).__name__}")
    for observer in observers:
        if not callable(getattr(observer, "notice", None)):
            raise TypeError(f"an observer needs a method notice(events), which {type(observer).__name__} has not")


def check_known(what: str, given: object, known: object) -> None:
    """Raise for an option that does not exist.

    Parameters:
        what: Whose options these are.
        given: The options, by name.
        known: All that there are.
    """
    unknown = sorted(set(given) - set(known))  # type: ignore[call-overload]
    if unknown:
        raise TypeError(f"unknown option {unknown[0]!r} of {what}: there are {', '.join(sorted(known))}")  # type: ignore[call-overload]
