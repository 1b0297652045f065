"""A wake-up that comes before anybody waits is not lost: else a run that is cancelled at that moment never ends."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from cotality.parallel import Task
from cotality.parallel._backends.event_loop import EventLoopPool
from cotality.parallel._backends.serial import SerialPool
from cotality.parallel._backends.threads import ThreadPool
from cotality.parallel._data.events import Identity
from cotality.parallel._loop import Feed, Loop
from cotality.parallel._scheduling.plan import Plan
from cotality.parallel._scheduling.source import IterableSource
from cotality.parallel._scheduling.survey import ListSurvey


@pytest.mark.parametrize("pool", [SerialPool(), ThreadPool(), EventLoopPool()])
def test_who_was_woken_before_does_not_wait(pool: Any) -> None:
    backend = pool.open(2)
    backend.wake()
    waited = threading.Thread(target=backend.collect, args=(None,), daemon=True)
    waited.start()
    waited.join(20)
    assert not waited.is_alive()
    backend.close()


@pytest.mark.parametrize("pools", [(SerialPool(), ThreadPool()), (EventLoopPool(), ThreadPool())])
def test_of_several_backends_the_one_that_is_waited_at_is_rung(pools: Any) -> None:
    first, second = (pool.open(2) for pool in pools)
    second.ring(first.wake)
    plan = Plan(IterableSource([]), retry=None, timeout=None, ordered=False, fail_fast=False, stand_in=lambda *_: None)
    feeds = [Feed(backend, plan.take, None) for backend in (first, second)]
    loop = Loop(Identity("run"), plan, feeds, ListSurvey(plan, None, "serial"), None)
    found: list[Any] = []
    second.submit([(0, Task(abs, {}, positional=(-1,)))])
    while not found:
        # Without a bound: only the bell ends it.
        found = loop._collect(None)
    assert found[0][2] == 1
    loop.close()
