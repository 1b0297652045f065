"""Spans of runs, tasks and attempts, on every backend, and over a real socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cotality.parallel import Task, run, stream
from cotality.parallel.otel import Tracing
from cotality.workflow import RetryPolicy, Workflow
from tests.contract import flows, functions


class Spans:
    """The spans of a test, with who is inside of whom."""

    def __init__(self, spans: tuple[ReadableSpan, ...]) -> None:
        self.all = spans
        self._names = {span.context.span_id: span.name for span in spans if span.context}

    def tree(self) -> list[tuple[str, str | None]]:
        return sorted((span.name, self._names[span.parent.span_id] if span.parent else None) for span in self.all)

    def name(self, span_id: int) -> str:
        return self._names[span_id]

    def only(self, name: str) -> ReadableSpan:
        (span,) = (span for span in self.all if span.name == name)
        return span


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Tracing:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider)


def test_run_task_attempt_and_what_a_task_does_itself(
    backend: Any, tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    flow = Workflow("nightly", backend=backend)
    first = flow.add(flows.span_id())
    second = flow.add(flows.aspan_id().after(first))
    done = flow.run(observers=[tracing])
    spans = Spans(exporter.get_finished_spans())
    assert spans.tree() == [
        ("aspan_id", "nightly"),
        ("aspan_id attempt 1", "aspan_id"),
        ("nightly", None),
        ("span_id", "nightly"),
        ("span_id attempt 1", "span_id"),
    ]
    assert spans.name(done[first]) == "span_id attempt 1"
    assert spans.name(done[second]) == "aspan_id attempt 1"
    whole = spans.only("nightly")
    assert whole.attributes is not None
    assert whole.attributes["cotality.run"] == done.id
    assert len({span.context.trace_id for span in spans.all if span.context}) == 1
    for span in spans.all:
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time


def test_attempts_and_failures(backend: Any, tracing: Tracing, exporter: InMemorySpanExporter, tmp_path: Any) -> None:
    tasks = [Task(functions.note_and_fail_until, {"path": str(tmp_path / "made"), "attempts": 2})]
    run(tasks, backend=backend, retries=RetryPolicy(attempts=3, wait=0.001, jitter=0), observers=[tracing])
    run([Task(functions.fail, {"message": "no"})], backend=backend, return_exceptions=True, observers=[tracing])
    spans = Spans(exporter.get_finished_spans())
    retried, again = (spans.only(f"note_and_fail_until attempt {number}") for number in (1, 2))
    assert not retried.status.is_ok
    assert retried.events[-1].attributes is not None
    assert retried.events[-1].attributes["exception.type"] == "ConnectionError"
    assert again.status.is_unset
    assert spans.only("note_and_fail_until").status.is_unset
    assert not spans.only("fail").status.is_ok


def test_a_run_that_is_left_ends_its_spans(backend: Any, tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    tasks = (Task(functions.double, {"x": n}) for n in range(1000))
    for _index, _result in stream(tasks, backend=backend, observers=[tracing], window=4):
        break
    spans = exporter.get_finished_spans()
    (whole,) = (span for span in spans if span.parent is None)
    assert whole.attributes is not None
    assert whole.attributes["cotality.state"] == "cancelled"
    known = {span.context.span_id for span in spans if span.context}
    assert all(span.parent.span_id in known for span in spans if span.parent)


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A collector on the loopback address, and what it has got."""
    requests: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", requests
    server.shutdown()
    server.server_close()
    thread.join()


def test_spans_reach_a_collector(collector: tuple[str, list[ExportTraceServiceRequest]]) -> None:
    endpoint, requests = collector
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint)))
    flow = Workflow("nightly", backend="processes")
    flow.add(flows.add(1))
    flow.run(observers=[Tracing(provider)])
    provider.shutdown()
    spans = [
        span
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert sorted(span.name for span in spans) == ["add", "add attempt 1", "nightly"]


def test_without_tracing_a_task_has_no_span_of_ours(backend: Any) -> None:
    flow = Workflow("nightly", backend=backend)
    first = flow.add(flows.span_id())
    assert flow.run()[first] == trace.INVALID_SPAN_ID
