"""A journal under fault: a valid prefix of it is used, or there is a clear error; never a wrong result."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cotality.core.utils.process import Task, execute_tasks_in_parallel
from cotality.parallel.errors import JournalError
from cotality.workflow import Journal, Workflow, task
from tests.docs.harness import ROOT, run_python
from tests.faults.harness import NOT_OF_PROGRAMS, Start
from tests.forks import needs_forks

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that lets calls fail."""
    if shutil.which("cc") is None or not sys.platform.startswith("linux"):
        pytest.skip("there is no C compiler")
    library = tmp_path_factory.mktemp("library") / "failing.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, HERE / "failing.c", "-ldl"], check=True)
    return library


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder whose files are synced at once: thousands are."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix=NOT_OF_PROGRAMS[0]) as folder:
        yield Path(folder) / "lives"


def lives(failing: Path, folder: Path, *arguments: str) -> str:
    """What comes of many lives of a program; see there."""
    environment = {**os.environ, "LD_PRELOAD": str(failing), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(HERE / "lives.py"), str(folder), *arguments]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


@needs_forks
def test_the_nth_open_write_sync_or_rename_fails_once_or_for_good(failing: Path, memory: Path) -> None:
    points = dict(part.split(":") for part in lives(failing, memory, "fail").split())
    assert {kind for kind, count in points.items() if int(count) >= 4} == {"open", "write", "sync", "rename"}


@needs_forks
@pytest.mark.parametrize(("backend", "tasks", "kills"), [("serial", 200, 100), ("processes", 90, 50)])
def test_killed_again_and_again_no_finished_task_starts_twice(
    failing: Path, memory: Path, backend: str, tasks: int, kills: int
) -> None:
    said = lives(failing, memory, backend, str(tasks), str(kills))
    assert int(said.partition("kills:")[2]) >= kills


# Damage --------------------------------------------------------------------------------------------------------------


@task
def give(number: int) -> bytes:
    return bytes([number]) * (9_000 if number == 3 else 40)


@task
def size(parts: list[bytes]) -> int:
    return sum(map(len, parts))


RIGHT = ([bytes([number]) * (9_000 if number == 3 else 40) for number in range(6)], 9_200)


def results(journal: Path, secret: bytes | None = None) -> tuple[list[bytes], int]:
    flow = Workflow(backend="serial")
    parts = flow.add(flow.map(give, range(6)))
    whole = flow.add(size(parts.outputs))
    run = flow.run(journal=Journal(journal, secret=secret))
    return run[parts], run[whole]


def is_right_or_refused(journal: Path) -> bool:
    """Whether a damaged journal gives right results; the other allowed end is a clear error."""
    try:
        found = results(journal)
    except JournalError:
        return False
    assert found == RIGHT
    return True


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    assert results(folder / "run.db") == RIGHT
    return folder


