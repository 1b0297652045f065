"""Annotations that name what is defined further down: in quotes, and as they are where Python evaluates them late."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from cotality.workflow import errors

SOURCE = """
from cotality.workflow import task

@task
def make(number: int) -> {later}:
    return Later()

@task
def take(later: {later}) -> int:
    return 1

@task
def take_number(number: int) -> int:
    return number

@task
def broken(number: int, nowhere: {nowhere}) -> int:
    return number

class Later:
    pass
"""
SPELLINGS = ["quoted", *(["bare"] if sys.version_info >= (3, 14) else [])]


@pytest.fixture(params=SPELLINGS)
def module(request: pytest.FixtureRequest) -> ModuleType:
    names = ("'Later'", "'Nowhere'") if request.param == "quoted" else ("Later", "Nowhere")
    made = ModuleType("late")
    # Compiled without this module's own "from __future__ import annotations".
    code = compile(SOURCE.format(later=names[0], nowhere=names[1]), "late.py", "exec", dont_inherit=True)
    exec(code, made.__dict__)
    return made


def test_wires_and_values_are_checked(module: ModuleType) -> None:
    module.take(module.make(1).output)
    module.take(module.Later())
    with pytest.raises(errors.ArgumentError, match=r"argument 'number' must be int, not .*Later"):
        module.take_number(module.make(1).output)
    with pytest.raises(errors.ArgumentError, match=r"argument 'later' must be .*Later, not int"):
        module.take(1)


def test_what_can_not_be_resolved_concerns_no_other_parameter(module: ModuleType) -> None:
    module.broken(1, object())
    with pytest.raises(errors.ArgumentError, match="argument 'number' must be int"):
        module.broken("1", object())
