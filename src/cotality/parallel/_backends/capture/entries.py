"""Takes down entries of structlog. Imported when somebody has imported that."""

from __future__ import annotations

import pickle
from collections.abc import Callable, MutableMapping
from typing import Any, NoReturn

import structlog

from cotality.parallel._backends.capture.listening import Listening
from cotality.parallel._data.said import Entry


class _Named:
    """A logger that only knows what it was asked for by."""

    def __init__(self, *names: Any) -> None:
        self.names = names


class EntryCapture:
    """Sets structlog up in a worker, if the caller has.

    Parameters:
        tell: Takes an entry.
    """

    def __init__(self, tell: Callable[[Entry], bool]) -> None:
        self._tell = tell
        self._processors: list[Any] | None = None

    def apply(self, wanted: Listening) -> None:
        """Take down what is wanted, as far as the processors of modules that were imported let it through."""
        if wanted.structlog is None:
            return
        wrapper, merges, filters, is_stdlib = wanted.structlog
        config = structlog.get_config()
        chain: list[Any] = [structlog.contextvars.merge_contextvars] if merges else []
        if filters:
            chain.append(structlog.stdlib.filter_by_level)
        chain += [structlog.processors.StackInfoRenderer(), structlog.processors.format_exc_info, self._take_down]
        if isinstance(config["processors"], list):
            # Loggers that are in use already hold on to this very list.
            config["processors"][:] = chain
        self._processors = chain
        structlog.configure(
            processors=chain,
            wrapper_class=_loaded(wrapper) or config["wrapper_class"],
            logger_factory=structlog.stdlib.LoggerFactory() if is_stdlib else _Named,
            cache_logger_on_first_use=False,
        )

    stand_back = apply

    def state(self) -> bool:
        """Whether it is set up as it is wanted."""
        return not self.is_replaced()

    def restore(self, state: bool, wanted: Listening) -> None:
        """Set it up so again, if it was."""
        if state and self.is_replaced():
            self.apply(wanted)

    def is_replaced(self) -> bool:
        """Whether somebody has configured structlog since."""
        return self._processors is not None and structlog.get_config()["processors"] is not self._processors

    def _take_down(self, logger: Any, method: str, facts: MutableMapping[str, Any]) -> NoReturn:
        names = logger.names if isinstance(logger, _Named) else (logger.name,) if hasattr(logger, "name") else ()
        self._tell(Entry(names, method, dict(facts)))
        raise structlog.DropEvent


def _loaded(wrapper: bytes) -> Any:
    try:
        return pickle.loads(wrapper) if wrapper else None
    except Exception:
        return None
