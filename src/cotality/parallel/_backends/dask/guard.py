"""Sees in the scheduler that a task runs at most once per attempt, and that what tasks say does not pile up."""

# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any, Final

PREFIX: Final = "cotality-batch-"
"""What the keys of our batches begin with."""
TOPIC: Final = "cotality-said-"
"""What the topics begin with at which workers tell what happens to them."""


def guard() -> Any:
    """The plugin for the scheduler.

    Its class is made here so that it travels by value: a scheduler need not have this package.
    """
    from distributed import SchedulerPlugin

    prefix, said = PREFIX, TOPIC

    class Guard(SchedulerPlugin):  # type: ignore[misc]
        name = "cotality-guard"
        idempotent = True

        def __init__(self) -> None:
            self._scheduler: Any = None

        async def start(self, scheduler: Any) -> None:
            self._scheduler = scheduler

        def transition(self, key: Any, start: str, finish: str, *_args: Any, **_more: Any) -> None:
            if type(key) is not str or not key.startswith(prefix):
                return
            state = self._scheduler.tasks.get(key)
            if state is None:
                return
            if finish == "processing":
                # Once more, and it counts as the one that kills its workers.
                state.suspicious = self._scheduler.allowed_failures
            elif finish == "memory":
                # What is lost can not be made again.
                state.run_spec = None

        def log_event(self, topic: str, msg: Any) -> None:
            # Who listens has been sent it; nobody asks for it later.
            if topic.startswith(said):
                self._scheduler._broker.truncate(topic)

    return Guard()
