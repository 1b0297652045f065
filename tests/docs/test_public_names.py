"""Every public name says what it is, what it is given, what it gives, and shows it."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any, is_typeddict

import pytest

from cotality.parallel import errors

DOORS = [
    "cotality.workflow",
    "cotality.parallel",
    "cotality.parallel.errors",
    "cotality.parallel.executors",
    "cotality.parallel.otel",
    "cotality.parallel.testing",
    "cotality.core.utils.process",
]
NOT_CALLED_BY_USERS = {
    "Drawing",
    "Explanation",
    "Resumption",
    "Run",
    "Stream",
    "AsyncStream",
    "TaskFactory",
    "Reference",
}
"""Classes whose objects users are given."""


def _public() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for door in DOORS:
        if door.endswith("otel"):
            pytest.importorskip("opentelemetry")
        module = importlib.import_module(door)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                found.setdefault(f"{value.__module__}.{name}", value)
    return found


PUBLIC = _public()


def _is_only_met(value: Any) -> bool:
    """Whether users catch it, or write it themselves."""
    return inspect.isclass(value) and (issubclass(value, BaseException) or getattr(value, "_is_protocol", False))


def _methods(owner: type) -> Iterator[tuple[str, Any]]:
    for name, value in vars(owner).items():
        if not name.startswith("_"):
            function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            if inspect.isfunction(function):
                yield name, function


def _parameters(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self", "cls"}


def _documented(docstring: str) -> set[str]:
    """The names in the block of parameters."""
    block = re.search(r"^Parameters:\n((?:[ ]+.*\n?|\n)*)", docstring, re.MULTILINE)
    names = re.findall(r"^    (\w[\w, ]*):", block[1] if block else "", re.MULTILINE)
    return {name.strip() for several in names for name in several.split(",")}


def _lacks(function: Any) -> set[str]:
    return _parameters(function) - _documented(inspect.getdoc(function) or "")


@pytest.mark.parametrize("name", PUBLIC)
def test_it_has_a_docstring(name: str) -> None:
    assert inspect.getdoc(PUBLIC[name])


@pytest.mark.parametrize("name", [name for name, value in PUBLIC.items() if inspect.isfunction(value)])
def test_function_says_what_it_takes_and_gives(name: str) -> None:
    function = PUBLIC[name]
    docstring = inspect.getdoc(function) or ""
    assert not _lacks(function)
    # What is written "-> None" gives nothing, and so does a context manager without a value.
    gives_nothing = inspect.signature(function).return_annotation in ("None", "Iterator[None]")
    assert gives_nothing or re.search(r"^(Returns|Yields):$", docstring, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name, value in PUBLIC.items() if inspect.isclass(value)])
def test_class_says_what_it_and_its_methods_take(name: str) -> None:
    owner = PUBLIC[name]
    if not (_is_only_met(owner) or owner.__name__ in NOT_CALLED_BY_USERS or is_typeddict(owner)):
        assert not _parameters(owner) - _documented(inspect.getdoc(owner) or "")
    for method, function in _methods(owner):
        if issubclass(owner, BaseException) and method == "derive":
            continue  # A hook of ExceptionGroup.
        assert inspect.getdoc(function), method
        assert not _lacks(function), method


@pytest.mark.parametrize("name", [name for name, value in PUBLIC.items() if not _is_only_met(value)])
def test_it_shows_an_example(name: str) -> None:
    assert ">>> " in (inspect.getdoc(PUBLIC[name]) or "")


def test_errors_show_how_they_are_caught() -> None:
    assert ">>> " in (errors.__doc__ or "")


def test_names_are_found() -> None:
    found = {name.rsplit(".", 1)[-1] for name in PUBLIC}
    assert found >= {"task", "Workflow", "RetryPolicy", "WorkerDied", "ProcessExecutor", "inject", "Tracing"}
    assert found >= {"share", "execute_tasks_in_parallel"}
