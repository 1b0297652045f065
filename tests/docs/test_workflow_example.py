"""The workflow that the README begins with: runs on real work, tells what it did, and answers bad input in one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cotality.workflow import example
from tests.docs.harness import run_python

COMMAND = ("-m", "cotality.workflow.example")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A small folder of source files."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for number in range(30):
        body = "".join(f"def function_{line}(x):\n    return x + {line}\n\n" for line in range(40))
        (folder / f"module_{number}.py").write_text(body, encoding="utf-8")
    return folder


def test_account_of_every_task(sources: Path, tmp_path: Path) -> None:
    ended = run_python(*COMMAND, "--source", str(sources), folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert not ended.stderr
    assert "30 succeeded, 1 failed" in ended.stdout
    assert "30 succeeded, 1 skipped" in ended.stdout
    # The dead link may be one of those for which the server is busy, and then it fails all the same.
    assert re.search("tried again: fetch, [23] times, and it succeeded", ended.stdout)
    assert "timed out: TaskTimeout: in task is_words" in ended.stdout
    assert "worker died: WorkerDied: in task text_at" in ended.stdout
    assert "30 files with 3,600 lines and 1,200 functions. Most used: x (1,200 times)." in ended.stdout
    assert "The results are the same." in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--pages", "0"], "--pages must be at least 1"),
        (["--pages", "many"], "invalid int value: 'many'"),
        (["--source", "nowhere"], "there is no folder 'nowhere'"),
        (["--source", "."], "there are no Python source files in '.'"),
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
        example.main(arguments)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert expected in told
    assert told.count("\n") == 1
