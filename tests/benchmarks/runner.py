"""Fresh processes, the order of the rounds, statistics."""

from __future__ import annotations

import compileall
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from tests.benchmarks.case import Case, Figure
from tests.benchmarks.peers import Peer

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 120.0
"""How long one measurement may take before it counts as hanging."""
_DISTRIBUTIONS = (
    "joblib",
    "loky",
    "mpire",
    "Pebble",
    "numpy",
    "dask",
    "distributed",
    "ray",
    "parsl",
    "prefect",
    "redun",
)


@dataclass(frozen=True)
class Summary:
    """One figure over the rounds."""

    median: float
    least: float
    most: float


@dataclass
class Row:
    """One peer's part in a case: what its rounds gave, and why there is nothing where a round failed."""

    peer: type[Peer]
    rounds: list[dict[str, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def summary(self, figure: Figure) -> Summary | None:
        values = [measured[figure.key] for measured in self.rounds]
        return Summary(statistics.median(values), min(values), max(values)) if values else None


@dataclass
class Result:
    """A case and its rows."""

    case: Case
    quick: bool
    rows: list[Row]

    @property
    def title(self) -> str:
        """The case's title, with what this run's size makes of it."""
        text = self.case.title
        if "{" not in text:
            return text
        before, _, rest = text.partition("{")
        choice, _, after = rest.partition("}")
        return before + choice.split("|")[self.quick] + after


def compile_ours() -> None:
    """Leave the bytecode of a checkout on disk, as an installer does for the peers: imports are measured with it."""
    compileall.compile_dir(ROOT / "src", quiet=1)


def run_case(case: Case, *, quick: bool, tell: Callable[[str], None]) -> Result:
    """All rounds of a case, each over all peers that are installed, each beginning with the next peer."""
    rows = [Row(peer) for peer in case.taking_part(quick=quick)]
    for number in range(case.rounds[quick]):
        start = number % len(rows)
        for row in rows[start:] + rows[:start]:
            tell(f"{case.name}, round {number + 1} of {case.rounds[quick]}: {case.label(row.peer)}")
            try:
                row.rounds.append(_measure(case, row.peer, number, quick=quick))
            except MeasurementFailed as failure:
                row.errors.append(str(failure))
                tell(f"  {failure}")
    return Result(case, quick, rows)


class MeasurementFailed(Exception):
    """A measurement gave no figures."""


def _measure(case: Case, peer: type[Peer], number: int, *, quick: bool) -> dict[str, float]:
    # Otherwise ours, changed since it was last compiled, might be compiled by each measurement anew.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        file, log = Path(folder, "figures.json"), Path(folder, "log")
        command = [sys.executable, "-m", "tests.benchmarks.measure", case.name, peer.__name__, str(number), str(file)]
        with log.open("w") as output:
            # What it prints goes to a file: a worker that it leaves behind would keep a pipe open.
            process = subprocess.Popen(
                command + ["--quick"] * quick,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        ended = _wait(process)
        if file.exists():
            figures: dict[str, float] = json.loads(file.read_text())
            return figures
        if not ended:
            raise MeasurementFailed(f"hangs: no result within {PATIENCE_SECONDS:.0f} s")
        last = log.read_text(errors="replace").strip().rpartition("\n")[2]
        raise MeasurementFailed(f"ends with code {process.returncode}: {last}")


def _wait(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process ends in time; it and whatever it has left in its session are gone afterwards."""
    try:
        process.wait(PATIENCE_SECONDS)
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def left_out(cases: Sequence[Case]) -> list[str]:
    """The libraries that would take part and are not installed."""
    peers = {peer for case in cases for peer in case.peers}
    return sorted({peer.library for peer in peers if not peer.installed()})


def surroundings() -> str:
    """What the figures depend on: the machine, Python, the libraries."""
    versions = [f"{name} {version}" for name in _DISTRIBUTIONS if (version := _version(name))]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{_processor()}, {os.cpu_count()} processors, {platform.system()}; {python}; {', '.join(versions)}"


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
