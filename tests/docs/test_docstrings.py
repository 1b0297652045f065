"""Every example in a docstring does what it shows."""

from __future__ import annotations

import doctest
import importlib
import inspect
import logging
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType

import pytest
import structlog

from tests.docs.harness import SOURCES

NEED = {"dask": "distributed", "ray": "ray", "joblib": "joblib"}
"""What modules of these names, or within packages of them, may import: an extra."""


def _modules() -> list[str]:
    paths = (path.relative_to(SOURCES).with_suffix("") for path in sorted((SOURCES / "cotality").rglob("*.py")))
    return [".".join(path.parts).removesuffix(".__init__") for path in paths]


def _missing(name: str) -> list[str]:
    """The extras that a module may need and that are not installed."""
    return [need for part, need in NEED.items() if part in name.split(".") and find_spec(need) is None]


def _documented_objects(module: ModuleType) -> list[doctest.DocTest]:
    """The examples of a module. Its public names say another ``__module__``, so doctest would pass them over."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = finder.find(module, globs={**vars(module)})
    for name, value in vars(module).items():
        public_elsewhere = getattr(value, "__module__", module.__name__) != module.__name__
        if public_elsewhere and _is_defined_in(value, module):
            tests += finder.find(value, name, module=False, globs={**vars(module)})
    return [test for test in tests if test.examples]


def _is_defined_in(value: object, module: ModuleType) -> bool:
    functions = vars(value).values() if inspect.isclass(value) else [value]
    return any(inspect.isfunction(item) and item.__code__.co_filename == module.__file__ for item in functions)


@pytest.fixture
def logs_as_before() -> Iterator[None]:
    """An example may set up logs, for the whole process."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("name", _modules())
@pytest.mark.usefixtures("logs_as_before")
def test_examples_in_docstrings(name: str) -> None:
    if missing := _missing(name):
        pytest.skip(f"{missing[0]} is not installed: pip install -e '.[cluster-tests]'")
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    told: list[str] = []
    for test in _documented_objects(module):
        runner.run(test, out=told.append)
    assert not runner.failures, "".join(told)


def test_examples_are_found() -> None:
    names = [name for name in _modules() if not _missing(name)]
    found = {test.name for name in names for test in _documented_objects(importlib.import_module(name))}
    for expected in ("execute_tasks_in_parallel", "Task", "RetryPolicy", "run", "share", "ProcessExecutor"):
        assert any(name.split(".")[-1] == expected for name in found), f"the example of {expected} was passed over"
