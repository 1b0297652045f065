"""What the tests of the documentation share: where things are, and how a script is run as a reader would run it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src"

_BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>.+?) -->\n+)?^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_PRINTED = re.compile(r"^\s*print\(.*\)  # (?P<line>.+)$", re.MULTILINE)


def run_python(*arguments: str, folder: Path, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run this interpreter in a folder; a run that takes too long is ended and fails the test."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def python_blocks(page: Path) -> list[tuple[str, str | None]]:
    """The Python blocks of a page, each with the reason why it is not to be run, if it has one."""
    return [(found["code"], found["reason"]) for found in _BLOCK.finditer(page.read_text(encoding="utf-8"))]


def promised_lines(code: str) -> list[str]:
    """What the ``print(...)  # result`` lines of a block say that it prints."""
    return _PRINTED.findall(code)


def promised_output(docstring: str) -> str:
    """What the docstring of an example says that it prints."""
    _, _, rest = docstring.partition("It prints::\n")
    lines = [line.removeprefix("    ") for line in rest.strip("\n").splitlines()]
    return "\n".join(lines).rstrip() + "\n"
