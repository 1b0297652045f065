"""One measurement: the program of the fresh process. ``python -m tests.benchmarks.measure CASE PEER ROUND FILE``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.benchmarks.case import Scale
from tests.benchmarks.cases import CASES


def main(case_name: str, peer_name: str, round_number: str, file: str, *flags: str) -> None:
    """Measure, and leave the figures in a file."""
    case = next(case for case in CASES if case.name == case_name)
    peer = next(peer for peer in case.peers if peer.__name__ == peer_name)
    figures = case.measure(peer, Scale(quick="--quick" in flags, round=int(round_number)))
    Path(file).write_text(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
