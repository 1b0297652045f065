"""Every example in a docstring does what it shows."""

from __future__ import annotations

import doctest
import importlib
import inspect
import logging
from collections.abc import Iterator
from types import ModuleType

import pytest
import structlog

from tests.docs.harness import SOURCES

EXTRAS = ("distributed", "joblib", "ray")
"""What some modules are for, and few have installed."""


def _modules() -> list[str]:
    paths = (path.relative_to(SOURCES).with_suffix("") for path in sorted((SOURCES / "cotality").rglob("*.py")))
    return [".".join(path.parts).removesuffix(".__init__") for path in paths]


def _imported(name: str) -> ModuleType | None:
    """A module; None if it needs an extra that is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name in EXTRAS:
            return None
        raise


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
    module = _imported(name)
    if module is None:
        pytest.skip("needs an extra that is not installed")
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    told: list[str] = []
    for test in _documented_objects(module):
        runner.run(test, out=told.append)
    assert not runner.failures, "".join(told)


def test_examples_are_found() -> None:
    modules = filter(None, map(_imported, _modules()))
    found = {test.name for module in modules for test in _documented_objects(module)}
    for expected in ("execute_tasks_in_parallel", "Task", "RetryPolicy", "run", "share", "ProcessExecutor"):
        assert any(name.split(".")[-1] == expected for name in found), f"the example of {expected} was passed over"
