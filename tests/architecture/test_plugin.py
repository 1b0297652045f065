"""The plugin for pytest is loaded wherever the library is installed: it must be found, and cost next to nothing."""

from __future__ import annotations

from importlib.metadata import entry_points

from tests.architecture.test_packaging import probe


def test_pytest_finds_it() -> None:
    assert "cotality.parallel._pytest_plugin" in {found.value for found in entry_points(group="pytest11")}


def test_it_imports_nothing_that_no_test_has_asked_for() -> None:
    found = probe(
        "import json, sys\n"
        "import pytest\n"
        "before = set(sys.modules)\n"
        "import cotality.parallel._pytest_plugin\n"
        "print(json.dumps({'modules': sorted(set(sys.modules) - before)}))"
    )
    assert {name for name in found["modules"] if name.count(".") > 1} == {"cotality.parallel._pytest_plugin"}
