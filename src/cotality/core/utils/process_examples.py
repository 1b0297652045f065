"""The patterns of the functional API on real input: ``python -m cotality.core.utils.process_examples``.

==============  =======================================================================================
``stream``      a million records from a generator into a database, with the memory it took: a stream
``api``         requests to a web server on this machine that takes its time: threads
``cpu``         parsing the source files of the standard library: processes
``exceptions``  failures among the results: missing pages, and a task that ends its own process
``retries``     a server that is busy when it is first asked
``timeout``     a regular expression that would take for ever, stopped from outside
==============  =======================================================================================

Every pattern checks its results: those that can be had with a plain loop are compared with it.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sqlite3
import sys
import sysconfig
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import NamedTuple, NoReturn, TypeVar
from urllib.parse import quote

from cotality.core.utils.process import Task, execute_tasks_in_parallel, execute_tasks_in_parallel_streaming
from cotality.parallel import RetryPolicy

R = TypeVar("R")

THINKING_SECONDS = 0.03
PAGES = 100
FILES = 800
ROWS_PER_INSERT = 10_000


class Input(NamedTuple):
    """What the patterns work on."""

    folder: Path
    files: list[Path]
    records: int


# The server --------------------------------------------------------------------------------------------------------


class Pages(SimpleHTTPRequestHandler):
    """Gives out the files of a folder, each after a moment, as a server on the internet would."""

    protocol_version = "HTTP/1.1"
    asked: set[str]

    def do_GET(self) -> None:
        sleep(THINKING_SECONDS)
        if self.path.endswith("?busy") and self.path not in self.asked:
            self.asked.add(self.path)
            self.send_error(503)
        else:
            super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128


@contextmanager
def server(folder: Path) -> Iterator[int]:
    """Serve a folder on the loopback address; gives the port."""
    Pages.asked = set()
    with Server(("127.0.0.1", 0), partial(Pages, directory=str(folder))) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        try:
            yield running.server_address[1]
        finally:
            running.shutdown()


# What the tasks do -------------------------------------------------------------------------------------------------


def fetch_lines(port: int, page: str) -> int:
    """Ask the server for a page; gives the number of its lines."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", page)
        response = connection.getresponse()
        body = response.read()
    if response.status == 503:
        raise ConnectionError(f"{page}: the server is busy")
    if response.status != 200:
        raise LookupError(f"{page}: {response.status} {response.reason}")
    return body.count(b"\n")


