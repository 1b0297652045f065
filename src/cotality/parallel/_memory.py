"""What a run remembers: the way between a plan and a journal. All of it for a list or a stream; what workflows have
beyond that is in ``_flow_memory``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, NamedTuple

from cotality.parallel._data.journal import Journal
from cotality.parallel._data.messages import Ending, Planned
from cotality.parallel._data.reference import Wire
from cotality.parallel._data.task import Task, task_of
from cotality.parallel._data.task_errors import JournalError
from cotality.parallel._journal.content import Content
from cotality.parallel._journal.journal import OpenJournal
from cotality.parallel._journal.keys import Arguments, Keys, Kind, again, call_of, key_of
from cotality.parallel._journal.reasons import Reasons
from cotality.parallel._journal.values import CALL, Found, load
from cotality.parallel._observers.log import warn

JOURNAL = "journal"
"""What stands for the worker of a task that did not have to run."""


class Known(NamedTuple):
    """A task as the journal knows it."""

    key: bytes
    call: bytes
    kind: Kind


class Remembering:
    """What the memories of lists and of workflows have in common.

    Parameters:
        settings: The journal; None: there are only caches.
        of_wire: See :class:`Content`.
    """

    def __init__(self, settings: Journal | None, of_wire: Callable[[Wire], bytes] | None = None) -> None:
        self._settings = settings
        self._content = Content(of_wire)
        self._keys = Keys(self._content)
        self._journal: OpenJournal | None = None
        self._reasons: Reasons | None = None
        self._known: dict[int, Known] = {}
        """Those that run now and are to be kept, by ticket."""
        self._seen: dict[bytes, int] = {}
        self._news: list[Ending] = []
        self.tells = True
        """Whether anybody wants to be told what was taken over."""

    def open(self) -> None:
        if self._settings is not None and self._journal is None:
            try:
                self._journal = OpenJournal(self._settings, warn)
            except JournalError as error:
                if self._settings.on_error == "raise":
                    raise
                warn("journal.failed", f"the run goes on without its journal: {error}")
                return
            self._reasons = Reasons(self._journal) if self._journal.index else None

    def news(self) -> list[Ending]:
        news, self._news = self._news, []
        return news

    def patience(self, now: float) -> float | None:
        return None if self._journal is None else self._journal.patience(now)

    def close(self) -> None:
        journal, self._journal = self._journal, None
        if journal is not None:
            resumed = sum(self.resumed.values())
            if resumed:
                warn("journal.resumed", "these did not have to run", tasks=resumed)
            journal.close()

    @property
    def resumed(self) -> dict[str, int]:
        """How many tasks did not have to run, by name."""
        found: dict[str, int] = {}
        for kind in self._keys.kinds:
            if kind.resumed:
                found[kind.name] = found.get(kind.name, 0) + kind.resumed
        return found

    def _find(self, ticket: int, task: Task[Any], kind: Kind, arguments: bytes, content: bytes) -> Found | None:
        """What the journal has of a task; if nothing, it is kept in mind that it is to be put down."""
        journal = self._journal
        if journal is None or not task.options.journal:
            return None
        number = self._seen.get(content, 0)
        self._seen[content] = number + 1
        key = again(content, number) if number else content
        facts = journal.find(key, task.options.expires)
        if facts is not None:
            return key, facts
        self._known[ticket] = known = Known(key, self._call(ticket, task, kind, arguments), kind)
        self._miss(ticket, known)
        return None

    def _miss(self, ticket: int, known: Known) -> None:
        """The journal has not got it: say why, if it has its like."""
        key, call, kind = known
        reason = None if self._reasons is None else self._reasons.news(key, call, kind.function)
        if reason is not None:
            warn("journal.runs_again", reason, task=kind.name)

    def _call(self, ticket: int, task: Task[Any], kind: Kind, arguments: bytes) -> bytes:
        return call_of(kind.function, arguments)

    def _keep(self, ticket: int, task: Task[Any], value: Any) -> bytes | None:
        known = self._known.pop(ticket, None)
        if known is None or self._journal is None:
            return None
        return self._journal.keep(known.key, known.call, known.kind.function, known.kind.name, value)


class FlatMemory(Remembering):
    """Remembers the tasks of a list or a stream."""

    def recall(self, pulled: Sequence[Planned]) -> tuple[list[Planned], list[Ending]]:
        """Those of these tasks that have to run, and the ends of the others."""
        missing: list[Planned] = []
        found: list[tuple[Planned, Kind, Found]] = []
        ends: list[Ending] = []
        keys = self._keys
        for planned in pulled:
            ticket, call = planned
            task = call if type(call) is Task else task_of(call)
            if not task.options.journal:
                missing.append(planned)
                continue
            try:
                kind, arguments = keys.kind_of(task), arguments_of(keys, task)
                known = self._find(ticket, task, kind, arguments, key_of(kind.function, arguments))
            except Exception as error:
                now = monotonic()
                ends.append((planned, error, None, now, now, JOURNAL))
                continue
            if known is None:
                missing.append(planned)
            else:
                found.append((planned, kind, known))
        if found:
            ends += self._open_found(found, missing)
        return missing, ends

    def _open_found(self, found: list[tuple[Planned, Kind, Found]], missing: list[Planned]) -> list[Ending]:
        assert self._journal is not None
        ends: list[Ending] = []
        read = self._journal.store.read_many([known for _, _, known in found])
        now = monotonic()
        for planned, kind, (key, facts) in found:
            try:
                value = load(read[key])
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                # Damaged, or its class has changed: it runs again.
                why = "it is damaged" if isinstance(error, KeyError) else f"{type(error).__name__} was raised"
                warn("journal.damaged", f"its result can not be read, so it runs again: {why}", task=kind.name)
                self._known[planned[0]] = Known(key, facts[CALL], kind)
                missing.append(planned)
            else:
                kind.resumed += 1
                ends.append((planned, None, value, now, now, JOURNAL))
        if self.tells:
            self._news += ends
        return ends

    def record(self, endings: Sequence[Ending], now: float) -> None:
        for (ticket, call), failure, value, _started, _ended, _worker in endings:
            if failure is None:
                self._keep(ticket, task_of(call), value)
        if self._journal is not None:
            self._journal.write_when_due(now)


def arguments_of(keys: Keys, task: Task[Any], arguments: Arguments | None = None) -> bytes:
    """What stands for the arguments of a task, or for what its ``key=`` makes of them."""
    if arguments is None:
        arguments = (task.positional, task.arguments)
    if task.options.key is not None:
        arguments = ((task.options.key(*arguments[0], **arguments[1]),), {})
    return keys.arguments_of(task, arguments)
