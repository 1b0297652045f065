"""What a run of a workflow would do, told without running anything."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from cotality.parallel import Capabilities, Limit, Mapped, Task
from cotality.parallel.building import Durations, is_gathering, needs_of
from cotality.parallel.foreseeing import (
    can_send,
    capabilities_of,
    culprit,
    default_workers,
    lane_for,
    pickled_size,
    usable_cpus,
)
from cotality.workflow._foresight import Foreseen, foresee
from cotality.workflow._resumption import Resumption

MOST_PICKLED = 100
"""Of how many tasks of one name the arguments are pickled, to see whether they can be and how large they are."""


class Explanation:
    """What a run of a workflow would do, as ``Workflow.explain`` tells it; ``print`` shows it.

    Attributes:
        tasks: How many tasks there are, without those that maps will make.
        maps: How many maps.
        places: How many tasks of each name run on each backend, with those that maps will make as far as their lists
            are known.
        widths: How many tasks could run at once at each step, if there were workers enough; the longest path through
            the workflow has as many tasks as there are steps.
        sizes: The bytes of the largest arguments of each name, of tasks that are sent somewhere.
        workers: How many workers the workflow's own backend has; None for a pool, which only itself knows.
        workers_of: The same for each backend on which tasks run.
        seconds: How long the tasks on the longest path and all tasks together take, by what earlier runs of the same
            workflow have shown; None as long as that is not known of all.
        resumption: What is taken over from the journal, and why the rest runs; None without one.
        problems: What will fail, or can not go well, a line each.
        remarks: What is good to know.

    Example:
        >>> from cotality.workflow import Workflow, task
        >>> @task
        ... def half(number: int) -> float:
        ...     return number / 2
        >>> flow = Workflow("halves", max_workers=2)
        >>> _ = flow.add(half(6))
        >>> print(flow.explain())
        halves: 1 task, at most 1 at once, 1 one after another
          threads, 2 workers
            half × 1
    """

    def __init__(
        self,
        name: str,
        nodes: Sequence[Task[Any] | Mapped[Any]],
        backend: Any,
        max_workers: int | None,
        timeout: float | None,
        durations: Durations,
        journal: Any = None,
    ) -> None:
        self.name = name
        self._backend = backend
        tasks = [node for node in nodes if isinstance(node, Task) and not is_gathering(node)]
        mapped = {node: foresee(node, MOST_PICKLED) for node in nodes if isinstance(node, Mapped)}
        self.tasks: int = len(tasks)
        self.maps: int = len(mapped)
        self.places: dict[str, Counter[str]] = defaultdict(Counter)
        self.widths: list[int] = _widths(nodes, mapped)
        self.sizes: dict[str, int] = {}
        self.workers: int | None = max_workers or default_workers(backend)
        self.workers_of: dict[str, int | None] = {}
        self.problems: list[str] = []
        self.remarks: list[str] = []
        self._looked_at: Counter[str] = Counter()
        for task in tasks:
            self._look_at(task)
        for node, foreseen in mapped.items():
            self._look_at_map(node, foreseen)
        firsts = [(foreseen.tasks[0], foreseen.number or 0) for foreseen in mapped.values() if foreseen.tasks]
        self._look_at_limits([*((task, 1) for task in tasks), *firsts], timeout)
        self.seconds: tuple[float, float] | None = _seconds(nodes, mapped, durations)
        self.resumption: Resumption | None = None if journal is None else Resumption(nodes, journal)
        for problem in () if self.resumption is None else self.resumption.problems:
            self._add_problem(problem)
        if backend == "processes" and (self.workers or 0) > usable_cpus():
            self.remarks.append(f"{self.workers} processes share {usable_cpus()} processors")

    def _look_at(self, task: Task[Any], number: int = 1) -> None:
        place = lane_for(task, self._backend)
        where = place if isinstance(place, str) else type(place).__name__
        self.places[where][task.name] += number
        self.workers_of[where] = self.workers if place == self._backend else default_workers(place)
        able = self._look_at_place(where, place, task)
        if able is not None and not able.shares_objects and self._looked_at[task.name] < MOST_PICKLED:
            self._looked_at[task.name] += 1
            if not can_send(task.callback_function):
                self._add_problem(
                    f"{task.name} can not be sent to a process: {culprit(task.callback_function, 'its function')}"
                )
            self._look_at_arguments(task)

    def _look_at_map(self, mapped: Mapped[Any], foreseen: Foreseen) -> None:
        for problem in foreseen.problems:
            self._add_problem(f"the {mapped.name}: {problem}")
        for place, task in enumerate(foreseen.tasks):
            self._look_at(task, 1 if place else 1 + foreseen.more)
        if foreseen.number is None and not foreseen.problems:
            self.remarks.append(f"how many tasks the {mapped.name} makes is known only in the run")

    def _look_at_place(self, where: str, place: Any, task: Task[Any]) -> Capabilities | None:
        """What the place of a task can do; says so if the task asks for more."""
        try:
            able = capabilities_of(place)
        except (ImportError, OSError, ValueError) as error:
            self._add_problem(str(error))
            return None
        if able is not None and task.options.timeout is not None and not able.replaces:
            remark = f"on {where} a task that outlasts its timeout holds its worker until it ends: {task.name}"
            if remark not in self.remarks:
                self.remarks.append(remark)
        return able

    def _look_at_arguments(self, task: Task[Any]) -> None:
        wired = set(task.look())
        size = 0
        for place, value in [*enumerate(task.positional), *task.arguments.items()]:
            if place in wired:
                continue
            bytes_ = pickled_size(value)
            if bytes_ is None:
                self._add_problem(
                    f"{task.name} can not be sent to a process: {culprit(value, f'its argument {place}')}"
                )
            else:
                size += bytes_
        self.sizes[task.name] = max(size, self.sizes.get(task.name, 0))

    def _look_at_limits(self, tasks: Sequence[tuple[Task[Any], int]], timeout: float | None) -> None:
        used: Counter[Limit] = Counter()
        for task, count in tasks:
            used.update(dict.fromkeys(task.options.limits, count))
        for limit, number in used.items():
            if limit.concurrency is not None and number > limit.concurrency:
                self.remarks.append(
                    f"the limit {limit.name} lets {limit.concurrency:,} of {number:,} tasks run at once"
                )
            if limit.per_second is None:
                continue
            least = (-(-number // limit.starts) - 1) * limit.seconds
            told = f"the limit {limit.name} lets {number:,} tasks start within {least:,.0f} s at best"
            if timeout is not None and least > timeout:
                self.problems.append(f"{told}, and the run may take {timeout:g} s")
            elif least >= 1:
                self.remarks.append(told)

    def _add_problem(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def __str__(self) -> str:
        maps = f" and {self.maps:,} map{'s' * (self.maps > 1)}" if self.maps else ""
        lines = [
            f"{self.name}: {self.tasks:,} task{'s' * (self.tasks != 1)}{maps}, "
            f"at most {max(self.widths, default=0):,} at once, {len(self.widths):,} one after another"
        ]
        if self.seconds is not None:
            longest, all_ = self.seconds
            lines.append(f"  by earlier runs: {all_:.3g} s of work, {longest:.3g} s one after another")
        for where, names in self.places.items():
            workers = self.workers_of[where]
            lines.append(f"  {where}" + ("" if workers is None else f", {workers:,} worker{'s' * (workers != 1)}"))
            lines += [f"    {name} × {number:,}{self._size(name)}" for name, number in names.items()]
        lines += [] if self.resumption is None else [str(self.resumption)]
        lines += [f"  remark: {remark}" for remark in self.remarks]
        lines += [f"  problem: {problem}" for problem in self.problems]
        return "\n".join(lines)

    def _size(self, name: str) -> str:
        return f", arguments up to {self.sizes[name]:,} bytes" if name in self.sizes else ""

    def __repr__(self) -> str:
        return f"<Explanation of {self.name!r}: {self.tasks} tasks, {len(self.problems)} problems>"


def _widths(nodes: Sequence[Task[Any] | Mapped[Any]], mapped: dict[Mapped[Any], Foreseen]) -> list[int]:
    """How many tasks have as many before them on their longest path, for each such number; a map of whose items the
    number is not known counts as one."""
    steps: dict[Any, int] = {}
    for node in nodes:
        step = max((steps[need] for need in needs_of(node)), default=-1)
        # What only puts results together takes no step of its own.
        steps[node] = step if is_gathering(node) else step + 1
    widths: Counter[int] = Counter()
    for node, step in steps.items():
        known = mapped[node].number if isinstance(node, Mapped) else None
        widths[step] += 0 if is_gathering(node) else 1 if known is None else known
    return [widths[step] for step in range(len(widths))]


def _seconds(
    nodes: Sequence[Task[Any] | Mapped[Any]], mapped: dict[Mapped[Any], Foreseen], durations: Durations
) -> tuple[float, float] | None:
    """The seconds of the tasks on the longest path and of all tasks; None unless something is known of each."""
    longest: dict[Any, float] = {}
    all_ = 0.0
    for node in nodes:
        own, number = 0.0, 1
        if isinstance(node, Mapped):
            foreseen = mapped[node]
            if foreseen.number is None or not all(map(durations.know, foreseen.tasks)):
                return None
            own, number = max(map(durations.expected, foreseen.tasks), default=0.0), foreseen.number
        elif not is_gathering(node):
            if not durations.know(node):
                return None
            own = durations.expected(node)
        longest[node] = own + max((longest[need] for need in needs_of(node)), default=0.0)
        all_ += own * number
    return (max(longest.values()), all_) if all_ else None
