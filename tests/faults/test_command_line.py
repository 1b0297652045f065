"""The command line, as a shell calls it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from cotality.parallel import __version__
from tests.faults.harness import await_rest

SECONDS = 60

NIGHTLY = """
import datetime, enum, time
from decimal import Decimal
from pathlib import Path
from uuid import UUID
from typing import Literal
from cotality.workflow import Outcome, Workflow, task

class Colour(enum.Enum):
    RED = 1

@task
def half(number: int) -> float:
    return number / 2

@task
def refuse(number: int) -> None:
    raise ValueError("no")

@task
async def sleep() -> None:
    import asyncio
    print("asleep", flush=True)
    await asyncio.sleep(60)

def dated(
    days: list[datetime.date], at: datetime.datetime, price: Decimal, number: UUID, names: list[str] | None = None
) -> Workflow:
    Path("said").write_text(f"{days!r} {at!r} {price!r} {number!r} {names!r}")
    return ready

def lost() -> int:
    return 7

def flow(
    count: int = 1, *, share: float | None = None, where: Path = Path("."), colour: Colour = Colour.RED,
    mode: Literal["fast", "slow"] = "fast", dry: bool = False, fails: bool = False,
) -> Workflow:
    made = Workflow("nightly", failure="finish")
    made.map(half, range(count))
    if fails:
        made.add(refuse(1))
    if not dry:
        Path("said").write_text(f"{count!r} {share!r} {where!r} {colour!r} {mode!r}")
    return made

ready = Workflow("ready", backend="processes")
ready.add(half(6))
@task
def wait(number: float) -> None:
    print("asleep", flush=True)
    time.sleep(60)

@task
def judge(outcomes: list[Outcome[None]]) -> int:
    return len(outcomes)

expecting = Workflow("expecting")
expecting.add(judge(expecting.map(refuse, [1]).outcomes))
stuck = Workflow("stuck")
stuck.add(wait(half(1).output))
kept = Workflow("kept", journal="kept.db")
kept.add(half(6))
endless = Workflow("endless")
endless.add(sleep())
seven = 7
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nightly.py").write_text(dedent(NIGHTLY))
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "queue.py").write_text("flow = None")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("import a_module_that_it_misses")
    (tmp_path / "broken.py").write_text("raise RuntimeError('of its own')")
    return tmp_path


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cotality.workflow", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.mark.parametrize("module", ["nightly", "nightly.py", "./nightly.py"])
def test_a_workflow_runs(folder: Path, module: str) -> None:
    ended = call(folder, "run", f"{module}:ready")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("ready: succeeded in ")
    assert "1 succeeded" in ended.stdout


