"""What a run remembers: the way between a plan and a journal. All of it for a list or a stream; what workflows have
beyond that is in ``_flow_memory``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from cotality.parallel._caches import CACHE, Caches
from cotality.parallel._data.journal import Journal
from cotality.parallel._data.memory import ELSEWHERE
from cotality.parallel._data.messages import Ending, Planned
from cotality.parallel._data.reference import Wire
from cotality.parallel._data.task import Task, task_of
from cotality.parallel._data.task_errors import JournalError
from cotality.parallel._journal.content import Content
from cotality.parallel._journal.journal import OpenJournal
from cotality.parallel._journal.keys import Keys, Kind, Known, again
from cotality.parallel._journal.reasons import Reasons
from cotality.parallel._journal.values import CALL, Found, Stored, load
from cotality.parallel._observers.log import warn

JOURNAL = "journal"
"""What stands for the worker of a task that did not have to run."""


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
        self._caches = Caches()
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
        self._caches.close()
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

    def _find(self, ticket: int, task: Task[Any], kind: Kind, own: bytes, content: bytes) -> Found | None:
        """What the journal has of a task; if nothing, it is kept in mind that it is to be put down."""
        journal = self._journal
        if journal is None or not task.options.journal:
            return None
        number = self._seen.get(content, 0)
        self._seen[content] = number + 1
        key = again(content, number) if number else content
        facts = journal.index.get(key)
        expires = task.options.expires
        if facts is not None and (expires is None or journal.store.is_fresh(key, facts, expires)):
            return key, facts
        self._known[ticket] = known = key, self._call(ticket, task, kind, own), kind
        if self._reasons is not None:
            self._miss(ticket, known, self._reasons)
        return None

    def _miss(self, ticket: int, known: Known, reasons: Reasons) -> None:
        """The journal has not got it: say why, if it has its like."""
        key, call, kind = known
        reason = reasons.news(key, call, kind.function)
        if reason is not None:
            warn("journal.runs_again", reason, task=kind.name)

    def _call(self, ticket: int, task: Task[Any], kind: Kind, own: bytes) -> bytes:
        return kind.call_of(own)

    def _keep(self, ticket: int, value: Any) -> bytes | None:
        known = self._known.pop(ticket, None)
        return None if known is None or self._journal is None else self._journal.keep(*known, value)


class FlatMemory(Remembering):
    """Remembers the tasks of a list or a stream."""

    def recall(self, pulled: Sequence[Planned]) -> tuple[list[Planned], list[Ending], list[Planned]]:
        """Those of these tasks that have to run, the ends of others, and those that somebody else is at."""
        missing: list[Planned] = []
        found: list[tuple[Planned, Kind, Found]] = []
        ends: list[Ending] = []
        elsewhere: list[Planned] = []
        keys = self._keys
        for planned in pulled:
            ticket, call = planned
            task = call if type(call) is Task else task_of(call)
            options = task.options
            if options.cache is None and (self._journal is None or not options.journal):
                missing.append(planned)
                continue
            try:
                kind, own = keys.kind_of(task), keys.arguments_of(task, task.positional, task.arguments)
                content = kind.key_of(own)
                # One that somebody else is at is asked for more than once.
                known = None if ticket in self._known else self._find(ticket, task, kind, own, content)
                cached = None
                if known is None and options.cache is not None:
                    cached = self._ask_cache(planned, task, (content, kind.call_of(own), kind))
            except Exception as error:
                now = monotonic()
                ends.append((planned, error, None, now, now, JOURNAL))
                continue
            if known is not None:
                found.append((planned, kind, known))
            elif cached is None:
                missing.append(planned)
            elif cached is ELSEWHERE:
                elsewhere.append(planned)
            else:
                ends.append(cached)
        if found:
            ends += self._open_found(found, missing)
        if self.tells:
            self._news += [end for end in ends if end[1] is None]
        return missing, ends, elsewhere

    def _ask_cache(self, planned: Planned, task: Task[Any], known: Known) -> Any:
        """How a task has ended whose result a cache has; None if it has to run; or ``ELSEWHERE``."""
        held = self._caches.ask(planned[0], task, known)
        if held is None or held is ELSEWHERE:
            return held
        self._known.pop(planned[0], None)
        key, _, kind = known
        value = Stored(held, key, held.facts, kind.name).open()
        kind.resumed += 1
        now = monotonic()
        return planned, None, value, now, now, CACHE

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
                self._known[planned[0]] = key, facts[CALL], kind
                missing.append(planned)
            else:
                kind.resumed += 1
                ends.append((planned, None, value, now, now, JOURNAL))
        return ends

    def record(self, endings: Sequence[Ending], now: float) -> None:
        for (ticket, _), failure, value, _started, _ended, _worker in endings:
            if failure is None:
                self._keep(ticket, value)
                if ticket in self._caches.claimed:
                    self._caches.keep(ticket, value)
        if self._journal is not None:
            self._journal.write_when_due(now)

    def give_up(self, ticket: int) -> None:
        if ticket in self._caches.claimed:
            self._caches.let_go([ticket])
