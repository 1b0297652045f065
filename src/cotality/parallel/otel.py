"""OpenTelemetry: a span for each run, task and attempt, and the context of an attempt in the worker that runs it.

Needs the extra ``otel``; it uses OpenTelemetry's API alone, so that the application decides where spans go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from cotality.parallel._data.events import Event
from cotality.parallel._version import __version__

__all__ = ["Tracing"]

try:
    from opentelemetry import context, propagate, trace
    from opentelemetry.trace import Span, StatusCode, TracerProvider
except ImportError as _error:
    raise ImportError('spans need OpenTelemetry: pip install "cotality-workflow[otel]"') from _error


class Tracing:
    """An observer that makes spans: run ⊃ task ⊃ attempt. Spans that a task makes itself, in any worker, are inside of
    its attempt's. One may watch any number of runs.

    The span of an attempt begins when it is given to a backend; the event ``started`` in it says when it began to run.

    Parameters:
        tracer_provider: Where spans go; None: to the application's own.

    Example:
        >>> from cotality.parallel import Task, run
        >>> from cotality.parallel.otel import Tracing
        >>> run([Task(len, {}, positional=("abc",))], observers=[Tracing()])
        [3]
    """

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("cotality", __version__, tracer_provider)
        self._runs: dict[str, Span] = {}
        self._tasks: dict[str, dict[int, Span]] = {}
        self._attempts: dict[str, dict[int, Span]] = {}

    def accompany(self, event: Event, /) -> AbstractContextManager[Any]:
        """Begin the span of an attempt, and send its context along.

        Parameters:
            event: The attempt.
        """
        run, index, name = event.run, event.index or 0, event.task or ""
        tasks, attempts = self._tasks[run], self._attempts[run]
        if index not in tasks:
            facts = {"cotality.index": index, "cotality.backend": event.backend or ""}
            tasks[index] = self._start(name, self._runs[run], event, facts)
        # One that a worker gave back without having started it is there already.
        if index not in attempts:
            facts = {"cotality.attempt": event.attempt}
            attempts[index] = self._start(f"{name} attempt {event.attempt}", tasks[index], event, facts)
        carrier: dict[str, str] = {}
        propagate.inject(carrier, trace.set_span_in_context(attempts[index]))
        return Attached(carrier)

    def notice(self, events: Sequence[Event], /) -> None:
        """End the spans of what has ended.

        Parameters:
            events: What has happened.
        """
        for event in events:
            if event.name == "run.started":
                self._begin(event)
            elif event.name == "run.finished":
                self._finish(event)
            elif event.index is not None and event.name not in ("worker.died", "task.cancelled"):
                self._end_attempt(event, event.index)
                if event.name != "task.retried":
                    self._end(self._tasks[event.run].pop(event.index, None), event)

    def _begin(self, event: Event) -> None:
        facts = {"cotality.run": event.run}
        span = self._tracer.start_span(event.workflow or "run", start_time=_nanoseconds(event.at), attributes=facts)
        self._runs[event.run], self._tasks[event.run], self._attempts[event.run] = span, {}, {}

    def _finish(self, event: Event) -> None:
        # Those that were under way when the run ended, from the inside to the outside.
        for spans in (self._attempts.pop(event.run), self._tasks.pop(event.run)):
            for span in spans.values():
                span.set_attribute("cotality.state", "cancelled")
                span.end(_nanoseconds(event.at))
        span = self._runs.pop(event.run)
        span.set_attribute("cotality.state", event.state or "")
        if event.state != "succeeded":
            span.set_status(StatusCode.ERROR, event.state)
        span.end(_nanoseconds(event.at))

    def _end_attempt(self, event: Event, index: int) -> None:
        span = self._attempts[event.run].pop(index, None)
        if span is not None and event.duration is not None:
            span.set_attribute("cotality.worker", event.worker or "")
            span.add_event("started", timestamp=_nanoseconds(event.at - event.duration))
        self._end(span, event)

    def _end(self, span: Span | None, event: Event) -> None:
        if span is None:
            return
        if event.error is not None:
            span.record_exception(event.error, timestamp=_nanoseconds(event.at))
            span.set_status(StatusCode.ERROR, type(event.error).__name__)
        span.end(_nanoseconds(event.at))

    def _start(self, name: str, parent: Span, event: Event, facts: Mapping[str, Any]) -> Span:
        inside = trace.set_span_in_context(parent)
        return self._tracer.start_span(name, inside, start_time=_nanoseconds(event.at), attributes=facts)


class Attached(AbstractContextManager[None]):
    """The context of an attempt, where it runs."""

    def __init__(self, carrier: Mapping[str, str]) -> None:
        self._carrier = carrier

    def __enter__(self) -> None:
        self._token = context.attach(propagate.extract(self._carrier))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        context.detach(self._token)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
