"""Takes down entries of structlog. Imported when somebody has imported that."""

from __future__ import annotations

import pickle
from collections.abc import Callable, MutableMapping
from functools import lru_cache, partial
from typing import Any, NoReturn

import structlog

from cotality.parallel._backends.capture.listening import Listener, Listening, ear
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
        wrapper, _merges, _filters, is_stdlib = wanted.structlog
        config = structlog.get_config()
        chain = _chain(wanted, self._tell)
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


class EntriesBeside:
    """Takes down what tasks enter in a worker that is not ours; what others do is done as they have configured it."""

    def __init__(self) -> None:
        self._theirs: dict[str, Any] = {}
        """How structlog is configured for others."""
        self._configured = self._stands = False
        self._lists: list[tuple[list[Any], list[Any]]] = []
        """The lists of processors, which loggers that are in use hold, and what is in them for others."""

    def want(self, listener: Listener) -> None:
        """Somebody listens."""
        if listener.wanted.structlog is None or (self._stands and structlog.get_config() == self._ours()):
            return
        self._configured, self._theirs = self._found()
        self._stands = True
        processors = self._theirs["processors"] = _as_list(self._theirs["processors"])
        if all(processors is not held for held, _own in self._lists):
            own = processors[:]
            self._lists.append((processors, own))
            processors[:] = [partial(self._process, own)]
        structlog.configure(**self._ours())

    def end(self) -> None:
        """Nobody does any more."""
        if not self._stands:
            return
        configured, theirs = self._found()
        for processors, own in self._lists:
            processors[:] = own
        self._lists.clear()
        self._stands = False
        if configured:
            structlog.configure(**theirs)
        else:
            structlog.reset_defaults()

    def _ours(self) -> dict[str, Any]:
        """How structlog is configured while this stands here."""
        ours = {"wrapper_class": self._wrap, "logger_factory": self._make, "cache_logger_on_first_use": False}
        return {**self._theirs, **ours}

    def _found(self) -> tuple[bool, dict[str, Any]]:
        """Whether and how others have configured it, perhaps since this stands here."""
        now = structlog.get_config()
        if not self._stands:
            return structlog.is_configured(), now
        ours = self._ours()
        theirs = {key: self._theirs[key] if value == ours[key] else value for key, value in now.items()}
        return self._configured or now != ours, theirs

    def _wrap(self, logger: Any, processors: Any, context: Any) -> Any:
        wanted = _wanted()
        wrapper = None if wanted is None else _loaded(wanted[0])
        return (wrapper or self._theirs["wrapper_class"])(logger, processors=processors, context=context)

    def _make(self, *names: Any) -> Any:
        wanted = _wanted()
        if wanted is None:
            return self._theirs["logger_factory"](*names)
        return structlog.stdlib.LoggerFactory()(*names) if wanted[3] else _Lent(self._theirs["logger_factory"], *names)

    def _process(self, own: list[Any], logger: Any, method: str, facts: Any) -> Any:
        for processor in _chain_of_task() or own:
            facts = processor(logger, method, facts)
        return facts


class _Lent(_Named):
    """One that a task has got; others who find it may use it as well.

    Parameters:
        make: What makes their loggers.
    """

    def __init__(self, make: Callable[..., Any], *names: Any) -> None:
        super().__init__(*names)
        self._make = make

    def __getattr__(self, method: str) -> Any:
        return getattr(self._make(*self.names), method)


def _wanted() -> tuple[bytes, bool, bool, bool] | None:
    """What of structlog the caller of the code that runs now wants to hear, if that is a task."""
    listener = ear.get()
    return None if listener is None else listener.wanted.structlog


def _chain_of_task() -> list[Any] | None:
    """What takes down what the code that runs now enters, if that is a task."""
    listener = ear.get()
    if listener is None or listener.wanted.structlog is None:
        return None
    listener.chain = listener.chain or _chain(listener.wanted, listener.tell)
    return listener.chain


def _as_list(processors: Any) -> list[Any]:
    return processors if isinstance(processors, list) else list(processors)


def _chain(wanted: Listening, tell: Callable[[Entry], object]) -> list[Any]:
    """The processors that take down what the caller wants to hear."""
    assert wanted.structlog is not None
    _wrapper, merges, filters, _is_stdlib = wanted.structlog

    def take_down(logger: Any, method: str, facts: MutableMapping[str, Any]) -> NoReturn:
        names = logger.names if isinstance(logger, _Named) else (logger.name,) if hasattr(logger, "name") else ()
        tell(Entry(names, method, dict(facts)))
        raise structlog.DropEvent

    chain: list[Any] = [structlog.contextvars.merge_contextvars] if merges else []
    if filters:
        chain.append(structlog.stdlib.filter_by_level)
    return [*chain, structlog.processors.StackInfoRenderer(), structlog.processors.format_exc_info, take_down]


@lru_cache(maxsize=16)
def _loaded(wrapper: bytes) -> Any:
    try:
        return pickle.loads(wrapper) if wrapper else None
    except Exception:
        return None
