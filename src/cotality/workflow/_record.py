"""A run that is over as plain data: what a report is made of, and what can be saved and read again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any, Final, NoReturn, Self

from cotality.parallel.recounting import EarlierAttempt, Row
from cotality.workflow._report.facts import Cause, Facts

FORMAT: Final = "a run of cotality-workflow"
VERSION: Final = 1


class RunRecord(Facts):
    """A run as plain data, without arguments and results; ``Run.record`` makes it.

    Parameters:
        run: The run's id.
        workflow: The workflow's name.
        state: How it ended, as in ``Run.state``.
        error: What ended it before all its tasks had ended, in one line; empty if nothing did.
        began_at: When it began, in seconds since the epoch.
        duration: Seconds that it took.
        counts: How many tasks ended in which state.
        rows: What is known of each task that has ended; :meth:`Run.events` tells what.
        joints: What is no task and only joins some, by its place in the run: the places of what it needed.
        causes: The failures by what caused them, the most frequent first.
        memory: The most bytes of memory that each process has had since it was started: this one, and the workers that
            were there at the end of a run of a tenth of a second or more; 0 where the system does not tell.
        environment: Where it ran.

    Example:
        >>> from cotality.workflow import Workflow, task
        >>> @task
        ... def half(number: int) -> float:
        ...     return number / 2
        >>> flow = Workflow("halves")
        >>> _ = flow.add(half(6))
        >>> record = flow.run().record()
        >>> record.workflow, record.counts
        ('halves', {'succeeded': 1})
    """

    __slots__ = ()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON.

        Parameters:
            path: The file, which is replaced.

        Raises:
            OSError: it can not be written.
        """
        # Only who saves a run, or reads one, pays for importing it.
        import json

        told = {each.name: getattr(self, each.name) for each in fields(self)}
        told["rows"] = {name: [getattr(row, name) for row in self.rows] for name in _COLUMNS}
        told["rows"]["earlier"] = [[asdict(each) for each in row.earlier] for row in self.rows]
        told["causes"] = [asdict(cause) for cause in self.causes]
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"format": FORMAT, "version": VERSION, **told}, file, separators=(",", ":"))

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write the page that :meth:`Run.report` writes.

        Parameters:
            path: The file, which is replaced.

        Raises:
            ImportError: jinja2 is missing; the extra ``report`` installs it.
            OSError: it can not be written.
        """
        from cotality.workflow._report.page import page_of

        page = page_of(self)
        with open(path, "w", encoding="utf-8") as file:
            file.write(page)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what :meth:`save` has written.

        Parameters:
            path: The file.

        Raises:
            OSError: it can not be read.
            ValueError: it is no saved run.
        """
        import json

        with open(path, encoding="utf-8") as file:
            try:
                told = json.load(file, parse_constant=_refuse)
                if told.pop("format") != FORMAT or told.pop("version") != VERSION:
                    raise ValueError("of another format")
                return cls(**_read(told))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                raise ValueError(f"{os.fspath(path)} is no run that was saved by this version") from None

    def __repr__(self) -> str:
        return f"<RunRecord of {self.run} of {self.workflow!r}: {self.state}, {len(self.rows)} tasks>"


# Reading -------------------------------------------------------------------------------------------------------------


def _read(told: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record, each of its type: what is shown of it was computed from it."""
    columns = told["rows"]
    given = [list(map(check, columns[name])) for name, check in _COLUMNS.items()]
    earlier = [tuple(_try(**each) for each in tries) for tries in columns["earlier"]]
    if len({len(column) for column in (*given, earlier)}) != 1:
        raise ValueError("columns of unequal length")
    return {
        **{name: _text(told[name]) for name in ("run", "workflow", "state", "error")},
        **{name: _number(told[name]) for name in ("began_at", "duration")},
        "rows": [Row(*row) for row in zip(*given, earlier, strict=True)],
        "joints": {int(ticket): _places(needs) for ticket, needs in told["joints"].items()},
        "causes": [_cause(**cause) for cause in told["causes"]],
        **{name: {_text(key): _place(value) for key, value in told[name].items()} for name in ("counts", "memory")},
        "environment": {_text(key): _text(value) for key, value in told["environment"].items()},
    }


_MOST_SECONDS: Final = 1e12


def _cause(tasks: Any, indices: Any, skipped: Any, traceback: Any, **texts: Any) -> Cause:
    return Cause(
        **{name: _text(text) for name, text in texts.items()},
        tasks={_text(name): _place(count) for name, count in tasks.items()},
        indices=_places(indices),
        skipped=_place(skipped),
        traceback=[_text(line) for line in traceback],
    )


def _try(start: Any, end: Any, worker: Any, state: Any, error: Any) -> EarlierAttempt:
    return EarlierAttempt(_number(start), _number(end), _optional(_text)(worker), _text(state), _text(error))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _refuse(value)


def _number(value: Any) -> float:
    # No run is longer than that; what is not finite could not be drawn.
    return (
        float(value) if isinstance(value, (int, float)) and -_MOST_SECONDS < value < _MOST_SECONDS else _refuse(value)
    )


def _place(value: Any) -> int:
    return value if isinstance(value, int) else _refuse(value)


def _places(values: Any) -> tuple[int, ...]:
    return tuple(map(_place, values))


def _optional(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


def _refuse(value: Any) -> NoReturn:
    raise ValueError(f"a {type(value).__name__} where it does not belong")


_COLUMNS: Final[dict[str, Callable[[Any], Any]]] = {
    "index": _place,
    "task": _text,
    "state": _text,
    "attempts": _place,
    "worker": _optional(_text),
    "ready": _optional(_number),
    "start": _optional(_number),
    "end": _optional(_number),
    "error": _text,
    "first_cause": _optional(_text),
    "inputs": _places,
    "needs": _places,
    "place": _optional(_place),
}
"""What a row tells but its earlier attempts, in its order, and how each is read."""
