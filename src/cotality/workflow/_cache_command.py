"""The command that looks at a cache, and removes from it."""

from __future__ import annotations

import argparse
import time
from typing import Any

from cotality.parallel.errors import JournalError
from cotality.workflow._exits import SUCCEEDED, Unusable


def add_cache_command(commands: Any) -> None:
    """Make the command known.

    Parameters:
        commands: The subparsers of the command line.
    """
    what = "say what a cache holds, and remove from it"
    parser: argparse.ArgumentParser = commands.add_parser("cache", help=what, description=what)
    parser.set_defaults(command=_cache)
    parser.add_argument("path", metavar="PATH", help="the file of the cache")
    parser.add_argument("--invalidate", metavar="NAME", help="forget the results of a function: its module and name")
    parser.add_argument(
        "--prune", metavar="BYTES", type=int, help="remove what was not asked for the longest, until it is no larger"
    )


def _cache(given: argparse.Namespace) -> int:
    from cotality.workflow import Cache

    cache = Cache(given.path)
    try:
        if given.invalidate is not None:
            print(f"{cache.invalidate(given.invalidate):,} results forgotten")
        if given.prune is not None:
            print(f"{cache.prune(given.prune):,} results removed")
        for entry in cache.entries():
            used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
            print(f"{entry.bytes:>15,} bytes {entry.results:>9,} results  last used {used}  {entry.function}")
    except JournalError as error:
        raise Unusable(str(error)) from None
    return SUCCEEDED
