"""The exchange with the fork server."""

from __future__ import annotations

import pytest

from cotality.parallel._backends.processes import launch
from cotality.parallel._held import Held
from tests.forks import needs_forks


@needs_forks
def test_a_signal_handler_does_not_take_the_answer_of_the_code_that_it_interrupts() -> None:
    with Held(launch._server._lock):
        with pytest.raises(OSError, match="a signal handler can not start a worker"):
            launch.start("forkserver", 0, 0)
        assert launch.exit_code(launch.Process(1, None, "forkserver")) is None
