"""One random workflow, run and compared: by simulated workers, or by real ones."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Sequence
from random import Random
from threading import Thread
from typing import Any

import cloudpickle

from cotality.parallel import Outcome
from cotality.workflow import Run
from tests.fuzz import compare, simulated
from tests.fuzz.programs import Made, Program
from tests.unit.graph_engine import plan_of

Runner = Callable[["Trial"], None]


def by_simulated_workers(seed: int, size: int) -> None:
    """A program in an order of ends that chance decides."""
    chance = Random(seed)
    backends = chance.choice([("threads",), ("processes",), ("threads", "processes", "serial")])
    program = Program(chance, size, backends, failing=chance.random() < 0.6)
    wanted = chance.sample(program.made, chance.randint(0, len(program.made))) if chance.random() < 0.4 else None
    ordered = chance.random() < 0.5
    program.finish()
    nodes = list(program.flow)
    plan = plan_of(
        *nodes,
        kept=[made.node for made in program.made if made.kept],
        wanted=None if wanted is None else [made.node for made in wanted],
        ordered=ordered,
    )
    handed = simulated.run(plan, chance)
    if wanted is None:
        compare.check_states(program.made, plan)
        compare.check_kept(program.made, plan)
    elif not program.uses_outer:
        # What a stream hands out is not kept for what a map wires to it.
        compare.check_states(program.made, plan)
        compare.check_handed(handed, in_order(wanted, nodes), ordered=ordered)
    compare.check_uses(plan)


def by_real_workers(seed: int, size: int, backends: Sequence[str] = ("threads", "serial")) -> None:
    """A program run in one of the ways that there are."""
    Trial(Random(seed), seed, size, backends).run()


def in_order(wanted: list[Made], nodes: list[Any]) -> list[Made]:
    """In the order of the plan."""
    places = {node: place for place, node in enumerate(nodes)}
    return sorted(wanted, key=lambda made: places[made.node])


class Trial:
    """A program and the options of its run.

    Parameters:
        chance: Decides.
        seed: Its name.
        size: How many tasks and maps it has at most.
        backends: What its tasks may name.
    """

    def __init__(self, chance: Random, seed: int, size: int, backends: Sequence[str]) -> None:
        self.chance = chance
        how: Runner = chance.choice([_run, _arun, _stream, _astream, _twice, _at_once, _pickled])
        self.how = how
        # Processes do not count in the caller's memory, and neither can two runs at once.
        counts = "processes" not in backends and how not in (_twice, _at_once)
        key = f"{seed}" if counts and chance.random() < 0.6 else ""
        self.program = Program(chance, size, (None, *backends), failing=chance.random() < 0.6, key=key)
        self.program.finish()
        self.nodes = list(self.program.flow)
        self.strict = chance.random() < 0.7
        self.options: dict[str, Any] = {
            "backend": chance.choice(backends),
            "window": chance.choice([None, 1, 2, 5]),
            "max_workers": chance.choice([1, 2, 4]),
            "raise_failures": False,
            "failure": "finish" if self.strict else chance.choice(["fail_fast", 1, 3, 0.3]),
        }

    def run(self) -> None:
        self.how(self)

    def check(self, run: Run) -> None:
        execution = run._execution
        if not self.strict:
            compare.check_successes(self.program.made, execution.plan)
            return
        assert run.error is None
        compare.check_states(self.program.made, execution.plan)
        compare.check_kept(self.program.made, execution.plan)
        compare.check_uses(execution.plan)

    def wanted(self) -> tuple[list[Made], bool, int | None]:
        """What a stream is asked for, in which order, and when it is left."""
        chance = self.chance
        wanted = in_order(chance.sample(self.program.made, chance.randint(1, len(self.program.made))), self.nodes)
        return wanted, chance.random() < 0.5, chance.randint(1, 6) if chance.random() < 0.2 else None

    def check_stream(
        self, run: Run, handed: list[Outcome[Any]], wanted: list[Made], *, ordered: bool, whole: bool
    ) -> None:
        if self.strict and whole and not self.program.uses_outer:
            compare.check_handed(handed, wanted, ordered=ordered)
            compare.check_states(self.program.made, run._execution.plan)
        indices = [outcome.index for outcome in handed]
        assert len(indices) == len(set(indices))


def _run(trial: Trial) -> None:
    trial.check(trial.program.flow.run(**trial.options))


def _arun(trial: Trial) -> None:
    trial.check(asyncio.run(trial.program.flow.arun(**trial.options)))


def _twice(trial: Trial) -> None:
    """Iterators can be gone through once."""
    count = len(trial.program.flow)
    for _ in range(1 if trial.program.goes_once else 2):
        _run(trial)
        assert len(trial.program.flow) == count


def _at_once(trial: Trial) -> None:
    if trial.program.goes_once:
        return _run(trial)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            _run(trial)
        except BaseException as error:
            errors.append(error)

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error
    return None


def _pickled(trial: Trial) -> None:
    program = trial.program
    if not program.goes_once:
        nodes, known = [made.node for made in program.made], program.made
        program.flow, nodes = pickle.loads(cloudpickle.dumps((program.flow, nodes)))
        program.made = [Made(node, made.expected, made.kept) for node, made in zip(nodes, known, strict=True)]
    _run(trial)


def _stream(trial: Trial) -> None:
    wanted, ordered, most = trial.wanted()
    handed: list[Outcome[Any]] = []
    nodes = [made.node for made in wanted]
    with trial.program.flow.stream(*nodes, ordered=ordered, **trial.options) as outcomes:
        for outcome in outcomes:
            handed.append(outcome)
            if len(handed) == most:
                break
    trial.check_stream(outcomes.run, handed, wanted, ordered=ordered, whole=most is None)


def _astream(trial: Trial) -> None:
    wanted, ordered, most = trial.wanted()
    handed: list[Outcome[Any]] = []
    nodes = [made.node for made in wanted]

    async def read() -> Run:
        async with trial.program.flow.astream(*nodes, ordered=ordered, **trial.options) as outcomes:
            async for outcome in outcomes:
                handed.append(outcome)
                if len(handed) == most:
                    break
        return outcomes.run

    run = asyncio.run(read())
    trial.check_stream(run, handed, wanted, ordered=ordered, whole=most is None)
