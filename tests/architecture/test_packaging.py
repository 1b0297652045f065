"""The shape of the distribution: namespaces, markers, public names, light imports."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cotality.parallel

SOURCE = Path(cotality.parallel.__file__).parents[2]
DOORS = ["cotality.parallel", "cotality.core.utils.process"]


@pytest.mark.parametrize("namespace", ["cotality", "cotality/core", "cotality/core/utils"])
def test_namespaces_that_other_distributions_share_have_no_init(namespace: str) -> None:
    assert not (SOURCE / namespace / "__init__.py").exists()


@pytest.mark.parametrize("package", ["cotality/parallel", "cotality/core/utils/process"])
def test_types_reach_users(package: str) -> None:
    assert (SOURCE / package / "py.typed").exists()


@pytest.mark.parametrize("door", DOORS)
def test_public_names_are_sorted_documented_and_say_their_public_path(door: str) -> None:
    module = importlib.import_module(door)
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        public = getattr(module, name)
        if inspect.isclass(public) or inspect.isfunction(public):
            assert public.__module__ in DOORS, name
            assert inspect.getdoc(public), name


def probe(code: str) -> dict[str, list[str]]:
    """What a fresh interpreter finds; its own answer, as JSON."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    found: dict[str, list[str]] = json.loads(output.stdout)
    return found


def test_importing_starts_nothing_and_stays_light() -> None:
    found = probe(
        "import json, logging, os, sys, threading\n"
        "before = set(os.listdir('/proc/self/fd'))\n"
        "import cotality.core.utils.process\n"
        "print(json.dumps({'fds': sorted(set(os.listdir('/proc/self/fd')) - before),"
        " 'threads': [t.name for t in threading.enumerate()],"
        " 'handlers': [str(h) for h in logging.root.handlers + logging.getLogger('cotality').handlers],"
        " 'modules': sorted(sys.modules)}))"
    )
    assert found["fds"] == []
    assert found["threads"] == ["MainThread"]
    assert found["handlers"] == []
    heavy = {
        "structlog",
        "beartype",
        "rich",
        "cloudpickle",
        "multiprocessing",
        "asyncio",
        "numpy",
        "dask",
        "ray",
        "jinja2",
    }
    assert heavy.isdisjoint(name.partition(".")[0] for name in found["modules"])
    assert "concurrent.futures.process" not in found["modules"]


def test_who_runs_a_list_pays_for_no_workflow_and_no_log() -> None:
    found = probe(
        "import json, sys\n"
        "from cotality.core.utils.process import Task, execute_tasks_in_parallel\n"
        "execute_tasks_in_parallel([Task(abs, {}, positional=(-1,))])\n"
        "print(json.dumps({'modules': sorted(sys.modules)}))"
    )
    unneeded = {
        "cotality.parallel._scheduling.graph",
        "cotality.parallel._scheduling.graph_plan",
        "cotality.parallel._observers.progress.choose",
        "cotality.parallel._backends.processes",
        "asyncio",
        "logging",
        "structlog",
        "rich",
    }
    assert unneeded.isdisjoint(found["modules"])


def test_a_worker_imports_no_part_of_the_engine_that_it_does_not_need() -> None:
    found = probe(
        "import json, sys\n"
        "import cotality.parallel._backends.processes.server\n"
        "print(json.dumps({'modules': sorted(sys.modules)}))"
    )
    unneeded = {
        "cotality.parallel._run",
        "dataclasses",
        "inspect",
        "multiprocessing",
        "tempfile",
        "traceback",
        "logging",
    }
    assert unneeded.isdisjoint(found["modules"])


def test_the_errors_are_also_the_standard_ones() -> None:
    from concurrent.futures.process import BrokenProcessPool
    from pickle import PicklingError

    from cotality.parallel import errors

    assert issubclass(errors.TaskTimeout, TimeoutError)
    assert issubclass(errors.WorkerDied, BrokenProcessPool)
    assert issubclass(errors.WorkerStartError, BrokenProcessPool)
    assert issubclass(errors.TransferError, PicklingError)
    for name in errors.__all__:
        assert getattr(errors, name).__module__ == "cotality.parallel.errors"
        assert name in (errors.__doc__ or "")