def count_nodes(path: Path) -> int:
    """Parse a source file; gives the number of nodes of its syntax tree, 0 if it is not valid Python."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return 0
    return sum(1 for _ in ast.walk(tree))


def describe_line(line: str) -> tuple[int, int, int]:
    """The checksum, the indentation and the number of words of a line."""
    return zlib.crc32(line.encode("utf-8", "replace")), len(line) - len(line.lstrip()), len(line.split())


def end_process_at(number: int, fatal: int) -> int:
    """End the whole process, as a crash in C code would, when the number is the fatal one."""
    if number == fatal:
        os._exit(3)
    return number


def is_words(text: str) -> bool:
    """Whether a text consists of words. The expression is a bad one: for some texts it takes for ever."""
    return re.fullmatch(r"(\w+\s?)+", text) is not None


# The patterns ------------------------------------------------------------------------------------------------------


def api(given: Input) -> None:
    with server(given.folder) as port:
        pages = page_names(given, PAGES)
        title("api", f"{len(pages)} requests to a web server on this machine, which takes 30 ms to answer")
        tasks = [Task(fetch_lines, {"port": port, "page": page}) for page in pages]
        expected, alone = timed(lambda: [fetch_lines(port, page) for page in pages])
        results, together = timed(lambda: execute_tasks_in_parallel(tasks, max_workers=20))
    check(results == expected)
    tell("plain loop", alone)
    tell("20 threads", together, alone)
    say("Threads are right: a thread that waits for an answer lets the others work.")


def cpu(given: Input) -> None:
    files = given.files[:FILES]
    size = sum(path.stat().st_size for path in files) / 1e6
    title("cpu", f"parsing {len(files)} source files ({size:.1f} MB) into syntax trees")
    tasks = [Task(count_nodes, {"path": path}) for path in files]
    expected, alone = timed(lambda: [count_nodes(path) for path in files])
    threads, with_threads = timed(lambda: execute_tasks_in_parallel(tasks))
    processes, with_processes = timed(lambda: execute_tasks_in_parallel(tasks, use_processes=True))
    check(threads == expected and processes == expected)
    tell("plain loop", alone)
    tell("threads", with_threads, alone)
    tell("processes", with_processes, alone)
    say("Processes are right: only one thread at a time can run Python code, but every process has an interpreter.")
    say(f"The time of the processes includes starting them. {sum(expected):,} nodes were found.")


def stream(given: Input) -> None:
    title("stream", f"{given.records:,} lines of source from a generator, each described, into a SQLite database")
    before = resident_bytes()
    with TemporaryDirectory() as folder, closing(sqlite3.connect(Path(folder, "lines.db"))) as database:
        most, seconds = timed(lambda: store(given, database))
        stored, last = database.execute("SELECT count(*), max(number) FROM lines").fetchone()
    check((stored, last) == (given.records, given.records - 1))
    tell("threads", seconds)
    growth = max(0, most - before) / 2**20
    say(f"{given.records / seconds:,.0f} records/s; the memory of this process grew by {growth:.1f} MiB at most.")
    listed = given.records * size_of_task() / 2**20
    say(f"A list of these tasks alone would take about {listed:,.0f} MiB: the stream holds a small window of them.")
    say("Threads are right: the tasks are tiny. The loop body runs in this thread, so one connection is enough.")


def exceptions(given: Input) -> None:
    with server(given.folder) as port:
        pages = [*page_names(given, 12), "/missing-1", "/missing-2"]
        title("exceptions", f"{len(pages)} pages, 2 of which do not exist; then 6 tasks, one of which ends its process")
        tasks = [Task(fetch_lines, {"port": port, "page": page}) for page in pages]
        results = execute_tasks_in_parallel(tasks, max_workers=20, return_exceptions=True)
    check([isinstance(result, LookupError) for result in results] == [False] * (len(pages) - 2) + [True, True])
    show_failures(results)
    fatal = [Task(end_process_at, {"number": number, "fatal": 2}) for number in range(6)]
    survived = execute_tasks_in_parallel(fatal, use_processes=True, return_exceptions=True)
    check([result for result in survived if not isinstance(result, Exception)] == [0, 1, 3, 4, 5])
    show_failures(survived)
    say("With return_exceptions=True a failure stands in its task's place, and everything else has its result.")


def retries(given: Input) -> None:
    with server(given.folder) as port:
        pages = page_names(given, 20)
        title("retries", f"{len(pages)} pages from a server that is busy whenever a page is first asked for")
        tasks = [Task(fetch_lines, {"port": port, "page": f"{page}?busy"}) for page in pages]
        policy = RetryPolicy(attempts=3, on=ConnectionError, wait=0.05)
        results, seconds = timed(lambda: execute_tasks_in_parallel(tasks, max_workers=20, retries=policy))
    check(len(results) == len(pages) and len(Pages.asked) == len(pages))
    tell("20 threads", seconds)
    say(f"{len(pages)} first attempts failed, {len(results)} tasks succeeded; a task that waits occupies no thread.")


def timeout(given: Input) -> None:
    title("timeout", "4 texts for a regular expression that takes for ever over one of them; timeout 0.5 s")
    texts = ["one two", "x" * 64 + "!", "three", "four five"]
    tasks = [Task(is_words, {"text": text}) for text in texts]
    results, seconds = timed(
        lambda: execute_tasks_in_parallel(tasks, use_processes=True, timeout=0.5, return_exceptions=True)
    )
    check([result is True for result in results] == [True, False, True, True])
    tell("processes", seconds)
    show_failures(results)
    say("Processes are right: nothing inside a process can stop this, but the process can be ended from outside.")


# The stream first: memory that other patterns have freed would hide what it takes.
PATTERNS: dict[str, Callable[[Input], None]] = {
    "stream": stream,
    "api": api,
    "cpu": cpu,
    "exceptions": exceptions,
    "retries": retries,
    "timeout": timeout,
}


# Their parts -------------------------------------------------------------------------------------------------------


def page_names(given: Input, most: int) -> list[str]:
    return [quote(f"/{path.relative_to(given.folder).as_posix()}") for path in given.files[:most]]


def endless_lines(files: Sequence[Path]) -> Iterator[str]:
    """The lines of the files, from the first to the last and again."""
    while True:
        for path in files:
            with path.open(encoding="utf-8", errors="replace") as file:
                yield from file


def store(given: Input, database: sqlite3.Connection) -> int:
    """Describe as many lines as there shall be records and store them; gives the most memory seen in use."""
    database.execute("CREATE TABLE lines (number INTEGER PRIMARY KEY, checksum INTEGER, indent INTEGER, words INTEGER)")
    tasks = (Task(describe_line, {"line": line}) for line in islice(endless_lines(given.files), given.records))
    rows = ((number, *facts) for number, facts in execute_tasks_in_parallel_streaming(tasks))
    most = 0
    while some := list(islice(rows, ROWS_PER_INSERT)):
        with database:
            database.executemany("INSERT INTO lines VALUES (?, ?, ?, ?)", some)
        most = max(most, resident_bytes())
    return most


def resident_bytes() -> int:
    """The memory of this process; where the system does not tell, the most it has ever been."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def size_of_task() -> int:
    task = Task(describe_line, {"line": "    return self\n"})
    return sys.getsizeof(task) + sum(map(sys.getsizeof, (task.arguments, *task.arguments.values())))


