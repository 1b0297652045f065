"""A workflow on real work: ``python -m cotality.workflow.example``.

It takes source files of the standard library from a web server on this machine, counts what is in them, and says what
happened to every task::

    contents ──▶ fetch (a map: coroutines, a limit, retries) ──▶ parse (a map: processes) ──┐
                                              is_words (a map: processes, a timeout) ───────┼──▶ report
                                                             text_at (in a process) ────────┘

Not everything goes well. The server is busy now and then, and one of the links is dead; one of the texts keeps a
regular expression busy for ever, and a call in C crashes its process. The report is made of what is left. A plain loop
does the same work once more, and the results are compared.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import ctypes
import os
import re
import sys
import sysconfig
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, NamedTuple, NoReturn, TypeVar, cast
from urllib.parse import unquote

from cotality.workflow import Limit, Mapped, Outcome, RetryPolicy, Run, Task, Workflow, task

R = TypeVar("R")

THINKING_SECONDS = 0.03
PAGES = 200
DEAD_LINK = "no_longer_there.py"


# The server --------------------------------------------------------------------------------------------------------


class Pages(SimpleHTTPRequestHandler):
    """Gives out the files of a folder, each after a moment, as a server on the internet would."""

    def do_GET(self) -> None:
        sleep(THINKING_SECONDS)
        if cast(Site, self.server).is_busy(self.path):
            self.send_error(503)
        else:
            super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Site(ThreadingHTTPServer):
    """Serves a folder on the loopback address.

    Parameters:
        folder: The folder.
        busy: Whether it refuses every tenth page when that is first asked for.
    """

    request_queue_size = 128

    def __init__(self, folder: Path, *, busy: bool) -> None:
        super().__init__(("127.0.0.1", 0), partial(Pages, directory=str(folder)))
        self._busy = busy
        self._asked: set[str] = set()
        self._lock = threading.Lock()

    def is_busy(self, page: str) -> bool:
        with self._lock:
            first = page.endswith(".py") and page not in self._asked
            self._asked.add(page)
            return self._busy and first and len(self._asked) % 10 == 0


@contextmanager
def serving(folder: Path, *, busy: bool = True) -> Iterator[int]:
    """Serve a folder; gives the port."""
    with Site(folder, busy=busy) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        try:
            yield site.server_address[1]
        finally:
            site.shutdown()


# The tasks ---------------------------------------------------------------------------------------------------------


class Facts(NamedTuple):
    """What is in a source file."""

    page: str
    lines: int
    functions: int
    names: Counter[str]


class Busy(Exception):
    """The server can not answer now."""


site_limit: Limit = Limit("site", concurrency=16)


@task
def contents(port: int, most: int) -> list[str]:
    """The source files that the server's index leads to, and a link that leads nowhere."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", "/")
        index = connection.getresponse().read().decode()
    pages = [unquote(page) for page in re.findall(r'href="([^"/]+\.py)"', index)][:most]
    return [*pages, DEAD_LINK]


@task(limits=[site_limit], retries=RetryPolicy(attempts=4, on=Busy, wait=0.05), timeout=30)
async def fetch(port: int, page: str) -> tuple[str, bytes]:
    """Ask the server for a page; gives its name and its content."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with closing(writer):
        writer.write(f"GET /{page} HTTP/1.0\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    status = int(head.split()[1])
    if status == 503:
        raise Busy(f"{page}: the server answered 503")
    if status != 200:
        raise LookupError(f"{page}: the server answered {status}")
    return page, body


@task(backend="processes")
def parse(fetched: tuple[str, bytes]) -> Facts:
    """Count what is in a source file. That is work for the processor."""
    page, code = fetched
    nodes = list(ast.walk(ast.parse(code)))
    functions = sum(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) for node in nodes)
    names = Counter(node.id for node in nodes if isinstance(node, ast.Name))
    return Facts(page, code.count(b"\n"), functions, names)


@task(backend="processes", timeout=0.5)
def is_words(text: str) -> bool:
    """Whether a text consists of words. The expression is a bad one: for some texts it takes for ever."""
    return re.fullmatch(r"(\w+\s?)+", text) is not None


@task(backend="processes")
def text_at(address: int) -> bytes:
    """The text at an address of this process's memory. At some addresses there is none."""
    return ctypes.string_at(address)


class Report(NamedTuple):
    pages: int
    lines: int
    functions: int
    names: list[tuple[str, int]]


@task
def report(parsed: list[Outcome[Facts]], checked: list[Outcome[bool]], crashed: Outcome[bytes]) -> Report:
    """Put together what is there. It takes outcomes, not outputs, so it runs whatever became of the others."""
    return summed([outcome.result() for outcome in parsed if outcome.succeeded])


def summed(facts: Sequence[Facts]) -> Report:
    names: Counter[str] = Counter()
    for some in facts:
        names.update(some.names)
    return Report(len(facts), sum(f.lines for f in facts), sum(f.functions for f in facts), names.most_common(3))


# The workflow ------------------------------------------------------------------------------------------------------


