"""``python -m tests.fuzz --seconds 60``: random workflows, one after the other, until one comes to something else."""

from __future__ import annotations

import argparse
import faulthandler
import logging
from collections.abc import Sequence
from itertools import count
from time import monotonic

from tests.fuzz.trials import by_real_workers, by_simulated_workers

DEADLINE = 30.0
"""Seconds after which a program counts as hanging; all stacks are shown then."""
WAYS: tuple[Sequence[str], ...] = (("threads", "serial"), ("threads", "processes", "serial"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="the first; a failure names its own")
    parser.add_argument("--size", type=int, default=8, help="the most tasks and maps of a workflow")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    until, tried = monotonic() + options.seconds, 0
    for seed in count(options.seed):
        if monotonic() > until:
            break
        faulthandler.dump_traceback_later(DEADLINE, exit=True)
        try:
            by_simulated_workers(seed, options.size)
            by_real_workers(seed, options.size, WAYS[seed % 2])
        except BaseException as error:
            error.add_note(f"python -m tests.fuzz --seed {seed} --size {options.size}")
            raise
        tried += 1
    faulthandler.cancel_dump_traceback_later()
    print(f"{tried:,} workflows from seed {options.seed} on came to what they must")


if __name__ == "__main__":
    main()
