"""What the command line does to make pages of runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cotality.workflow._compare import compare
from cotality.workflow._exits import SUCCEEDED, Unusable
from cotality.workflow._record import RunRecord
from cotality.workflow._report.page import require_jinja
from cotality.workflow._run import Run


def add_pages(commands: Any) -> None:
    """Make ``report`` and ``compare`` known."""
    report = commands.add_parser("report", help="make a page of a saved run", description="Make a page of a saved run.")
    compare = commands.add_parser(
        "compare", help="make a page of two saved runs, side by side", description="Make a page of two saved runs."
    )
    for command, names in ((report, ["saved"]), (compare, ["first", "second"])):
        for name in names:
            command.add_argument(name, type=Path, metavar=f"{name.upper()}.json", help="written by run --save")
        command.add_argument("-o", "--output", type=Path, metavar="FILE", required=True, help="the page to write")
    report.set_defaults(command=_report)
    compare.set_defaults(command=_compare)


def keep(run: Run, page: Path | None, saved: Path | None) -> None:
    """Write what was asked for of a run that is over; what can not be written does not change how it went."""
    if run.state == "running" or not (page or saved):
        return
    record = run.record()
    for path, write in ((saved, record.save), (page, record.report)):
        if path is not None:
            try:
                write(path)
            except OSError as error:
                print(f"error: {path} can not be written: {error.strerror}", file=sys.stderr)


def _report(given: argparse.Namespace) -> int:
    check_pages(given.output)
    return _page(lambda: RunRecord.load(given.saved).report(given.output))


def _compare(given: argparse.Namespace) -> int:
    check_pages(given.output)
    return _page(lambda: compare(given.first, given.second, given.output))


def _page(make: Callable[[], None]) -> int:
    try:
        make()
    except OSError as error:
        raise Unusable(f"{error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise Unusable(str(error)) from None
    return SUCCEEDED


def check_pages(page: Path | None, record: Path | None = None) -> None:
    """See that pages can be made, before anything runs for hours."""
    for path in (page, record):
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise Unusable(f"{path} can not be written: it is a folder, or there is none that it would be in")
    if page is not None:
        try:
            require_jinja()
        except ImportError as error:
            raise Unusable(str(error)) from None
