"""mypy and pyright agree on the corpus: the good half is clean, the bad half fails just where it is marked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def mypy(file: Path) -> set[int]:
    output = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--no-incremental",
            "--no-error-summary",
            "--config-file",
            str(ROOT / "pyproject.toml"),
            str(file),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    found = re.findall(rf"{file.name}:(\d+): error", output.stdout)
    assert found or output.returncode == 0, output.stdout + output.stderr
    return set(map(int, found))


def pyright(file: Path) -> set[int]:
    output = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, str(file)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    diagnostics = json.loads(output.stdout)["generalDiagnostics"]
    return {found["range"]["start"]["line"] + 1 for found in diagnostics if found["severity"] == "error"}


@pytest.mark.parametrize("check", [mypy, pyright])
@pytest.mark.parametrize(
    "file", sorted(HERE.glob("*_good.py")) + sorted(HERE.glob("*_bad.py")), ids=lambda file: file.stem
)
def test_verdict(file: Path, check: object) -> None:
    if find_spec(check.__name__) is None:  # type: ignore[attr-defined]
        pytest.skip(f"{check.__name__} is not installed: see the extra 'check'")  # type: ignore[attr-defined]
    marked = {number for number, line in enumerate(file.read_text().splitlines(), 1) if line.endswith("# error")}
    assert check(file) == marked  # type: ignore[operator]
    assert bool(marked) == file.stem.endswith("_bad")
