"""Finishes a coroutine where there is no event loop: in a worker, whose calls may turn out to be coroutines."""

from __future__ import annotations

from collections.abc import Coroutine
from contextvars import Context
from typing import Any


def finish(coroutine: Coroutine[Any, Any, Any], context: Context) -> Any:
    """Run a coroutine to its end, on an event loop of its own.

    Raises:
        BaseException: whatever the coroutine raises.
    """
    # Only who meets a coroutine pays for importing it.
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner() as runner:
            return runner.run(coroutine, context=context)
    # A notebook's cell, for example, runs inside of a loop, which can not be entered again.
    from cotality.parallel._backends.event_loop import context_within, private_loop

    within = context_within(context)
    return within.run(asyncio.run_coroutine_threadsafe, coroutine, private_loop()).result()