class Flow:
    """The workflow, and those of its tasks that the account speaks of.

    Parameters:
        port: Where the server is.
        most: How many pages to take.
    """

    def __init__(self, port: int, most: int) -> None:
        flow = Workflow("portrait")
        self.flow: Workflow = flow
        self.pages: Task[list[str]] = contents(port, most)
        names: list[str] = self.pages.output
        self.fetched: Mapped[tuple[str, bytes]] = flow.map(lambda page: fetch(port, page), names)
        self.parsed: Mapped[Facts] = flow.map(parse, self.fetched.outputs)
        self.checked: Mapped[bool] = flow.map(is_words, ["now is better than never", "x" * 64 + "!", "namespaces"])
        self.crashed: Task[bytes] = text_at(0)
        self.told: Task[Report] = flow.add(report(self.parsed.outcomes, self.checked.outcomes, self.crashed.outcome))

    def outcomes(self, run: Run) -> dict[str, list[Outcome[Any]]]:
        """What every task came to, by the function that it called."""
        return {
            "contents": [run.outcome(self.pages)],
            "fetch": run.outcomes(self.fetched),
            "parse": run.outcomes(self.parsed),
            "is_words": run.outcomes(self.checked),
            "text_at": [run.outcome(self.crashed)],
            "report": [run.outcome(self.told)],
        }


def plain_loop(port: int, most: int) -> Report:
    """The same one after the other, but for what would crash this program or keep it busy for ever."""
    facts = []
    for page in contents.call(port, most):
        with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request("GET", f"/{page}")
            response = connection.getresponse()
            code = response.read()
        if response.status == 200:
            facts.append(parse.call((page, code)))
    return summed(facts)


# The account -------------------------------------------------------------------------------------------------------


def timed(call: Callable[[], R]) -> tuple[R, float]:
    start = perf_counter()
    result = call()
    return result, perf_counter() - start


def title(text: str) -> None:
    print(f"\n{text}", flush=True)


def say(text: str) -> None:
    print(f"    {text}", flush=True)


def show_tasks(outcomes: dict[str, list[Outcome[Any]]]) -> None:
    """A line for the tasks of each function."""
    say(f"{'function':<10}{'tasks':>6}{'attempts':>10}{'seconds of work':>17}   where            what became of them")
    for name, some in outcomes.items():
        states = Counter(outcome.state for outcome in some)
        attempts = sum(outcome.attempts for outcome in some)
        seconds = sum(outcome.duration for outcome in some)
        told = ", ".join(f"{number} {state}" for state, number in states.most_common())
        say(f"{name:<10}{len(some):>6}{attempts:>10}{seconds:>17.2f}   {place_of(some):<16} {told}")


def place_of(outcomes: Sequence[Outcome[Any]]) -> str:
    """Where attempts ran; workers are called by a name and a number."""
    workers = {outcome.worker for outcome in outcomes if outcome.worker is not None}
    kinds = Counter("thread" if "worker" in worker else worker.rstrip(" 0123456789") for worker in workers)
    return ", ".join(f"{number} × {kind}" if number > 1 else kind for kind, number in kinds.items())


def show_trouble(outcomes: dict[str, list[Outcome[Any]]]) -> None:
    """A line for each task that did not succeed, and one for those that did not succeed at once."""
    for some in outcomes.values():
        for outcome in some:
            if not outcome.succeeded:
                first = str(outcome.error).partition("\n")[0]
                say(f"{outcome.state}: {type(outcome.error).__name__}: {first}")
    again = [outcome for some in outcomes.values() for outcome in some if outcome.succeeded and outcome.attempts > 1]
    if again:
        name = again[0].name
        say(f"tried again: {name}, {len(again)} times, and it succeeded; while one waits for that it holds no worker")


# The command -------------------------------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def parse_arguments(arguments: Sequence[str] | None) -> tuple[Path, int]:
    """The folder that the server gives out, and how many pages to take."""
    parser = Parser(
        prog="python -m cotality.workflow.example",
        description="Run a workflow on real work and tell what happened to every task.",
        allow_abbrev=False,
    )
    parser.add_argument("--pages", type=int, default=PAGES, metavar="N", help="the most source files to take")
    parser.add_argument(
        "--source",
        type=Path,
        default=Path(sysconfig.get_path("stdlib")),
        metavar="DIR",
        help="a folder with Python source files; the standard library's by default",
    )
    given = parser.parse_args(arguments)
    if given.pages < 1:
        parser.error("--pages must be at least 1")
    if not given.source.is_dir():
        parser.error(f"--source: there is no folder {str(given.source)!r}")
    if not any(given.source.glob("*.py")):
        parser.error(f"--source: there are no Python source files in {str(given.source)!r}")
    return given.source, given.pages


def main(arguments: Sequence[str] | None = None) -> int:
    folder, most = parse_arguments(arguments)
    title(f"A workflow on real work: source files in {folder}, from a web server that takes 30 ms for a page")
    with serving(folder) as port:
        work = Flow(port, most)
        run, seconds = timed(lambda: work.flow.run())
    told = run[work.told]
    title("What ran")
    show_tasks(work.outcomes(run))
    title("What did not go well")
    show_trouble(work.outcomes(run))
    say("The report was made all the same: it takes outcomes, so it only waits for their ends.")

    title("What came of it")
    names = ", ".join(f"{name} ({count:,} times)" for name, count in told.names)
    say(f"{told.pages} files with {told.lines:,} lines and {told.functions:,} functions. Most used: {names}.")

    title("How fast")
    with serving(folder, busy=False) as port:
        expected, alone = timed(lambda: plain_loop(port, most))
    if told != expected:
        raise AssertionError("the results are not what they must be")
    say(f"plain loop {alone:7.2f} s")
    say(f"workflow   {seconds:7.2f} s   {alone / seconds:5.1f} times as fast, a timeout and a crash included")
    say("The results are the same.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        # Whoever read the account has seen enough; nor can what is left of it be flushed at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
