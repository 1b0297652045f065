"""Who is told of a run, and of what."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from cotality.parallel import configure_logging
from cotality.parallel._observers.attend import attend, new_identity


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    level, handlers = logging.root.level, logging.root.handlers[:]
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.mark.parametrize(
    ("level", "workflow", "wants"),
    [
        ("INFO", None, False),
        ("INFO", "nightly", True),
        ("DEBUG", None, True),
        ("WARNING", "nightly", False),
    ],
)
def test_nothing_is_made_for_each_task_that_no_log_shows(level: str, workflow: str | None, wants: bool) -> None:
    configure_logging(level, file=io.StringIO())
    audience = attend(new_identity(workflow))
    assert audience is not None
    assert audience.wants_each is wants
