"""The soak's short form: each kind of round once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.harness import ROOT, run_python
from tests.soak.gauges import growth


def test_no_task_is_lost_and_none_runs_twice(tmp_path: Path) -> None:
    ended = run_python("-m", "tests.soak", "--seconds", "0", "--seed", "8", folder=ROOT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "7 rounds" in ended.stdout
    assert not ended.stderr


@pytest.mark.parametrize(
    ("last", "grown"), [(10.0, {}), (10.9, {}), (12.0, {"MB": (10.0, 12.0)})], ids=["flat", "almost", "grown"]
)
def test_growth_is_noticed(last: float, grown: dict[str, tuple[float, float]]) -> None:
    readings = [{"MB": 10.0, "threads": 3.0}] * 4 + [{"MB": last, "threads": 3.0}] * 2
    assert growth(readings) == grown