def test_a_file_elsewhere_runs_in_processes(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    ended = call(tmp_path_factory.mktemp("elsewhere"), "run", f"{folder / 'nightly.py'}:ready")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_parameters_are_converted_as_they_are_annotated(folder: Path) -> None:
    given = {"count": "3", "share": "0.5", "where": "a/b", "colour": "RED", "mode": "slow"}
    ended = call(
        folder, "run", "nightly:flow", *(part for each in given.items() for part in ("--param", "=".join(each)))
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "3 succeeded" in ended.stdout
    assert (folder / "said").read_text() == "3 0.5 PosixPath('a/b') <Colour.RED: 1> 'slow'"


def test_dates_and_lists_as_parameters(folder: Path) -> None:
    given = [
        "days=2026-01-01",
        "at=2026-01-01T10:30",
        "price=1.50",
        f"number={'0' * 31}3",
        "days=2026-02-01",
        "names=a",
    ]
    ended = call(folder, "run", "nightly:dated", *(part for each in given for part in ("--param", each)))
    assert (ended.returncode, ended.stderr) == (0, "")
    days = "[datetime.date(2026, 1, 1), datetime.date(2026, 2, 1)]"
    rest = "Decimal('1.50') UUID('00000000-0000-0000-0000-000000000003') ['a']"
    assert (folder / "said").read_text() == f"{days} datetime.datetime(2026, 1, 1, 10, 30) {rest}"


def test_failures_are_told_and_are_the_exit_code(folder: Path) -> None:
    ended = call(folder, "run", "nightly:flow", "--param", "fails=yes", "--backend", "serial")
    assert ended.returncode == 1
    assert "failed: refuse (index 1): ValueError: no" in ended.stdout
    assert ended.stderr == ""


def test_an_expected_failure_is_no_failure_of_the_run(folder: Path) -> None:
    ended = call(folder, "run", "nightly:expecting")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("expecting: succeeded in ")
    assert "1 failed" in ended.stdout


def test_a_timeout_has_an_exit_code_of_its_own(folder: Path) -> None:
    ended = call(folder, "run", "nightly:endless", "--timeout", "0.2")
    assert ended.returncode == 3
    assert "endless: timed out" in ended.stdout


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted\n"), (signal.SIGTERM, 143, "terminated\n")]
)
@pytest.mark.parametrize("backend", ["asyncio", "serial", "processes"])
def test_a_signal_ends_it_and_how_far_it_came_is_told(
    folder: Path, backend: str, number: int, code: int, said: str
) -> None:
    given = ["--backend", backend, "--journal", "run.db", "--report", "run.html"]
    command = [sys.executable, "-m", "cotality.workflow", "run", "nightly:stuck", *given]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asleep\n"
        await_rest(process.pid)
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (code, said)
    assert out.startswith("stuck: cancelled in ")
    assert "cancelled" in (folder / "run.html").read_text()
    with sqlite3.connect(folder / "run.db") as journal:
        assert list(journal.execute("select count(*) from results")) == [(1,)]


def test_progress(folder: Path) -> None:
    ended = call(folder, "run", "nightly:flow", "--progress", "--workers", "2")
    assert ended.returncode == 0
    assert ended.stderr.startswith("nightly: 1/1 tasks")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nightly"], "'nightly' is not MODULE:FLOW, such as nightly:flow or jobs/nightly.py:flow"),
        (["nowhere:flow"], "there is no module 'nowhere' here: give its dotted name, or the path of a file"),
        (["no/where.py:flow"], "there is no file no/where.py"),
        (["nightly:nothing"], "nightly has nothing that is called 'nothing'"),
        (["nightly:seven"], "seven is not a workflow, nor a function that returns one, but of type int"),
        (
            ["nightly:ready", "--param", "a=1"],
            "ready is not a function, so there is nothing that --param could be given to",
        ),
        (["nightly:flow", "--param", "count=many"], "parameter count must be of type int"),
        (["nightly:dated", "--param", "price=cheap"], "parameter price must be of type Decimal"),
        (["nightly:dated", "--param", "days=2026-01-01", "--param", "days=x"], "parameter days must be of type date"),
        (["nightly:lost"], "lost is a function that returned no workflow, but something of type int"),
        (["nightly:flow", "--param", "dry=maybe"], "parameter dry must be true or false"),
        (["nightly:flow", "--param", "mode=odd"], "parameter mode must be one of fast, slow"),
        (["nightly:flow", "--param", "colour=BLUE"], "parameter colour must be one of RED"),
        (["nightly:flow", "--param", "count"], "--param 'count' is not NAME=VALUE"),
        (["nightly:flow", "--param", "my-token=S3CRET"], "--param 'my-token=…' is not NAME=VALUE\n"),
        (
            ["jobs/queue.py:flow"],
            "jobs/queue.py can not be imported: there is another module 'queue'; give the file another name",
        ),
        ([".nightly:flow"], "there is no module '.nightly' here: give its dotted name, or the path of a file"),
        (["nightly:ready", "--workers", "0"], "max_workers must be"),
    ],
)
def test_what_can_not_be_used_is_said_in_a_line(folder: Path, arguments: list[str], message: str) -> None:
    ended = call(folder, "run", *arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: {message}")
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


def test_an_unknown_parameter_shows_what_there_is(folder: Path) -> None:
    ended = call(folder, "run", "nightly:flow", "--param", "size=3")
    assert ended.returncode == 2
    assert "flow (count: int = 1" in ended.stderr
    assert "'size'" in ended.stderr


def test_an_error_of_the_module_keeps_its_traceback(folder: Path) -> None:
    ended = call(folder, "run", "broken:flow")
    assert ended.returncode == 1
    assert "broken.py" in ended.stderr
    assert ended.stderr.endswith("RuntimeError: of its own\n")


def test_what_a_package_misses_is_an_error_of_its_own(folder: Path) -> None:
    ended = call(folder, "run", "package.flows:flow")
    assert ended.returncode == 1
    assert ended.stderr.endswith("ModuleNotFoundError: No module named 'a_module_that_it_misses'\n")


def test_help(folder: Path) -> None:
    assert "exit codes:" in call(folder, "--help").stdout
    assert call(folder, "--version").stdout == f"cotality-workflow {__version__}\n"
    assert "--param NAME=VALUE" in call(folder, "run", "--help").stdout


def test_explain(folder: Path) -> None:
    ended = call(folder, "explain", "nightly:ready", "--workers", "2")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("ready: 1 task, at most 1 at once, 1 one after another\n  processes, 2 workers\n")


def test_draw(folder: Path) -> None:
    ended = call(folder, "draw", "nightly:flow")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == 'flowchart LR\n    n0["map of half"]\n'
    assert call(folder, "draw", "nightly:flow", "--format", "dot").stdout.startswith("digraph {")
    for name, begins in (("flow.dot", "digraph {"), ("flow.txt", "flowchart LR\n")):
        ended = call(folder, "draw", "nightly:flow", "-o", name)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
        assert (folder / name).read_text().startswith(begins)
    refused = call(folder, "draw", "nightly:flow", "-o", "nowhere/flow.dot")
    assert (refused.returncode, refused.stderr) == (
        2,
        "error: nowhere/flow.dot can not be written: No such file or directory\n",
    )


def test_a_run_is_told_as_a_page_however_it_ends(folder: Path) -> None:
    ended = call(folder, "run", "nightly:flow", "--param", "fails=yes", "--report", "run.html", "--save", "run.json")
    assert (ended.returncode, ended.stderr) == (1, "")
    page = (folder / "run.html").read_text()
    assert "1 × ValueError" in page
    assert call(folder, "report", "run.json", "-o", "again.html").returncode == 0
    assert (folder / "again.html").read_text() == page
    assert call(folder, "compare", "run.json", "run.json", "-o", "two.html").returncode == 0
    assert "two runs" in (folder / "two.html").read_text()


def test_a_page_of_a_run_that_was_interrupted(folder: Path) -> None:
    command = [sys.executable, "-m", "cotality.workflow", "run", "nightly:endless", "--report", "run.html"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asleep\n"
        await_rest(process.pid)
        os.kill(process.pid, signal.SIGINT)
        _out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (130, "interrupted\n")
    assert "cancelled" in (folder / "run.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nightly:ready", "--report", "no/where.html"], "no/where.html can not be written"),
        (["run", "nightly:ready", "--save", "jobs"], "jobs can not be written"),
        (["report", "nothing.json", "-o", "run.html"], "nothing.json: No such file or directory"),
        (["report", "nightly.py", "-o", "run.html"], "nightly.py is no run that was saved"),
        (["report", "nightly.py", "-o", "no/where.html"], "no/where.html can not be written"),
        (["compare", "nightly.py", "nightly.py", "-o", "two.html"], "nightly.py is no run that was saved"),
    ],
)
def test_pages_that_can_not_be_made(folder: Path, arguments: list[str], message: str) -> None:
    ended = call(folder, *arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: {message}")
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == "", "it was said before anything ran"


def test_what_a_page_needs_is_said_before_anything_runs(folder: Path) -> None:
    (folder / "jinja2.py").write_text("raise ImportError('it is not there')")
    ended = call(folder, "run", "nightly:flow", "--report", "run.html")
    assert ended.returncode == 2
    assert ended.stderr == 'error: a report needs jinja2: pip install "cotality-workflow[report]"\n'
    assert not (folder / "said").exists()


def test_resume_runs_only_what_the_journal_has_not(folder: Path) -> None:
    refused = call(folder, "resume", "nightly:flow", "--journal", "run.db")
    assert refused.returncode == 2
    assert "there is no journal run.db: a run with --journal makes one" in refused.stderr
    first = call(folder, "run", "nightly:flow", "--param", "count=3", "--param", "fails=yes", "--journal", "run.db")
    assert first.returncode == 1
    again = call(folder, "resume", "nightly:flow", "--param", "count=4", "--journal", "run.db")
    assert again.returncode == 0, again.stderr
    assert "did not have to run: 3 half" in again.stdout
    (folder / "run.db").chmod(0o666)
    refused = call(folder, "resume", "nightly:flow", "--journal", "run.db")
    assert refused.returncode == 2
    assert "may be written by others" in refused.stderr


def test_explain_tells_what_a_run_would_take_over(folder: Path) -> None:
    explain = ["explain", "nightly:flow", "--param", "count=4", "--journal", "run.db"]
    assert "journal: 0 tasks need not run" in call(folder, *explain).stdout
    assert not (folder / "run.db").exists()
    assert call(folder, "run", "nightly:flow", "--param", "count=3", "--journal", "run.db").returncode == 0
    ended = call(folder, *explain)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-3:] == [
        "  journal: 3 tasks need not run",
        "    taken over: half × 3",
        "    will run, as the journal has no result of it: half × 1",
    ]


