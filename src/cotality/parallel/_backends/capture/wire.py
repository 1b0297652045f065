"""What was said, as bytes and back. Whatever can not travel does so as text."""

from __future__ import annotations

import pickle
from typing import Any

from cotality.parallel._backends.processes.codec import dump_failure, load, load_failure
from cotality.parallel._data.atoms import ATOMS
from cotality.parallel._data.said import Entry, Record, Said

WARNING = 30


def dumps(said: Said) -> bytes:
    """A message that ``loads`` understands."""
    failure = None
    if isinstance(said, Record) and said.error is not None:
        failure = dump_failure(said.error)
        said = Record(said.facts)
    try:
        return pickle.dumps((said, failure), 5)
    except Exception:
        if isinstance(said, (Record, Entry)):
            said = said._replace(facts={key: _portable(value) for key, value in said.facts.items()})
        return pickle.dumps((said, failure), 5)


def _portable(value: Any) -> Any:
    if type(value) in ATOMS:
        return value
    try:
        pickle.dumps(value, 5)
        return value
    except Exception:
        return shown(value)


def shown(value: Any) -> str:
    """A value as text, which is the user's code and may fail."""
    try:
        return str.__str__(repr(value))
    except Exception:
        return f"<a {type(value).__name__} that can not be shown>"


def loads(message: bytes) -> Said:
    """What ``dumps`` was given; a record that says so, if that can not be loaded here."""
    try:
        said, failure = load(message)
    except Exception as error:
        text = f"what a task logged can not be loaded here: {type(error).__name__}"
        return Record({"name": "cotality", "levelno": WARNING, "levelname": "WARNING", "msg": text})
    loaded: Said = said if failure is None else said._replace(error=load_failure(failure))
    return loaded