def die_midway(path: str) -> None:
    flow = Workflow(backend="serial")
    parts = flow.map(give, range(6))
    with flow.stream(parts, journal=Journal(path, durability="each")) as outcomes:
        for _ in range(5):
            next(outcomes)
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal whose run was killed: what it wrote last is in the log of SQLite."""
    folder = tmp_path_factory.mktemp("killed")
    code = f"from tests.faults.test_journal import die_midway; die_midway({str(folder / 'run.db')!r})"
    ended = run_python("-c", code, folder=ROOT)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert (folder / "run.db-wal").stat().st_size > 0
    return folder


def damaged(folder: Path, name: str, data: bytes, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to)
    (to / name).write_bytes(data)
    return to / "run.db"


@pytest.mark.parametrize("what", ["file", "log", "result"])
def test_cut_at_any_length_or_any_byte_flipped(sound: Path, killed: Path, memory: Path, what: str) -> None:
    folder = killed if what == "log" else sound
    large = next((sound / "run.db-results").iterdir()).name
    name = {"file": "run.db", "log": "run.db-wal", "result": f"run.db-results/{large}"}[what]
    data = (folder / name).read_bytes()
    chance = random.Random(3)
    ends = {"right": 0, "refused": 0}
    for length in sorted({0, 1, len(data) - 1, *range(0, len(data), max(1, len(data) // 60))}):
        right = is_right_or_refused(damaged(folder, name, data[:length], memory))
        ends["right" if right else "refused"] += 1
    for place in sorted({*range(0, min(len(data), 100), 3), *chance.sample(range(len(data)), 120)}):
        flipped = bytearray(data)
        flipped[place] ^= 1 << chance.randrange(8)
        right = is_right_or_refused(damaged(folder, name, bytes(flipped), memory))
        ends["right" if right else "refused"] += 1
    if what == "result":
        # It is never taken, and the next run has made it again.
        assert not ends["right"]
        assert results(memory / "run.db") == RIGHT
    else:
        assert ends["right"]


def test_another_file_is_not_called_a_damaged_journal(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("some notes of somebody\n" * 200)
    with pytest.raises(JournalError, match=r"notes\.txt is not a journal but something else.*give another path"):
        results(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "some notes of somebody\n" * 200


def test_a_damaged_result_is_taken_out_so_that_the_next_run_makes_it(sound: Path, tmp_path: Path) -> None:
    large = next((sound / "run.db-results").iterdir()).name
    journal = damaged(sound, f"run.db-results/{large}", b"garbage", tmp_path / "damaged")
    with pytest.raises(JournalError, match="damaged or not there any more; it was taken out: run again"):
        results(journal)
    assert results(journal) == RIGHT


def test_a_list_runs_a_damaged_result_again_at_once(tmp_path: Path) -> None:
    tasks = [Task(bytes, {}, positional=(9_000,))]
    execute_tasks_in_parallel(tasks, journal=tmp_path / "run.db")
    (large,) = (tmp_path / "run.db-results").iterdir()
    large.write_bytes(b"")
    for _ in range(2):
        assert execute_tasks_in_parallel(tasks, journal=tmp_path / "run.db") == [bytes(9_000)]


FULL_OF_ARRAYS = """
import itertools
import resource
import numpy
from cotality.workflow import Cache, Workflow, task

# No list: that would be another one for each call, and the function another one with it.
started = itertools.count()

def array(number):
    next(started)
    return numpy.full(10_000, number)

def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    tasks = [Task(array, {"number": number}) for number in range(200)]
    cached = task(array, cache=Cache("cache.db"))
    for _ in range(2):
        arrays = execute(tasks, journal="run.db")
        flow = Workflow(backend="threads")
        lists = flow.map(cached, range(200))
        run = flow.run()
        equal([each[7] for each in arrays], list(range(200)))
        equal([each[7] for each in run[lists]], list(range(200)))
        arrays[-1][:] = 7
    equal(next(started), 400)