def test_a_workflow_that_has_a_journal_needs_none_given(folder: Path) -> None:
    for expected in ("(1 succeeded)\n", "(1 succeeded)\n  did not have to run: 1 half\n"):
        assert call(folder, "run", "nightly:kept").stdout.endswith(expected)
    assert "taken over: half × 1" in call(folder, "explain", "nightly:kept").stdout


def test_resume_takes_the_address_of_a_journal(folder: Path) -> None:
    pytest.importorskip("fsspec")
    address = f"file://{folder}/pieces"
    assert call(folder, "run", "nightly:flow", "--param", "count=3", "--journal", address).returncode == 0
    again = call(folder, "resume", "nightly:flow", "--param", "count=3", "--journal", address)
    assert (again.returncode, again.stderr) == (0, "")
    assert "did not have to run: 3 half" in again.stdout


def test_cache_looks_and_removes(folder: Path) -> None:
    (folder / "cached.py").write_text(
        "from cotality.workflow import Cache, Workflow, task\n"
        "@task(cache=Cache('results.db'))\n"
        "def half(number: int) -> float:\n    return number / 2\n"
        "flow = Workflow()\nflow.map(half, range(3))\n"
    )
    assert call(folder, "run", "cached:flow").returncode == 0
    shown = call(folder, "cache", "results.db")
    assert (shown.returncode, shown.stdout.split()[2:4], shown.stdout.split()[-1]) == (
        0,
        ["3", "results"],
        "cached.half",
    )
    assert "3 results forgotten" in call(folder, "cache", "results.db", "--invalidate", "cached.half").stdout
    assert call(folder, "cache", "results.db").stdout == ""
    assert "there is no" in call(folder, "cache", "none.db").stderr
