"""A program that runs one workflow in many processes, one after the other, and sees each of them fail or die.

Each process is a copy of this one, which has imported everything and has no threads: a life takes some milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import random
import select
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from cotality.parallel import ProcessExecutor
from cotality.parallel.errors import JournalError
from cotality.workflow import Journal, Workflow, task

KINDS = {"open": 1, "write": 2, "sync": 4, "rename": 8}
TASKS = 2
LARGE = 30_000


def note(log: Path, line: str) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def noted(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


@task
def work(log: Path, number: int, seconds: float = 0.0) -> bytes:
    note(log, f"{number}")
    time.sleep(seconds)
    return bytes([number % 256]) * (LARGE if number % 4 == 1 else 10)


@task
def measure(log: Path, found: bytes) -> int:
    note(log, f"measure {found[0]}")
    return len(found)


def flow_of(log: Path, tasks: int, seconds: float = 0.0) -> tuple[Workflow, list[int]]:
    flow = Workflow(backend="serial")
    parts = flow.map(lambda number: work(log, number, seconds), range(tasks))
    flow.map(lambda found: measure(log, found), parts.outputs)
    return flow, [LARGE if number % 4 == 1 else 10 for number in range(tasks)]


def life(body: Callable[[], None]) -> int:
    """Run this in a process of its own, and tell how it ended."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            body()
            code = 0
        except JournalError:
            code = 3
        finally:
            if code == 1:
                sys.excepthook(*sys.exc_info())
            os._exit(code)
    return pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run_to_the_end(folder: Path, tasks: int = TASKS) -> None:
    flow, expected = flow_of(folder / "starts", tasks)
    (lengths,) = [node for node in flow if node.name.startswith("map")][1:]
    run = flow.run(journal=Journal(folder / "j" / "run.db", durability="each"))
    assert run[lengths] == expected, "wrong results"


# The n-th call fails -------------------------------------------------------------------------------------------------


def fail_everywhere(folder: Path, library: ctypes.CDLL) -> None:
    points: Counter[str] = Counter()
    for kind, which in KINDS.items():
        for for_good in (0, 1):
            for nth in range(1, 1000):
                shutil.rmtree(folder, ignore_errors=True)
                (folder / "j").mkdir(parents=True)

                def fail(which: int = which, nth: int = nth, for_good: int = for_good) -> None:
                    library.arm(os.fsencode(folder / "j"), which, nth, for_good, 0)
                    try:
                        run_to_the_end(folder)
                    finally:
                        if library.calls() < nth:
                            note(folder / "passed", "")

                code = ended(life(fail))
                assert code in (0, 3), f"{kind} {nth} {for_good}: exit code {code}"
                # Whatever it was, the journal is whole: it is gone on with, and a third run finds everything.
                for _ in range(2):
                    (folder / "starts").unlink(missing_ok=True)
                    assert ended(life(lambda: run_to_the_end(folder))) == 0, f"{kind} {nth} {for_good}: no resume"
                assert not noted(folder / "starts"), f"{kind} {nth} {for_good}: finished tasks ran again"
                points[kind] += 1
                if noted(folder / "passed"):
                    break
    print(" ".join(f"{kind}:{count}" for kind, count in sorted(points.items())))


def kill_after(pid: int, starts: Path, lines: int) -> None:
    """Kill a life when so many tasks have started, or when it has come to its end."""
    process = os.pidfd_open(pid)
    while len(noted(starts)) < lines and not select.select([process], [], [], 0.001)[0]:
        pass
    os.close(process)
    os.kill(pid, signal.SIGKILL)


# Killed again and again ----------------------------------------------------------------------------------------------


def die_again_and_again(folder: Path, library: ctypes.CDLL, backend: str, tasks: int, kills: int) -> None:
    """Journals of runs that are killed until they come to their end, until there were so many kills."""
    chance = random.Random(7)
    killed = 0
    while killed < kills:
        killed += die_until_the_end(folder, library, backend, tasks, chance)
    print(f"{backend} kills:{killed}")


def die_until_the_end(folder: Path, library: ctypes.CDLL, backend: str, tasks: int, chance: random.Random) -> int:
    """One journal, and a run that is killed until it comes to its end: nothing that was told finished starts again."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "j").mkdir(parents=True)
    starts, told = folder / "starts", folder / "told"
    kills = 0
    while True:
        finished = set(noted(told))
        before = len(noted(starts))

        def run(nth: int = 1 + int(chance.expovariate(1 / 60))) -> None:
            if backend == "serial":
                # At a random call, in the middle of whatever it writes.
                library.arm(os.fsencode(folder / "j"), 15, nth, 0, 1)
            flow, _expected = flow_of(starts, tasks, 0.001)
            parts = next(node for node in flow if node.name.startswith("map"))
            where = {} if backend == "serial" else {"backend": ProcessExecutor(2, start_method="fork")}
            with flow.stream(parts, journal=Journal(folder / "j" / "run.db", durability="each"), **where) as outcomes:
                for number, outcome in enumerate(outcomes):
                    assert outcome.value[0] == number
                    note(told, f"{number}")

        pid = life(run)
        if backend != "serial":
            kill_after(pid, starts, before + chance.randrange(1, 8))
        code = ended(pid)
        again = finished & set(noted(starts)[before:])
        assert not again, f"ran again: {sorted(again)}"
        if code == 0:
            return kills
        assert code == -signal.SIGKILL, f"exit code {code}"
        kills += 1


def main() -> None:
    folder = Path(sys.argv[1])
    # Whatever a life imports is imported here, once.
    (folder / "j").mkdir(parents=True)
    run_to_the_end(folder)
    library = ctypes.CDLL(os.environ["LD_PRELOAD"])
    if sys.argv[2] == "fail":
        fail_everywhere(folder, library)
    else:
        die_again_and_again(folder, library, sys.argv[2], *map(int, sys.argv[3:5]))


if __name__ == "__main__":
    main()
