"""The command line: runs, explains, draws and reports on a workflow, for a shell, a cron job, a container."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cotality.parallel import __version__
from cotality.parallel.errors import JournalError
from cotality.workflow._cache_command import add_cache_command
from cotality.workflow._exits import (
    CANCELLED,
    FAILED,
    INTERRUPTED,
    SUCCEEDED,
    TERMINATED,
    TIMED_OUT,
    UNUSABLE,
    Terminated,
    Unusable,
    terminable,
)
from cotality.workflow._pages import add_pages, check_pages, keep
from cotality.workflow._parameters import converted, texts_of
from cotality.workflow._run import Run
from cotality.workflow._workflow import Workflow

BACKENDS = ("threads", "processes", "serial", "asyncio", "interpreters", "dask", "ray")
_DESCRIPTION = """\
Run a workflow, or look at it.

exit codes:
  0    the run succeeded: no task failed, but for those whose failure another task takes as an outcome
  1    the run failed, or the module raised an error
  2    the command, the module or a parameter can not be used
  3    the run took longer than its timeout
  4    the run was cancelled
  130  interrupted by Ctrl-C
  143  ended by SIGTERM
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters:
        arguments: What stands behind the command; None: those of this process.

    Returns:
        The exit code.
    """
    given = _parser().parse_args(arguments)
    try:
        code: int = given.command(given)
    except Unusable as error:
        print(f"error: {error}", file=sys.stderr)
        return UNUSABLE
    except Terminated:
        print("terminated", file=sys.stderr)
        return TERMINATED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "cotality-workflow", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    run = _command(commands, "run", _run, "run a workflow and say how it went")
    explain = _command(
        commands, "explain", _explain, "say what a run would do; exit code 1 if something will not go well"
    )
    resume = _command(
        commands, "resume", _resume, "go on with a run that ended before its time: run what its journal has not"
    )
    for command in (run, resume, explain):
        command.add_argument("--workers", type=int, metavar="N", help="the most workers of the workflow's backend")
        command.add_argument("--backend", choices=BACKENDS, help="where tasks run that name no backend of their own")
        command.add_argument("--timeout", type=float, metavar="SECONDS", help="how long the run may take")
    explain.add_argument(
        "--journal", metavar="PATH", help="also say what a run would take over from it; it is only read"
    )
    for command in (run, resume):
        command.add_argument("--progress", action="store_true", help="show how far it is, on standard error")
        command.add_argument(
            "--journal",
            metavar="PATH",
            required=command is resume,
            help="write down finished tasks, and take over those that it has",
        )
        command.add_argument(
            "--report", type=Path, metavar="FILE", help="write a page that tells how it went, however it ends"
        )
        command.add_argument(
            "--save", type=Path, metavar="FILE", help="write its record as JSON, for report and compare"
        )
    draw = _command(commands, "draw", _draw, "print a picture of a workflow")
    draw.add_argument(
        "--format", choices=["mermaid", "dot", "svg"], help="by default as the name of FILE ends, otherwise mermaid"
    )
    draw.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there instead of printing it")
    add_pages(commands)
    add_cache_command(commands)
    return parser


def _command(
    commands: Any, name: str, command: Callable[[argparse.Namespace], int], description: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=description, description=description)
    parser.set_defaults(command=command)
    parser.add_argument(
        "workflow",
        metavar="MODULE:FLOW",
        help="a module, or the path of a Python file, and in it a Workflow or a function that returns one",
    )
    parser.add_argument(
        "--param",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="an argument of that function, converted as it is annotated; a list by one for each of its items",
    )
    return parser


def _run(given: argparse.Namespace) -> int:
    check_pages(given.report, given.save)
    flow = _workflow(given)
    try:
        stream = flow.stream(raise_failures=False, **_options(given))
    except (TypeError, ValueError) as error:
        raise Unusable(str(error)) from None
    try:
        with terminable(), stream:
            for _outcome in stream:
                pass
    except JournalError as error:
        raise Unusable(str(error)) from None
    except KeyboardInterrupt:
        _tell(stream.run)
        raise
    finally:
        keep(stream.run, given.report, given.save)
    _tell(stream.run)
    return {"succeeded": SUCCEEDED, "timed out": TIMED_OUT, "cancelled": CANCELLED}.get(stream.run.state, FAILED)


def _tell(run: Run) -> None:
    print(run.summary(), flush=True)
    if run.resumed:
        print(f"  did not have to run: {', '.join(f'{count:,} {name}' for name, count in run.resumed.items())}")


def _resume(given: argparse.Namespace) -> int:
    if "://" not in given.journal and not Path(given.journal).is_file():
        raise Unusable(f"there is no journal {given.journal}: a run with --journal makes one")
    return _run(given)


def _explain(given: argparse.Namespace) -> int:
    flow = _workflow(given)
    try:
        told = flow.explain(**_options(given))
    except (TypeError, ValueError) as error:
        raise Unusable(str(error)) from None
    print(told)
    return FAILED if told.problems else SUCCEEDED


def _draw(given: argparse.Namespace) -> int:
    flow, file = _workflow(given), given.output
    ending = {".svg": "svg", ".dot": "dot", ".gv": "dot"}.get("" if file is None else file.suffix, "mermaid")
    kind = given.format or ending
    try:
        drawing = flow.draw()
        text = drawing.svg() if kind == "svg" else drawing.dot if kind == "dot" else drawing.mermaid
        print(text) if file is None else file.write_text(f"{text}\n", encoding="utf-8")
    except ValueError as error:
        raise Unusable(str(error)) from None
    except OSError as error:
        raise Unusable(f"{file} can not be written: {error.strerror}") from None
    return SUCCEEDED


def _options(given: argparse.Namespace) -> Any:
    """The options that were given; for the others the workflow's own hold."""
    chosen = {
        "max_workers": given.workers,
        "backend": given.backend,
        "timeout": given.timeout,
        "journal": given.journal,
        "progress": getattr(given, "progress", False) or None,
    }
    return {name: value for name, value in chosen.items() if value is not None}


