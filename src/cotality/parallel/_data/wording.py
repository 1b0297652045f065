"""What is said of exceptions and of names that are not ours: they may hold anything, and asking them may raise."""

from __future__ import annotations


def message_of(error: BaseException) -> str:
    """What an exception says of itself."""
    try:
        # A message may be of a subclass of str, which does not travel.
        return str.__str__(str(error))
    except BaseException:
        # Whatever it raises, an exit included, it is asked in passing.
        return "<its message can not be shown>"


def summary_of(error: BaseException) -> str:
    """An exception in one line."""
    return shown(f"{type(error).__name__}: {message_of(error).partition(chr(10))[0]}")


def placed(index: int, place: int | None) -> str:
    """Which task it is of several of one name: an item of a map by its place in that map too."""
    return f"index {index}" if place is None else f"item {place}, index {index}"


def shown(text: str) -> str:
    """A text in which control characters are seen and do nothing."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
