"""What a progress display shows in a terminal: a pseudo-terminal, and what would be seen on its screen."""

from __future__ import annotations

import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path
from textwrap import dedent

import pyte
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

COLUMNS, LINES = 100, 30
SECONDS = 60

HEADER = """
import sys, threading, time
from cotality.core.utils.process import Task, execute_tasks_in_parallel as execute
from cotality.workflow import Workflow, task

@task
def fetch(number: int) -> int:
    if number % 5 == 3:
        raise ValueError("no")
    if number % 10 == 4:
        # In one write: what several threads print at once is mixed anyway.
        sys.stdout.write(f"from task {number}\\n")
    return number

@task
def parse(number: int) -> int:
    return number
"""


def screen_of(folder: Path, body: str) -> list[str]:
    """The lines on the screen when the program has ended."""
    script = folder / "program.py"
    script.write_text(HEADER + dedent(body))
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(LINES)},
        start_new_session=True,
    )
    os.close(slave)
    screen = pyte.Screen(COLUMNS, LINES)
    reader = pyte.ByteStream(screen)
    until = time.monotonic() + SECONDS
    try:
        while time.monotonic() < until:
            if not select.select([master], [], [], 0.1)[0]:
                continue
            try:
                output = os.read(master, 65536)
            except OSError:
                # The last who had it open has ended.
                break
            if not output:
                break
            reader.feed(output)
        assert process.wait(10) == 0, "\n".join(screen.display)
    finally:
        process.kill()
        os.close(master)
    return [line.rstrip() for line in screen.display if line.strip()]


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_a_workflow(tmp_path: Path, backend: str) -> None:
    lines = screen_of(
        tmp_path,
        f"""
        if __name__ == "__main__":
            flow = Workflow("nightly", backend="{backend}", failure="finish")
            pages = flow.map(fetch, range(40))
            flow.map(parse, pages.outputs)
            flow.run(raise_failures=False, progress=True)
            print("over")
        """,
    )
    # What tasks print stands above the bars, whole, and each bar is there once.
    assert sorted(lines[:4]) == [f"from task {number}" for number in (14, 24, 34, 4)]
    assert len(lines) == 8, "\n".join(lines)
    whole, fetched, parsed, over = lines[4:]
    assert whole.startswith("nightly ━")
    assert "80/80 8 failed, 8 skipped" in whole
    assert fetched.startswith("  fetch ━")
    assert "40/40 8 failed" in fetched
    assert parsed.startswith("  parse ━")
    assert "40/40 8 skipped" in parsed
    assert over == "over"


def test_a_list_and_a_failure(tmp_path: Path) -> None:
    lines = screen_of(
        tmp_path,
        """
        def main():
            execute([Task(abs, {}, positional=(n,)) for n in range(50)], progress=True)
            try:
                execute([Task(int, {}, positional=("x",))], progress=True)
            except ValueError as error:
                print("raised:", error)
        if __name__ == "__main__":
            main()
        """,
    )
    assert lines[0].startswith("tasks ━")
    assert "50/50" in lines[0]
    assert lines[1].startswith("tasks ━")
    assert "1/1 1 failed" in lines[1]
    assert lines[2].startswith("raised: invalid literal")


def test_runs_at_once_and_inside_of_tasks_share_the_screen(tmp_path: Path) -> None:
    lines = screen_of(
        tmp_path,
        """
        def inner(number):
            return sum(execute([Task(abs, {}, positional=(n,)) for n in range(number)], progress=True))
        def outer():
            execute([Task(inner, {"number": n}) for n in range(10)], progress=True)
        if __name__ == "__main__":
            others = [threading.Thread(target=outer) for _ in range(2)]
            for other in others: other.start()
            for other in others: other.join()
            print("over")
        """,
    )
    # The rows of those that were over before the last one have gone.
    assert lines[-1] == "over"
    assert len(lines) == 2
    assert "10/10" in lines[0]


def test_worker_processes_draw_nothing_over_each_other(tmp_path: Path) -> None:
    lines = screen_of(
        tmp_path,
        """
        def inner(number):
            return len(execute([Task(abs, {}, positional=(n,)) for n in range(10)], progress=True))
        if __name__ == "__main__":
            execute([Task(inner, {"number": n}) for n in range(4)], use_processes=True)
            print("over")
        """,
    )
    assert len(lines) == 5
    assert all(line.startswith("10/10 tasks, ") for line in lines[:4])
    assert lines[4] == "over"


NOTEBOOK = """
from cotality.core.utils.process import Task, execute_tasks_in_parallel as execute
from cotality.workflow import Workflow, task

@task(backend="processes")
def square(number: int) -> int:
    print("from task", number) if number == 7 else None
    return number * number

@task
async def total(numbers: list[int]) -> int:
    return sum(numbers)

flow = Workflow("cells", max_workers=2)
whole = flow.add(total(flow.map(square, range(40)).outputs))
"""


def test_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    # The kernel of this environment, whatever else the machine has.
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    cells = [
        NOTEBOOK,
        "flow.run(progress=True)[whole]",
        "(await flow.arun(progress=True))[whole]",
        "execute([Task(lambda n: n + 1, {'n': n}) for n in range(5)], use_processes=True, progress=True)",
    ]
    book = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    NotebookClient(book, timeout=SECONDS).execute()
    for cell in book.cells[1:3]:
        shown, printed, result = cell.outputs
        # One output, however often it was drawn.
        assert shown.output_type == "display_data"
        whole, *parts = shown.data["text/plain"].splitlines()
        assert whole.startswith("cells")
        assert "━ 41/41" in whole
        assert ["40/40" in part for part in parts if "square" in part] == [True]
        assert "41/41" in shown.data["text/html"]
        assert printed.text == "from task 7\n"
        assert result.data["text/plain"] == "20540"
    shown, result = book.cells[3].outputs
    assert "━ 5/5" in shown.data["text/plain"]
    assert result.data["text/plain"] == "[1, 2, 3, 4, 5]"
