"""Whoever uses a public name is told its whole type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

UNTYPED = "cotality.parallel.joblib."
"""Its class is one of joblib's, which has no types."""
DOORS = ["cotality.workflow", "cotality.parallel", "cotality.core.utils.process"]


@pytest.mark.skipif(find_spec("pyright") is None, reason="pyright is not installed")
@pytest.mark.parametrize("door", DOORS)
def test_types_of_the_public_interface_are_complete(door: str) -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "pyright",
            "--verifytypes",
            door,
            "--ignoreexternal",
            "--outputjson",
        ],
        capture_output=True,
        text=True,
        check=False,
        # With --verifytypes it looks where the first Python on the path does, whatever it is told.
        env={**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])},
    )
    report = json.loads(ended.stdout)["typeCompleteness"]
    incomplete = [
        symbol["name"]
        for symbol in report["symbols"]
        if (symbol["isTypeAmbiguous"] or not symbol["isTypeKnown"]) and not symbol["name"].startswith(UNTYPED)
    ]
    assert report["symbols"]
    assert not incomplete
