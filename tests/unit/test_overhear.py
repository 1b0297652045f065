"""A guest listens beside what is set up, also when that is set up anew, and leaves it as it is."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import structlog

from cotality.parallel._backends.capture import wire
from cotality.parallel._backends.capture.listening import listening
from cotality.parallel._backends.futures.home import home
from cotality.parallel._backends.futures.overhear import Hearing
from cotality.parallel._data.said import Entry, Warned

ELSEWHERE = home()._replace(interpreter=(0, b""))


@pytest.fixture
def theirs() -> Iterator[list[str]]:
    """What structlog is given that nobody else takes."""
    found: list[str] = []
    structlog.configure(processors=_keeping(found))
    yield found
    structlog.reset_defaults()


def _keeping(found: list[str]) -> list[Any]:
    def keep(_logger: Any, _method: str, facts: Any) -> Any:
        found.append(facts["event"])
        raise structlog.DropEvent

    return [keep]


def events(hearing: Hearing) -> list[tuple[int, str]]:
    said = [(place, wire.loads(message)) for place, message in hearing.take()]
    return [(place, each.facts["event"]) for place, each in said if isinstance(each, Entry)]


def test_what_a_module_configures_while_tasks_run_is_for_others(
    theirs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hearing = Hearing(listening(), ELSEWHERE, None)
    held = structlog.get_logger().bind()
    later: list[str] = []
    chain = _keeping(later)
    with hearing:
        structlog.get_logger().info("first")
        structlog.configure(processors=chain, wrapper_class=structlog.BoundLogger)
        monkeypatch.setitem(sys.modules, "a_module_that_configures", ModuleType("a_module_that_configures"))
        hearing.turn_to(1)
        structlog.get_logger().info("second")
        held.info("held")
        others = threading.Thread(target=structlog.get_logger().info, args=("of others",))
        others.start()
        others.join()
    structlog.get_logger().info("after")
    held.info("held after")
    assert events(hearing) == [(0, "first"), (1, "second"), (1, "held")]
    assert (later, theirs) == (["of others", "after"], ["held after"])
    assert structlog.get_config()["processors"] is chain
    assert structlog.get_config()["wrapper_class"] is structlog.BoundLogger


def test_filters_of_two_callers_hold_for_the_tasks_of_each() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        strict = Hearing(listening(), ELSEWHERE, None)
        warnings.simplefilter("always")
        lenient = Hearing(listening(), ELSEWHERE, None)
        warnings.simplefilter("ignore")
        with strict:
            with lenient:
                warnings.warn("heard", stacklevel=1)
            with pytest.raises(UserWarning, match="raised"):
                warnings.warn("raised", stacklevel=1)
        warnings.warn("of others", stacklevel=1)
    said = [wire.loads(message) for _place, message in lenient.take()]
    assert [each.text for each in said if isinstance(each, Warned)] == ["heard"]
    assert strict.take() == []
