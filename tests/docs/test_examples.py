"""Each example prints what its docstring says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.docs.harness import ROOT, promised_output, run_python

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_prints_what_it_says(example: Path, tmp_path: Path) -> None:
    code = example.read_text(encoding="utf-8")
    for library in ("numpy", "pandas"):
        if f"import {library}" in code:
            pytest.importorskip(library)
    docstring = ast.get_docstring(ast.parse(code))
    ended = run_python(str(example), folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert docstring is not None
    assert ended.stdout == promised_output(docstring)
    assert not ended.stderr


def test_examples_are_found() -> None:
    assert [example.name[:2] for example in EXAMPLES] == [f"{number:02}" for number in range(1, 9)]
