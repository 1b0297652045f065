"""The command line; see the package."""

from __future__ import annotations

import argparse
import logging
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.soak.gauges import growth, reading
from tests.soak.rounds import ROUNDS
from tests.soak.work import Ledger


def main() -> None:
    """Soak, and tell what it came to."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="random faults on processes")
    parser.add_argument("--seconds", type=float, default=60, help="how long; every kind of round is run once at least")
    parser.add_argument("--seed", type=int, default=None, help="repeats the choices of another soak")
    arguments = parser.parse_args()
    seed = random.randrange(1 << 32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    # Thousands of failures are expected, and each would be logged.
    logging.getLogger("cotality").addHandler(logging.NullHandler())
    soak(random.Random(seed), arguments.seconds)


def soak(chance: random.Random, seconds: float) -> None:
    """Rounds of all kinds in turn until the time is over."""
    began = time.monotonic()
    ended: Counter[str] = Counter()
    readings: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        while len(readings) < len(ROUNDS) or time.monotonic() < began + seconds:
            kind = ROUNDS[len(readings) % len(ROUNDS)]
            ended += kind(chance, Ledger(Path(folder, "ledger")))
            readings.append(reading())
    # In the first turn, workers start and modules are imported.
    settled = readings[len(ROUNDS) :]
    grown = growth(settled) if len(settled) >= 3 * len(ROUNDS) else {}
    print(f"{len(readings)} rounds in {time.monotonic() - began:.0f} s, {sum(ended.values()):,} tasks: {dict(ended)}")
    for what in readings[0]:
        values = [found[what] for found in readings]
        print(f"  {what}: {values[0]:g} after the first round, at most {max(values):g}, {values[-1]:g} at the end")
    assert not grown, f"grown, from the first third to the last: {grown}"


if __name__ == "__main__":
    main()