"""


def test_more_arrays_than_descriptors(start: Start) -> None:
    pytest.importorskip("numpy")
    start(FULL_OF_ARRAYS).finish()


def test_a_full_table_of_descriptors_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    assert results(tmp_path / "run.db") == RIGHT
    open_file = builtins.open

    def refuse(path: object, *arguments: object, **options: object) -> object:
        if "run.db-results" in str(path):
            raise OSError(24, "Too many open files")
        return open_file(path, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(builtins, "open", refuse)
    with pytest.raises(JournalError, match="Too many open files"):
        results(tmp_path / "run.db")
    monkeypatch.undo()
    (large,) = (tmp_path / "run.db-results").iterdir()
    assert results(tmp_path / "run.db") == RIGHT
    assert list((tmp_path / "run.db-results").iterdir()) == [large]


def test_nothing_is_opened_that_was_made_with_another_secret(tmp_path: Path) -> None:
    journal = tmp_path / "run.db"
    assert results(journal, b"one") == RIGHT
    assert results(journal, b"one") == RIGHT
    with pytest.raises(JournalError, match="damaged"):
        results(journal, b"another")


# Refused -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["run.db", "run.db-results", "run.db-wal"])
def test_files_that_others_may_write_are_refused(sound: Path, tmp_path: Path, other: str) -> None:
    journal = damaged(sound, "run.db", (sound / "run.db").read_bytes(), tmp_path / "open")
    path = journal.with_name(other)
    path.touch()
    path.chmod(0o722)
    with pytest.raises(JournalError, match=f"{other} may be written by others"):
        results(journal)


def test_files_of_others_and_links_are_refused(sound: Path, tmp_path: Path) -> None:
    journal = damaged(sound, "run.db", (sound / "run.db").read_bytes(), tmp_path / "copy")
    link = tmp_path / "link.db"
    link.symlink_to(journal)
    with pytest.raises(JournalError, match="a link or a device"):
        results(link)
    if os.geteuid() == 0:
        os.chown(journal, 12345, 12345)
        with pytest.raises(JournalError, match="belongs to another user"):
            results(journal)


def test_a_journal_is_only_for_its_owner(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        results(tmp_path / "run.db")
    finally:
        os.umask(before)
    found = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert all(mode in (0o600, 0o700) for mode in found.values()), found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("CREATE TABLE other (a)", "is not a journal but something else"),
        ("PRAGMA user_version = 99", "was written in version 99 of the format"),
        (None, "damaged"),
    ],
)
def test_another_file_or_version_is_refused(sound: Path, tmp_path: Path, content: str | None, message: str) -> None:
    journal = tmp_path / "run.db"
    if content is None:
        journal.write_bytes(b"a text that somebody wants to keep" * 100)
    else:
        if "version" in content:
            shutil.copy(sound / "run.db", journal)
        connection = sqlite3.connect(journal)
        connection.execute(content)
        connection.close()
    journal.chmod(0o600)
    before = journal.read_bytes()
    with pytest.raises(JournalError, match=message):
        results(journal)
    assert journal.read_bytes() == before


def test_a_folder_that_may_not_be_written_or_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="No such file or directory"):
        results(tmp_path / "none" / "run.db")
    flow = Workflow()
    flow.add(give(1))
    with pytest.raises(TypeError, match="journal must be a path or a Journal"):
        flow.run(journal=7)  # type: ignore[arg-type]


def test_a_run_goes_on_without_a_journal_that_can_not_be_opened(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Journal(tmp_path / "none" / "run.db", on_error="go_on")
    assert execute_tasks_in_parallel([Task(bytes, {}, positional=(3,))], journal=settings) == [bytes(3)]
    flow = Workflow()
    given = flow.add(give(1))
    assert flow.run(journal=settings)[given] == b"\1" * 40
    assert caplog.text.count("the run goes on without its journal") == 2


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", disk]).returncode:
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)


def test_no_room_on_the_disk(disk: Path) -> None:
    tasks = [Task(bytes, {}, positional=(3_000 + number,)) for number in range(400)]
    with pytest.raises(JournalError, match=r"full|No space left"):
        execute_tasks_in_parallel(tasks, 1, journal=Journal(disk / "run.db", durability="each"))
    # Without it the run goes on when that is wanted.
    goes_on = Journal(disk / "run.db", on_error="go_on")
    assert execute_tasks_in_parallel(tasks, 1, journal=goes_on)[-1] == bytes(3_399)
    remount(disk, "size=30m")
    for _ in range(2):
        assert execute_tasks_in_parallel(tasks, 1, journal=disk / "run.db")[-1] == bytes(3_399)


@pytest.mark.parametrize("there", [False, True])
def test_a_disk_that_can_only_be_read(disk: Path, there: bool) -> None:
    journal = disk / "run.db"
    if there:
        assert results(journal) == RIGHT
    before = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()}
    remount(disk, "ro")
    with pytest.raises(JournalError, match=r"Read-only file system.*may it be written"):
        results(journal)
    tasks = [Task(bytes, {}, positional=(3,))]
    assert execute_tasks_in_parallel(tasks, journal=Journal(journal, on_error="go_on")) == [bytes(3)]
    assert {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()} == before
    remount(disk, "rw")
    assert results(journal) == RIGHT


# Two at once ---------------------------------------------------------------------------------------------------------

HOLDER = """
from cotality.workflow import Workflow, task

