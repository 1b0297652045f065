"""The command line; see the package."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import plots, runner, table
from tests.benchmarks.cases import CASES


def main() -> None:
    """Measure and show the tables."""
    arguments = _arguments()
    chosen = [case for case in CASES if not arguments.case or case.name in arguments.case]
    began = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {line}", file=sys.stderr)

    runner.compile_ours()
    results = [runner.run_case(case, quick=arguments.quick, tell=tell) for case in chosen]
    tell("done")
    surroundings = runner.surroundings()
    text = table.render(results, surroundings=surroundings, left_out=runner.left_out(chosen))
    print(text)
    if arguments.json:
        arguments.json.write_text(_as_json(results, surroundings))
    if arguments.write:
        table.write(arguments.write, text)
        plots.write(arguments.write)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="cotality beside its peers")
    parser.add_argument("--quick", action="store_true", help="smaller cases and fewer rounds: about five minutes")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="only this; repeatable")
    parser.add_argument("--write", type=Path, metavar="FILE", help=f"put the tables between the {table.BEGIN} marks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round")
    return parser.parse_args()


def _as_json(results: Sequence[runner.Result], surroundings: str) -> str:
    cases = {
        result.case.name: {
            "title": result.title,
            "figures": {figure.key: dataclasses.asdict(figure) for figure in result.case.figures},
            "peers": {result.case.label(row.peer): {"rounds": row.rounds, "errors": row.errors} for row in result.rows},
        }
        for result in results
    }
    return json.dumps({"surroundings": surroundings, "cases": cases}, indent=2)


if __name__ == "__main__":
    main()
