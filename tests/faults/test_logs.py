"""What a program's logs say, and where, in an interpreter of its own."""

from __future__ import annotations

import json

import pytest

from tests.faults.harness import Run

FLOW = """
from cotality.workflow import Workflow, configure_logging, task

@task
def half(number: int) -> float:
    return number / 2

@task
def refuse(secret: str) -> None:
    hidden = secret[::-1]
    raise ValueError("first line\\n\\x1b[31msecond line")

def work():
    flow = Workflow("nightly", backend=BACKEND, failure="finish")
    flow.add(half(6))
    flow.add(refuse("s3cret-argument"))
    flow.map(half, [1, 2, 3])
    flow.run(raise_failures=False)
"""


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_nothing_is_printed_where_nothing_is_set_up(run: Run, backend: str) -> None:
    ended = run(FLOW + "import logging\ndef main(): work()", backend=backend)
    assert ended.stdout == "the end\n"


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_lines_for_people(run: Run, backend: str) -> None:
    ended = run(FLOW + "def main():\n    configure_logging(file=sys.stdout)\n    work()", backend=backend)
    lines = ended.stdout.splitlines()
    assert sum("task.finished" in line for line in lines) == 1
    (failed,) = (line for line in lines if "task.failed" in line)
    assert "workflow=nightly" in failed
    assert "task=refuse" in failed
    assert "ValueError: first line" in failed
    assert any("run.finished" in line and "'succeeded': 4" in line for line in lines)
    assert any(line.startswith("Traceback") for line in lines)
    # What a terminal would obey is shown, and no argument is, nor a local variable.
    assert "\\x1b[31msecond line" in ended.stdout
    assert "\x1b" not in ended.stdout
    assert "s3cret" not in ended.stdout
    assert "tnemugra" not in ended.stdout


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_lines_for_programs(run: Run, backend: str) -> None:
    body = """
def main():
    import logging
    configure_logging("DEBUG", json=True, file=sys.stdout, events={"run.started": None})
    logging.getLogger("elsewhere").warning("%s too", "this", extra={"colour": "red"})
    work()
"""
    ended = run(FLOW + body, backend=backend)
    entries = [json.loads(line) for line in ended.stdout.splitlines()[:-1]]
    assert entries[0]["event"] == "this too"
    assert (entries[0]["logger"], entries[0]["colour"]) == ("elsewhere", "red")
    events = [entry["event"] for entry in entries]
    assert events.count("task.finished") == 4
    assert "run.started" not in events
    failed = next(entry for entry in entries if entry["event"] == "task.failed")
    assert failed["exception"]["type"] == "ValueError"
    assert failed["exception"]["message"] == "first line\n\x1b[31msecond line"
    assert {
        "run",
        "workflow",
        "task",
        "index",
        "attempt",
        "backend",
        "worker",
        "duration",
        "level",
        "timestamp",
    } <= set(failed)
    if backend == "processes":
        assert "in refuse" in failed["exception"]["worker_traceback"]
    else:
        assert failed["exception"]["frames"][-1]["function"] == "refuse"
    assert "s3cret" not in ended.stdout
    assert entries[-1]["event"] == "run.finished"
    assert entries[-1]["counts"] == {"succeeded": 4, "failed": 1}


def test_local_variables_are_not_shown_by_an_application_that_would(run: Run) -> None:
    body = """
def main():
    import structlog
    # Its defaults show local variables.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stdout))
    work()
    structlog.configure(
        processors=[structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    work()
"""
    ended = run(FLOW + body)
    assert ended.stdout.count("task.failed") == 2
    assert "s3cret" not in ended.stdout
    assert "tnemugra" not in ended.stdout


def test_an_observer_may_run_tasks_itself(run: Run) -> None:
    run(
        FLOW
        + """
def main():
    seen = []
    class Nested:
        def notice(self, events):
            seen.extend(execute([Task(len, {}, positional=(event.name,)) for event in events]))
    equal(execute([Task(abs, {}, positional=(-1,))], observers=[Nested()]), [1])
    equal(seen, [11, 13, 12])
"""
    )


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_progress_where_there_is_no_terminal(run: Run, backend: str) -> None:
    run(
        FLOW
        + """
def main():
    flow = Workflow("nightly", backend=BACKEND)
    flow.map(half, range(10))
    flow.run(progress=True)
""",
        backend=backend,
        # What asks for colours is no terminal either.
        environment={"FORCE_COLOR": "1"},
        stderr=r"nightly: 10/10 tasks, [^\n]*, 0:0\d\n",
    )
