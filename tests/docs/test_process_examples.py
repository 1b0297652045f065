"""The main job: runs on real input, tells what it did, and answers bad input in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cotality.core.utils import process_examples
from tests.docs.harness import run_python

COMMAND = ("-m", "cotality.core.utils.process_examples")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A small folder of source files."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for number in range(30):
        body = "".join(f"def function_{line}(x):\n    return x + {line}\n\n" for line in range(40))
        (folder / f"module {number}.py").write_text(body, encoding="utf-8")
    (folder / "not_python.py").write_text("this is not python\n", encoding="utf-8")
    return folder


def test_all_patterns_run(sources: Path, tmp_path: Path) -> None:
    ended = run_python(*COMMAND, "--records", "20000", "--source", str(sources), folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert not ended.stderr
    titles = [line.partition(":")[0] for line in ended.stdout.splitlines() if line and not line.startswith(" ")]
    assert titles[1:-1] == list(process_examples.PATTERNS)
    assert "All results were right." in ended.stdout
    assert "task 12: LookupError" in ended.stdout
    assert "the worker ended with exit code 3 while it ran this task" in ended.stdout
    assert "task 1: TaskTimeout" in ended.stdout


def test_standard_library_is_the_default(tmp_path: Path) -> None:
    ended = run_python(*COMMAND, "--only", "stream", "--records", "5000", folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "5,000 lines of source" in ended.stdout
    assert "api:" not in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--records", "0"], "--records must be at least 1"),
        (["--records", "many"], "invalid int value: 'many'"),
        (["--source", "nowhere"], "there is no folder 'nowhere'"),
        (["--source", "."], "there are no Python source files in '.'"),
        (["--only", "everything"], "invalid choice: 'everything'"),
        (["surplus"], "unrecognized arguments: surplus"),
    ],
)
def test_bad_input_is_answered_in_one_line(
    arguments: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        process_examples.main(arguments)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert expected in told
    assert told.count("\n") == 1
