"""What README and documentation show works, links lead somewhere, and the map shows the whole land."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.benchmarks import plots
from tests.docs.harness import ROOT, SOURCES, promised_lines, python_blocks, run_python

PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)]


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


BLOCKS = [
    pytest.param(code, reason, id=f"{_name(page)}-{number}")
    for page in PAGES
    for number, (code, reason) in enumerate(python_blocks(page), start=1)
]


@pytest.mark.parametrize(("code", "reason"), BLOCKS)
def test_python_block_runs(code: str, reason: str | None, tmp_path: Path) -> None:
    if reason is not None:
        pytest.skip(reason)
    if "import numpy" in code:
        pytest.importorskip("numpy")
    (tmp_path / "block.py").write_text(code, encoding="utf-8")
    ended = run_python("block.py", folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    if promised := promised_lines(code):
        assert ended.stdout.splitlines() == promised


def test_blocks_are_found() -> None:
    assert len([block for block in BLOCKS if "README.md" in str(block.id)]) >= 1
    assert len(BLOCKS) >= 8


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


def test_architecture_names_every_module() -> None:
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    modules = {path.stem for path in (SOURCES / "cotality").rglob("*.py")} - {"__init__", "_version"}
    # As code: the word "progress" alone says nothing of a module.
    named = {word for code in re.findall(r"`+([^`]+)`+", page) for word in re.findall(r"\w+", code)}
    assert not sorted(module for module in modules if module not in named and module.lstrip("_") not in named)


def test_readme_has_a_place_for_the_benchmarks() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.index("<!-- benchmarks -->") < readme.index("<!-- /benchmarks -->")


def test_licence_is_the_whole_apache_licence() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


@pytest.mark.skipif(
    not all(map(find_spec, ("sphinx", "myst_parser", "furo"))), reason="the documentation's tools are not installed"
)
def test_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    ended = run_python(
        "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "docs", str(tmp_path), folder=ROOT, seconds=120
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "reference" / "process.html").exists()


def test_pictures_show_what_the_tables_say() -> None:
    """``python -m tests.benchmarks.plots`` draws them again."""
    drawn = plots.draw_all((ROOT / "README.md").read_text(encoding="utf-8"))
    assert drawn == {path.name: path.read_text(encoding="utf-8") for path in plots.FOLDER.glob("*.svg")}
    for picture in drawn.values():
        ElementTree.fromstring(picture)
