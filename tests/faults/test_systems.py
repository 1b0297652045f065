"""Systems that lack, or refuse, what others have."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from cotality.parallel import ProcessExecutor, Task, run


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the system has none")
def test_a_system_that_refuses_pidfds_has_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSYS, "refused")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with ProcessExecutor(1, start_method="spawn") as executor:
        assert run([Task(len, {}, positional=("ab",))], backend=executor) == [2]


def test_a_system_without_forks_has_threads() -> None:
    forkless = "import os; del os.fork, os.register_at_fork; import cotality.parallel as parallel; "
    code = forkless + "parallel.ThreadExecutor(1).submit(print, 7).result()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "7\n"