def timed(call: Callable[[], R]) -> tuple[R, float]:
    start = perf_counter()
    result = call()
    return result, perf_counter() - start


def check(right: bool) -> None:
    if not right:
        raise AssertionError("the results are not what they must be")


# The account -------------------------------------------------------------------------------------------------------


def title(name: str, what: str) -> None:
    print(f"\n{name}: {what}", flush=True)


def tell(how: str, seconds: float, alone: float | None = None) -> None:
    """A line with a time; with the time of the plain loop, also how much faster that is."""
    times = f"   {alone / seconds:5.1f} times as fast" if alone is not None else ""
    print(f"    {how:<12}{seconds:7.2f} s{times}", flush=True)


def say(sentence: str) -> None:
    print(f"    {sentence}", flush=True)


def show_failures(results: Sequence[object]) -> None:
    failures = [(index, result) for index, result in enumerate(results) if isinstance(result, Exception)]
    say(f"{len(results) - len(failures)} of {len(results)} tasks succeeded; the others:")
    for index, failure in failures:
        say(f"  task {index}: {type(failure).__name__}: {failure}")


# The command -------------------------------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def parse_arguments(arguments: Sequence[str] | None) -> tuple[Input, list[str]]:
    """What to work on, and the names of the patterns to run."""
    parser = Parser(
        prog="python -m cotality.core.utils.process_examples",
        description="Run the patterns of the functional API on real input and tell how fast they are.",
        allow_abbrev=False,
    )
    parser.add_argument("--records", type=int, default=1_000_000, metavar="N", help="records of the stream")
    parser.add_argument(
        "--source",
        type=Path,
        default=Path(sysconfig.get_path("stdlib")),
        metavar="DIR",
        help="a folder with Python source files; the standard library's by default",
    )
    parser.add_argument("--only", choices=PATTERNS, metavar="NAME", help=f"one pattern: {', '.join(PATTERNS)}")
    given = parser.parse_args(arguments)
    if given.records < 1:
        parser.error("--records must be at least 1")
    if not given.source.is_dir():
        parser.error(f"--source: there is no folder {str(given.source)!r}")
    files = find_files(given.source)
    if not files:
        parser.error(f"--source: there are no Python source files in {str(given.source)!r}")
    return Input(given.source, files, given.records), [given.only] if given.only else list(PATTERNS)


def find_files(folder: Path) -> list[Path]:
    """The readable Python files below a folder that are not empty, without tests and installed packages."""
    others = {"test", "tests", "site-packages", "dist-packages"}
    return [
        path
        for path in sorted(folder.rglob("*.py"))
        if others.isdisjoint(path.relative_to(folder).parts)
        and path.is_file()
        and os.access(path, os.R_OK)
        and path.stat().st_size
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    given, names = parse_arguments(arguments)
    print(f"The functional API on real input: {len(given.files)} Python files in {given.folder}")
    _, seconds = timed(lambda: [PATTERNS[name](given) for name in names])
    print(f"\nAll results were right. {seconds:.1f} s in all.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        # Whoever read the account has seen enough; nor can what is left of it be flushed at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
