"""One execution of a workflow, while it goes on and afterwards."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from time import monotonic
from typing import Any, NoReturn, TypeVar, overload

from cotality.parallel import Mapped, Outcome, Reference, Task
from cotality.parallel.building import Execution, trace_of
from cotality.parallel.errors import ReferenceMisuse, ResultNotKept, RunError, UnknownTask, WorkflowFailed
from cotality.parallel.recounting import placed
from cotality.workflow._record import RunRecord

R = TypeVar("R")
T = TypeVar("T")

_SHOWN = 10
"""How many failures a summary names, those counted once that say the same."""
_OF_ITEMS = "run.outcomes(…) of the map tells what each of its items came to"


class Run:
    """What came of a run of a workflow. ``Workflow.run`` returns it when it is over; a stream has it while it goes on.

    Example:
        >>> from cotality.workflow import Workflow, task
        >>> @task
        ... def half(number: int) -> float:
        ...     return number / 2
        >>> flow = Workflow()
        >>> three = flow.add(half(6))
        >>> run = flow.run()
        >>> run[three], run.state
        (3.0, 'succeeded')
    """

    def __init__(self, execution: Execution, workflow: str, *, fail_fast: bool) -> None:
        self._execution = execution
        self._account = execution.account
        self._fail_fast = fail_fast
        self.id: str = execution.identity.id
        self.workflow = workflow

    # Results ---------------------------------------------------------------------------------------------------------

    @overload
    def __getitem__(self, node: Task[Coroutine[Any, Any, T]]) -> T: ...
    @overload
    def __getitem__(self, node: Task[R]) -> R: ...
    @overload
    def __getitem__(self, node: Mapped[R]) -> list[R]: ...
    def __getitem__(self, node: Any) -> Any:
        """What a task gave; for a map, the results of its items in their order.

        Raises:
            Exception: the task's error, if it failed; a ``TaskSkipped`` or ``TaskCancelled``, if it never ran.
            ResultNotKept: it was not added to the workflow, so its result was dropped when nobody needed it any more.
            UnknownTask: it has no part in this run.
            RuntimeError: it has not ended yet.
        """
        account = self._account
        ticket = account.ticket_of(_node(node))
        if account.has_result(ticket):
            return account.value(ticket)
        if not account.has_ended(ticket):
            raise RuntimeError(f"{node.name} has not ended yet: its result can be read when it has")
        error = account.outcome(ticket).error or ResultNotKept(
            f"the result of {node.name} was not kept: flow.add(…) it, to be able to read it after the run"
        )
        if isinstance(node, Mapped) and _OF_ITEMS not in getattr(error, "__notes__", ()):
            error.add_note(_OF_ITEMS)
        raise error

    @overload
    def outcome(self, node: Task[Coroutine[Any, Any, T]]) -> Outcome[T]: ...
    @overload
    def outcome(self, node: Task[R]) -> Outcome[R]: ...
    def outcome(self, node: Any) -> Any:
        """What a task came to, with its times.

        Parameters:
            node: The task.

        Raises:
            UnknownTask: it has no part in this run.
            RuntimeError: it has not ended yet.
        """
        ticket = self._account.ticket_of(_node(node))
        if not self._account.has_ended(ticket):
            raise RuntimeError(f"{node.name} has not ended yet")
        return self._account.outcome(ticket)

    def outcomes(self, mapped: Mapped[R]) -> list[Outcome[R]]:
        """What each item of a map came to, in their order.

        Parameters:
            mapped: The map.

        Raises:
            UnknownTask: the map has no part in this run.
            TypeError: something that is no map.
        """
        if not isinstance(mapped, Mapped):
            raise TypeError(f"outcomes is about a map, not {type(mapped).__name__}: use run.outcome(task) for a task")
        return self._account.item_outcomes(mapped)

    # How it went -----------------------------------------------------------------------------------------------------

    @property
    def failures(self) -> list[Outcome[Any]]:
        """The tasks that failed for good, in the order in which they did; skipped ones are not among them."""
        return [self._account.outcome(ticket) for ticket in self._execution.plan.failed]

    def save_failures(self, path: str | os.PathLike[str], *, secret: bytes | None = None) -> int:
        """Write the tasks that failed as a file, with their arguments and the tasks whose results they take, so that
        just those can be run again: see :func:`~cotality.parallel.load_failures`.

        Parameters:
            path: The file, which is replaced; only its owner may read it.
            secret: Whoever does not know it can not forge such a file.

        Returns:
            How many tasks were written; items of a map that never became a task are not among them.

        Raises:
            Exception: an argument can not be pickled.
            JournalError: the file can not be written.
        """
        return self._account.write_failures(path, secret)

    @property
    def error(self) -> BaseException | None:
        """What ended the run before all tasks had ended, the first failure, a timeout or a cancellation; else None."""
        return self._execution.plan.failure

    @property
    def state(self) -> str:
        """``"running"``, ``"succeeded"``, ``"failed"``, ``"timed out"`` or ``"cancelled"``."""
        return self._execution.state

    @property
    def duration(self) -> float:
        """Seconds from its start to its end, or until now."""
        return (self._execution.ended or monotonic()) - self._execution.began

    @property
    def counts(self) -> dict[str, int]:
        """How many tasks ended in which state; those that have not ended count as ``"pending"``."""
        return self._account.counts()

    @property
    def resumed(self) -> dict[str, int]:
        """How many tasks did not have to run, by name, because a journal or a cache had their results."""
        return self._execution.resumed()

    def cancel(self) -> None:
        """End the run as soon as can be: nothing more starts, and what runs is ended where that can be done.

        May be called from any thread. The call that runs the workflow then raises ``RunCancelled``, unless failures are
        not raised.
        """
        self._execution.cancel()

    def leave(self) -> None:
        """Give up whatever of the run is not over; does nothing when it is. Leaving its stream does this."""
        self._execution.close()

    def raise_failures(self) -> None:
        """Raise what went wrong, if anything did.

        Raises:
            Exception: with ``failure="fail_fast"``, the first failure as itself.
            WorkflowFailed: otherwise all failures in a group, whose ``run`` is this run.
            RunTimeout, RunCancelled: the run ended for such a reason; their ``run`` is this run.
        """
        error = self.error
        if isinstance(error, RunError):
            error.run = self
            raise error
        failed = [self._account.outcome(ticket).error for ticket in self._execution.plan.failures]
        errors = [error for error in failed if error is not None]
        if not errors:
            return
        if self._fail_fast:
            raise errors[0]
        self._raise_group(errors)

    def _raise_group(self, errors: list[Exception]) -> NoReturn:
        tasks = sum(self.counts.values())
        group = WorkflowFailed(f"{len(errors)} of {tasks} tasks of {self.workflow!r} failed", errors)
        group.run = self
        raise group

    # As data ---------------------------------------------------------------------------------------------------------

    def events(self) -> list[dict[str, Any]]:
        """What happened to each task that has ended, as plain data: for a data frame, or a line of JSON each.

        Returns:
            ``run``, ``workflow``, ``task``, ``index``, ``place`` (of an item in its map), ``state``, ``attempts``,
            ``worker``, ``ready``, ``start`` and ``end`` (seconds since the run began; None for what never was),
            ``error`` in one line, ``first_cause``, and ``inputs``, the indices of those whose results it took,
            ``needs``, those of all that it waited for (maps are among them), and ``earlier``, its attempts before the
            last one. No argument and no result.

        Example:
            >>> from cotality.workflow import Workflow, task
            >>> @task
            ... def half(number: int) -> float:
            ...     return number / 2
            >>> flow = Workflow("halves")
            >>> _ = flow.add(half(6))
            >>> [(event["task"], event["state"]) for event in flow.run().events()]
            [('half', 'succeeded')]
        """
        rows = self._account.rows(self._execution.began)
        return [{"run": self.id, "workflow": self.workflow, **row.facts()} for row in rows]

    def trace(self, path: str | os.PathLike[str]) -> None:
        """Write a trace that https://ui.perfetto.dev and ``chrome://tracing`` open: a row for each worker, with arrows
        from each task to those that have waited for it.

        Parameters:
            path: The file, which is replaced.

        Raises:
            OSError: it can not be written.
        """
        import json

        with open(path, "w", encoding="utf-8") as file:
            rows, joints = self._account.rows(self._execution.began), self._account.joints()
            json.dump(trace_of(f"{self.workflow} {self.id}", rows, joints), file)

    def record(self) -> RunRecord:
        """All that is known of the run as plain data, without arguments and results: what a report is made of.

        Raises:
            RuntimeError: the run is not over.
        """
        if self._execution.ended is None:
            raise RuntimeError(f"run {self.id} of {self.workflow!r} is not over: there is no record of it yet")
        # Only who wants one pays for importing it.
        from cotality.workflow._report.recorded import record_of

        return record_of(self._execution)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the record of the run as JSON, of which a report can be made later; ``RunRecord.load`` reads it.

        Parameters:
            path: The file, which is replaced.

        Raises:
            RuntimeError: the run is not over.
            OSError: it can not be written.
        """
        self.record().save(path)

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write a page that tells how the run went: one file of HTML, which needs no network.

        Parameters:
            path: The file, which is replaced.

        Raises:
            ImportError: jinja2 is missing; the extra ``report`` installs it.
            RuntimeError: the run is not over.
            OSError: it can not be written.
        """
        self.record().report(path)

    def summary(self) -> str:
        """How it went, in a few lines: what ran, how long it took, and what failed."""
        counts = ", ".join(f"{number:,} {state}" for state, number in self.counts.items() if number)
        lines = [f"{self.workflow}: {self.state} in {self.duration:.3g} s ({counts or 'nothing to do'})"]
        alike: dict[tuple[str, str, str], list[Outcome[Any]]] = {}
        for outcome in self.failures:
            alike.setdefault((outcome.state, outcome.name, outcome.reason), []).append(outcome)
        for outcome, *others in list(alike.values())[:_SHOWN]:
            tries = f" after {outcome.attempts} attempts" if outcome.attempts > 1 else ""
            lines.append(
                f"  {outcome.state}: {outcome.name} ({placed(outcome.index, outcome.place)}){tries}: {outcome.reason}"
            )
            if others:
                lines.append(f"    and {len(others):,} more for the same reason")
        if len(alike) > _SHOWN:
            lines.append(f"  … and {sum(map(len, list(alike.values())[_SHOWN:])):,} more")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self.workflow!r}: {self.state}>"


def _node(node: Any) -> Any:
    if isinstance(node, (Task, Mapped)):
        return node
    if isinstance(node, Reference):
        raise ReferenceMisuse(f"{node!r} was given where its task belongs: pass the task itself")
    raise UnknownTask(f"a run is asked for a task or a map, not for {type(node).__name__}")