@task
def wait() -> None:
    print("holds", flush=True)
    time.sleep(60)

def main():
    flow = Workflow(backend="threads")
    flow.add(wait())
    flow.run(journal="run.db")
"""


def test_a_second_run_is_refused_with_the_pid_and_a_dead_ones_lock_is_taken_over(start: Start, tmp_path: Path) -> None:
    program = start(HOLDER)
    program.wait_for("holds")
    with pytest.raises(JournalError, match=f"the process {program.process.pid} runs with it"):
        results(tmp_path / "run.db")
    # Who only looks may do so meanwhile.
    reader = sqlite3.connect(f"file:{tmp_path / 'run.db'}?mode=ro", uri=True)
    assert reader.execute("SELECT count(*) FROM results").fetchone() == (0,)
    reader.close()
    program.interrupt(9)
    program.finish(code=-9, end=False)
    assert results(tmp_path / "run.db") == RIGHT


def test_a_second_run_of_the_same_process_is_refused_and_the_first_keeps_its_lock(tmp_path: Path) -> None:
    journal = tmp_path / "run.db"
    flow = Workflow(backend="threads")
    parts = flow.map(give, range(6))
    with flow.stream(parts, journal=journal) as outcomes:
        next(outcomes)
        for _ in range(2):
            with pytest.raises(JournalError, match=f"the process {os.getpid()} runs with it"):
                results(journal)
        assert len(list(outcomes)) == 5
    assert results(journal) == RIGHT


def test_a_run_leaves_no_descriptor(tmp_path: Path) -> None:
    results(tmp_path / "run.db")
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(3):
        results(tmp_path / "run.db")
    assert len(set(os.listdir("/proc/self/fd"))) <= len(before)


CACHED = """
from cotality.workflow import Cache, Workflow, task

@task(cache=Cache("cache.db"))
def work(number: int) -> int:
    print("works", flush=True)
    while not os.path.exists("go"):
        time.sleep(0.005)
    return number

def main():
    flow = Workflow(backend="threads")
    wanted = flow.map(work, [7])
    print("asks", flush=True)
    print(flow.run()[wanted], flush=True)
"""
CACHED_LIST = (
    CACHED.partition("    flow =")[0]
    + """
    print("asks", flush=True)
    print(execute([work(7)]), flush=True)
"""
)


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("program", [CACHED, CACHED_LIST], ids=["workflow", "list"])
def test_two_runs_that_need_one_result_make_it_once_and_who_dies_is_replaced(
    start: Start, tmp_path: Path, program: str, dies: bool
) -> None:
    first = start(program)
    first.wait_for("works")
    second = start(program)
    second.wait_for("asks")
    if dies:
        first.interrupt(9)
        first.finish(code=-9, end=False)
        second.wait_for("works")
    (tmp_path / "go").touch()
    if not dies:
        assert first.finish().stdout.splitlines() == ["asks", "works", "[7]", "the end"]
    expected = ["asks", "works", "[7]", "the end"] if dies else ["asks", "[7]", "the end"]
    assert second.finish().stdout.splitlines() == expected


class Hostile:
    """Its own code exits when it is opened again."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return exit_now, (7,)


def exit_now(code: int) -> None:
    raise SystemExit(code)


@task
def hostile() -> Hostile:
    return Hostile()


def test_a_result_that_exits_when_it_is_opened_is_an_error_of_the_journal(tmp_path: Path) -> None:
    flow = Workflow(backend="serial")
    made = flow.add(hostile())
    for _ in range(2):
        run = flow.run(journal=tmp_path / "run.db")
    with pytest.raises(JournalError, match=r"the result of hostile can not be opened any more: SystemExit was raised"):
        run[made]
    tasks = [Task(Hostile, {})]
    for _ in range(2):
        assert isinstance(execute_tasks_in_parallel(tasks, journal=tmp_path / "list.db")[0], Hostile)
