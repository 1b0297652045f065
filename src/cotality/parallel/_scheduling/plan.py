"""The plan of a run without dependencies: a source, a window, an order, and what is tried again.

Decides and does nothing: it knows no thread and no clock. The time is always given, in seconds of any clock that
only goes forward.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias

from cotality.parallel._data.around import with_function
from cotality.parallel._data.asking import ask
from cotality.parallel._data.events import Note
from cotality.parallel._data.memory import ASK_SECONDS, ListMemory
from cotality.parallel._data.messages import NOT_STARTED, Ending, Planned, Source
from cotality.parallel._data.outcome import state_of_error
from cotality.parallel._data.policies import RetryPolicy
from cotality.parallel._scheduling.retries import Retries

Result: TypeAlias = tuple[int, Any]
"""The index of a task and its result, or the error that stands for it."""


LONGEST_STRIDE = 256
"""How many tasks are looked for at a time, at most, for each that may run."""


class Plan:
    """The tasks of one run and what each still waits for.

    A ticket is the task's index in the source. A task is *outstanding* from when it is taken until its result is
    consumed; the window bounds how many are.

    Parameters:
        source: Where tasks come from; asked for no more than there is room for.
        retry: What is tried again; None: nothing.
        timeout: Seconds an attempt may take; None: no bound.
        ordered: Whether results are released in the order of the source.
        fail_fast: Whether the first task that fails for good ends the run.
        stand_in: Called with the index, the task, the error and the number of attempts of each task that failed for
            good; returns the error that stands for its result.
    """

    def __init__(
        self,
        source: Source,
        *,
        retry: RetryPolicy | None,
        timeout: float | None,
        ordered: bool,
        fail_fast: bool,
        stand_in: Callable[[int, Any, BaseException, int], Any],
    ) -> None:
        self._source = source
        self._retry = retry
        self._on_result: Any = None if retry is None else retry.on_result
        self._question: partial[Any] | None = None
        self._timeout = timeout
        self._ordered = ordered
        self._fail_fast = fail_fast
        self._stand_in = stand_in
        self._in_flight = 0
        self._returned: deque[Planned] = deque()
        self._retries = Retries()
        self._held: dict[int, Any] = {}
        self._head = 0
        self._released = 0
        self.taken = 0
        self.look_at: float | None = None
        """When it is worth looking at what runs, for the timeout's sake."""
        self.failure: BaseException | None = None
        self.notes: list[Note] = []
        """What was decided since somebody took them from here."""
        self.ended = 0
        """How many tasks have ended."""
        self.failed: Counter[str] = Counter()
        """How many of them have failed, by how they did."""
        self.memory: ListMemory | None = None
        """Who knows results of tasks without running them; None: nobody."""
        self.looks_far = False
        """Whether more than a window may be looked for at a time as long as nothing has to run."""
        self._known: list[Ending] = []
        """The ends of tasks that did not have to run."""
        self._elsewhere: list[Planned] = []
        """Those that somebody else is at; they are asked for again."""
        self._ask_at = 0.0
        self._stride = 1

    def take(self, most: int, window: int, now: float) -> list[Planned]:
        """Up to ``most`` due tasks: first those that come back, then new ones while the window has room."""
        due: list[Planned] = []
        if self.memory is not None:
            self._recall(self.memory, most, window, now)
        while self._returned and len(due) < most:
            due.append(self._returned.popleft())
        due += self._retries.due(most - len(due), now)
        room = min(most - len(due), window - self.outstanding - len(due))
        if room > 0 and not self._source.exhausted and self.memory is None:
            pulled = self._source.pull(room)
            self.taken += len(pulled)
            due += pulled if self._on_result is None else map(self._asked, pulled)
        self._in_flight += len(due)
        if self._timeout is not None and self.look_at is None:
            self.look_at = now + self._timeout
        return due

    def _recall(self, memory: ListMemory, most: int, window: int, now: float) -> None:
        """Take tasks from the source; those that have to run are put where those are that come back."""
        if self.looks_far:
            window = max(window, self._stride)
        room = min(self._stride * most, window - self.outstanding)
        pulled: list[Planned] = []
        if self._elsewhere and now >= self._ask_at:
            pulled, self._elsewhere = self._elsewhere, []
        if room > 0 and not self._source.exhausted:
            fresh = self._source.pull(room)
            self.taken += len(fresh)
            pulled += fresh
        if not pulled:
            return
        missing, known, elsewhere = memory.recall(pulled)
        self._returned.extend(missing if self._on_result is None else map(self._asked, missing))
        self._known += known
        self._in_flight += len(known)
        if elsewhere:
            self._elsewhere += elsewhere
            self._ask_at = now + ASK_SECONDS
        # As long as nothing has to run, many are looked for at a time.
        self._stride = 1 if missing or elsewhere else min(2 * self._stride, LONGEST_STRIDE)

    def _asked(self, planned: Planned) -> Planned:
        """The same task, whose result is asked about where it is made."""
        ticket, call = planned
        function = call.callback_function
        # One question for all tasks in a row that call the same function: it travels once.
        if self._question is None or self._question.args[0] is not function:
            self._question = partial(ask, function, self._on_result)
        return ticket, with_function(call, self._question)

    def settle(self, endings: Sequence[Ending], now: float) -> list[Result]:
        """Take note of how attempts ended; gives the results that may be handed out."""
        if self._known:
            endings, self._known = [*self._known, *endings], []
        self._in_flight -= len(endings)
        results: list[Result] = [(planned[0], value) for planned, failure, value, _, _, _ in endings if failure is None]
        if len(results) < len(endings):
            results = self._settle_each(endings, now)
        if self._retry is not None:
            for ticket, _value in results:
                self._retries.forget(ticket)
        self.ended += len(results)
        if not self._ordered:
            self._released += len(results)
            return results
        return self._in_order(results)

    def _settle_each(self, endings: Sequence[Ending], now: float) -> list[Result]:
        """The same where some have failed: in the order in which they ended."""
        results: list[Result] = []
        for place, (planned, failure, value, started, _, _) in enumerate(endings, 1):
            ticket, task = planned
            if failure is None:
                results.append((ticket, value))
            elif failure is NOT_STARTED:
                self._returned.append(planned)
            elif not self._is_tried_again(planned, failure, started, now):
                attempts = self._retries.attempts(ticket)
                if self.memory is not None:
                    self.memory.give_up(ticket)
                error = self._stand_in(ticket, task, failure, attempts)
                self.notes.append(Note("failed", ticket, task.name, attempts, error))
                self.failed[state_of_error(error)] += 1
                if self._fail_fast:
                    self.failure = error
                    # Those behind it that have a result have ended as well, though nobody will see it.
                    self.ended += 1 + sum(other[1] is None for other in endings[place:])
                    break
                results.append((ticket, error))
        return results

    def _is_tried_again(self, planned: Planned, failure: BaseException, started: float, now: float) -> bool:
        if self._retry is None:
            return False
        attempt = self._retries.attempts(planned[0])
        wait = self._retries.again(planned, self._retry, failure, started, now)
        if wait is None:
            return False
        self.notes.append(Note("retried", planned[0], planned[1].name, attempt, failure, wait))
        return True

    def _in_order(self, results: list[Result]) -> list[Result]:
        held = self._held
        held.update(results)
        ready: list[Result] = []
        head = self._head
        while head in held:
            ready.append((head, held.pop(head)))
            head += 1
        self._head = head
        self._released += len(ready)
        return ready

    def consumed(self, count: int) -> None:
        """The consumer has taken this many of the results it was handed."""
        self._released -= count

    def expired(self, running: Iterable[tuple[int, float]], now: float) -> list[tuple[int, float]]:
        """The attempts that have run for longer than the timeout, and how long that is."""
        if self._timeout is None:
            return []
        expired: list[tuple[int, float]] = []
        # What starts later can not expire before a whole timeout has passed.
        self.look_at = now + self._timeout
        for ticket, started in running:
            if now - started >= self._timeout:
                expired.append((ticket, self._timeout))
            else:
                self.look_at = min(self.look_at, started + self._timeout)
        return expired

    @property
    def timed(self) -> bool:
        """Whether it has to be known when attempts begin."""
        return self._timeout is not None

    def attempt_of(self, ticket: int) -> int:
        """Which attempt of a task is the present one."""
        return self._retries.attempts(ticket)

    def patience(self, now: float) -> float | None:
        """How many seconds nothing needs to be decided, unless an attempt ends; None: for ever."""
        if self._known:
            return 0.0
        until = [] if self._retries.next_at is None else [self._retries.next_at]
        if self._elsewhere:
            until.append(self._ask_at)
        if self.look_at is not None and self._in_flight:
            until.append(self.look_at)
        return max(0.0, min(until) - now) if until else None

    @property
    def exhausted(self) -> bool:
        """Whether no more tasks will come."""
        return self._source.exhausted

    @property
    def outstanding(self) -> int:
        """How many tasks are taken and their results not consumed."""
        waiting = len(self._returned) + len(self._retries) + len(self._elsewhere)
        return self._in_flight + waiting + len(self._held) + self._released

    @property
    def done(self) -> bool:
        """Whether nothing is left to do: every task has ended and the source is exhausted, or the run has failed."""
        return self.failure is not None or (
            self._source.exhausted and not (self._in_flight or self._returned or self._retries or self._elsewhere)
        )