# The workflow --------------------------------------------------------------------------------------------------------


def _workflow(given: argparse.Namespace) -> Workflow:
    place, parameters = given.workflow, texts_of(given.param)
    module_name, colon, name = place.rpartition(":")
    if not colon or not module_name or not name:
        raise Unusable(f"{place!r} is not MODULE:FLOW, such as nightly:flow or jobs/nightly.py:flow")
    found = _module(module_name).get(name)
    if found is None:
        raise Unusable(f"{module_name} has nothing that is called {name!r}")
    if not isinstance(found, Workflow) and callable(found):
        found = found(**converted(found, name, parameters))
        if not isinstance(found, Workflow):
            raise Unusable(
                f"{name} is a function that returned no workflow, but something of type {type(found).__name__}"
            )
    elif parameters:
        raise Unusable(f"{name} is not a function, so there is nothing that --param could be given to")
    if not isinstance(found, Workflow):
        raise Unusable(f"{name} is not a workflow, nor a function that returns one, but of type {type(found).__name__}")
    return found


def _module(name: str) -> dict[str, Any]:
    """What a module holds. Errors that it raises itself are its own, with their traceback."""
    if name.endswith(".py") or "/" in name:
        return _file(Path(name))
    # As with ``python -m``, modules of the folder that the command is called in are found.
    sys.path.insert(0, str(Path.cwd()))
    if not _is_known(name):
        raise Unusable(f"there is no module {name!r} here: give its dotted name, or the path of a file")
    return vars(import_module(name))


def _is_known(name: str) -> bool:
    if name.startswith("."):
        return False
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError as error:
        # To look for it imports its packages: another module that these miss is an error of their own.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        return False
    except ValueError:
        return False


def _file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise Unusable(f"there is no file {path}")
    if not path.stem.isidentifier():
        raise Unusable(f"{path.name} can not be imported: its name must be a Python identifier")
    # Imported by its name, so that worker processes find its functions as well.
    sys.path.insert(0, str(path.resolve().parent))
    module = import_module(path.stem)
    if module.__file__ is None or not path.samefile(module.__file__):
        raise Unusable(f"{path} can not be imported: there is another module {path.stem!r}; give the file another name")
    return vars(module)
