"""The workflow: tasks to be run together, with their dependencies."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack, cast, overload

from cotality.parallel import Mapped, Outcome, Reference, Task, WorkflowOptions
from cotality.parallel.building import (
    Durations,
    Execution,
    are_in_order,
    gather,
    in_order,
    is_expanding,
    needs_of,
    pack,
    unpack,
    warn,
)
from cotality.parallel.errors import ReferenceMisuse, UnknownTask
from cotality.workflow._drawing import Drawing
from cotality.workflow._explanation import Explanation
from cotality.workflow._factory import refuse_nodes
from cotality.workflow._options import checked_options
from cotality.workflow._run import Run
from cotality.workflow._streams import AsyncStream, Driver, Stream, running_loop

if TYPE_CHECKING:
    import asyncio

N = TypeVar("N", bound="Task[Any] | Mapped[Any]")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Workflow:
    """Collects tasks, finds out which needs which, and runs them.

    What is added can be read after a run, and so can a map that no task depends on. A workflow can be run any number of
    times; what a run comes to is kept by the run.

    Parameters:
        name: What it is called in logs and reports.
        options: ``backend``, ``max_workers``, ``failure``, ``raise_failures``, ``timeout``, ``window``; see
            :class:`~cotality.parallel.WorkflowOptions`. Each can be given anew to a run.

    Raises:
        TypeError, ValueError: an option that does not exist or can not have this value.

    Example:
        >>> from cotality.workflow import task
        >>> @task
        ... def fetch(number: int) -> str:
        ...     return "x" * number
        >>> @task
        ... def total(texts: list[str]) -> int:
        ...     return sum(map(len, texts))
        >>> flow = Workflow("texts")
        >>> texts = flow.map(fetch, [1, 2, 3])
        >>> length = flow.add(total(texts.outputs))
        >>> flow.run()[length]
        6
    """

    def __init__(self, name: str = "workflow", **options: Unpack[WorkflowOptions]) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError("the name of a workflow must be a text that is not empty")
        self.name = name
        self._options = checked_options(options)
        self._nodes: dict[Task[Any] | Mapped[Any], None] = {}
        self._kept: dict[Task[Any] | Mapped[Any], None] = {}
        self._maps: dict[Mapped[Any], None] = {}
        self._durations = Durations()

    # Building --------------------------------------------------------------------------------------------------------

    def add(self, node: N, /, *more: Task[Any] | Mapped[Any]) -> N:
        """Add a task, with everything that it needs, and keep its result.

        Parameters:
            node: The task, or a map.
            more: Others to be added as well.

        Returns:
            ``node``.

        Raises:
            CycleError: tasks wait for each other in a circle.
            TypeError: something that is neither a task nor a map.
        """
        given = (node, *more)
        for each in given:
            if not isinstance(each, (Task, Mapped)):
                raise _no_node(each)
        self._collect(given, self._kept)
        return node

    def _collect(self, nodes: Sequence[Task[Any] | Mapped[Any]], readable: dict[Any, None]) -> None:
        # What the function of a map makes belongs to the run that calls it: the next one makes its own.
        if not is_expanding(self._nodes):
            self._nodes.update(dict.fromkeys(in_order(nodes, known=self._nodes)))
            readable.update(dict.fromkeys(nodes))

    @overload
    def map(self, function: Callable[[A], Task[Coroutine[Any, Any, R]]], first: Iterable[A], /) -> Mapped[R]: ...
    @overload
    def map(self, function: Callable[[A], Task[R]], first: Iterable[A], /) -> Mapped[R]: ...
    @overload
    def map(self, function: Callable[[A], Mapped[R]], first: Iterable[A], /) -> Mapped[list[R]]: ...
    @overload
    def map(
        self, function: Callable[[A, B], Task[Coroutine[Any, Any, R]]], first: Iterable[A], second: Iterable[B], /
    ) -> Mapped[R]: ...
    @overload
    def map(self, function: Callable[[A, B], Task[R]], first: Iterable[A], second: Iterable[B], /) -> Mapped[R]: ...
    @overload
    def map(
        self, function: Callable[[A, B], Mapped[R]], first: Iterable[A], second: Iterable[B], /
    ) -> Mapped[list[R]]: ...
    @overload
    def map(
        self,
        function: Callable[[A, B, C], Task[Coroutine[Any, Any, R]]],
        first: Iterable[A],
        second: Iterable[B],
        third: Iterable[C],
        /,
    ) -> Mapped[R]: ...
    @overload
    def map(
        self, function: Callable[[A, B, C], Task[R]], first: Iterable[A], second: Iterable[B], third: Iterable[C], /
    ) -> Mapped[R]: ...
    @overload
    def map(
        self, function: Callable[[A, B, C], Mapped[R]], first: Iterable[A], second: Iterable[B], third: Iterable[C], /
    ) -> Mapped[list[R]]: ...
    @overload
    def map(
        self,
        function: Callable[[A, B, C, D], Task[Coroutine[Any, Any, R]]],
        first: Iterable[A],
        second: Iterable[B],
        third: Iterable[C],
        fourth: Iterable[D],
        /,
    ) -> Mapped[R]: ...
    @overload
    def map(
        self,
        function: Callable[[A, B, C, D], Task[R]],
        first: Iterable[A],
        second: Iterable[B],
        third: Iterable[C],
        fourth: Iterable[D],
        /,
    ) -> Mapped[R]: ...
    @overload
    def map(
        self,
        function: Callable[[A, B, C, D], Mapped[R]],
        first: Iterable[A],
        second: Iterable[B],
        third: Iterable[C],
        fourth: Iterable[D],
        /,
    ) -> Mapped[list[R]]: ...
    def map(self, function: Callable[..., Any], /, *iterables: Any) -> Mapped[Any]:
        """A task for each item of a list, also of one that is only known when the run has come to it.

        Parameters:
            function: Called with an item, or one of each iterable; gives the task for it: a ``@task``, or a lambda that
                calls one. If it gives a map, its results are a list for each item.
            iterables: What to go through together: lists, iterators, ``task.output`` where a list will be, or another
                map's ``outputs``, which is gone through item by item. They must be of equal length. An iterator is used
                up by the first run.

        Returns:
            The map; give its ``outputs`` to other tasks.

        Raises:
            TypeError: something that can not be gone through.

        Example:
            >>> from cotality.workflow import task
            >>> @task
            ... def words(text: str) -> list[str]:
            ...     return text.split()
            >>> @task
            ... def length(word: str) -> int:
            ...     return len(word)
            >>> flow = Workflow()
            >>> lengths = flow.map(length, words("a bc def").output)
            >>> flow.run()[lengths]
            [1, 2, 3]
        """
        mapped: Mapped[Any] = Mapped(function, iterables)
        self._collect((mapped,), self._maps)
        return mapped

    def gather(self, *outputs: *Ts) -> Task[tuple[*Ts]]:
        """A task whose result is the tuple of these outputs; it is added, so that it can be read.

        Parameters:
            outputs: Outputs of tasks, or anything that holds some.

        Example:
            >>> from cotality.workflow import task
            >>> @task
            ... def double(number: int) -> int:
            ...     return 2 * number
            >>> flow = Workflow()
            >>> both = flow.gather(double(1).output, double(2).output)
            >>> flow.run()[both]
            (2, 4)
        """
        refuse_nodes(outputs)
        return self.add(cast("Task[tuple[*Ts]]", gather(*outputs)))

    # Looking ---------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many tasks and maps there are, those included that others need."""
        return len(self._nodes)

    def __iter__(self) -> Iterator[Task[Any] | Mapped[Any]]:
        """The tasks and maps, each behind what it needs."""
        return iter(self._ordered())

    def _ordered(self) -> list[Task[Any] | Mapped[Any]]:
        """All nodes, each behind what it needs; edges may have been made by ``after`` since they were added."""
        nodes = list(self._nodes)
        late = [node for node in nodes if node.predecessors]
        return in_order(nodes) if late and not are_in_order(nodes) else nodes

    def __contains__(self, node: object) -> bool:
        return node in self._nodes

    def __repr__(self) -> str:
        return f"<Workflow {self.name!r} of {len(self)} tasks>"

    def draw(self, *, fold: bool | None = None) -> Drawing:
        """A picture of what needs what, before anything runs.

        Parameters:
            fold: Whether tasks of one name are drawn as one; None: if there are more than 50 nodes.

        Returns:
            The picture, as Mermaid, DOT or SVG; a notebook shows it.

        Raises:
            CycleError: tasks wait for each other in a circle.
        """
        return Drawing(self._ordered(), fold=fold)

    def explain(self, **options: Unpack[WorkflowOptions]) -> Explanation:
        """What a run would do: what runs where, how wide and how long the workflow is, and what will not go well, such
        as an argument that can not be sent to a process; with a journal also what it takes over from there. Nothing
        runs, no worker is started, and nothing is written.

        Parameters:
            options: As for :meth:`run`.

        Returns:
            What there is to say, which ``print`` shows.

        Raises:
            CycleError: tasks wait for each other in a circle.
        """
        settings = self._settings(options)
        backend = settings.get("backend", "threads")
        workers, timeout, journal = settings.get("max_workers"), settings.get("timeout"), settings.get("journal")
        return Explanation(self.name, self._ordered(), backend, workers, timeout, self._durations, journal)

    def __reduce__(self) -> Any:
        # Flat, whatever waits for what: a chain of tasks may be long.
        nodes = self._ordered()
        kept, maps = ([place for place, node in enumerate(nodes) if node in some] for some in (self._kept, self._maps))
        return _rebuilt, (self.name, self._options, pack(nodes), kept, maps)

    # Running ---------------------------------------------------------------------------------------------------------

    def run(self, **options: Unpack[WorkflowOptions]) -> Run:
        """Run everything, and come back when it is over.

        Parameters:
            options: On top of the workflow's own; see :class:`~cotality.parallel.WorkflowOptions`.

        Returns:
            The run, which results are read from, as ``run[task]``.

        Raises:
            Exception: what :meth:`Run.raise_failures` raises, unless ``raise_failures=False``.
            CycleError: tasks wait for each other in a circle; nothing has run.
        """
        settings = self._settings(options)
        run, execution = self._open(settings)
        execution.finish()
        return self._conclude(run, settings)

    def stream(
        self, *wanted: Task[Any] | Mapped[Any], ordered: bool = True, **options: Unpack[WorkflowOptions]
    ) -> Stream:
        """Run everything, and be given the outcomes of tasks, and of the items of maps, as they come.

        Nothing starts before the first is asked for. A slow consumer stops the maps.

        Parameters:
            wanted: The tasks and maps to be told of; none: all that are kept. Their results are handed out, not kept.
            ordered: Whether outcomes come in the order of the plan, a map's items where the map stands, or as they
                come.
            options: On top of the workflow's own.

        Raises:
            Exception: as :meth:`run`, when the last outcome has been handed out.
            UnknownTask: a task that is not in this workflow.
        """
        settings = self._settings(options)
        run, execution = self._open(settings, self._wanted(wanted), ordered=ordered)
        return Stream(run, self._outcomes(run, execution, settings))

    async def arun(self, **options: Unpack[WorkflowOptions]) -> Run:
        """As :meth:`run`, for who awaits it: coroutines run on the caller's event loop, which is never held up.

        Cancelling the caller cancels the run.

        Parameters:
            options: On top of the workflow's own.

        Returns:
            As :meth:`run`.

        Raises:
            Exception: as :meth:`run`.
        """
        settings = self._settings(options)
        run, execution = self._open(settings, event_loop=running_loop())
        driver = Driver(run.cancel)
        try:
            await driver.call(execution.finish)
        finally:
            driver.end()
        return self._conclude(run, settings)

    def astream(
        self, *wanted: Task[Any] | Mapped[Any], ordered: bool = True, **options: Unpack[WorkflowOptions]
    ) -> AsyncStream:
        """As :meth:`stream`, for ``async for``: coroutines run on the caller's event loop, which is never held up.

        Parameters:
            wanted: As for :meth:`stream`.
            ordered: As for :meth:`stream`.
            options: On top of the workflow's own.

        Raises:
            RuntimeError: no event loop is running.
            Exception: as :meth:`stream`.
        """
        settings = self._settings(options)
        loop = running_loop()
        run, execution = self._open(settings, self._wanted(wanted), ordered=ordered, event_loop=loop)
        return AsyncStream(run, self._outcomes(run, execution, settings))

    def _settings(self, options: WorkflowOptions) -> WorkflowOptions:
        return {**self._options, **checked_options(options)}

    def _open(
        self,
        settings: WorkflowOptions,
        wanted: Sequence[Task[Any] | Mapped[Any]] | None = None,
        *,
        ordered: bool = True,
        event_loop: asyncio.AbstractEventLoop | None = None,
    ) -> tuple[Run, Execution]:
        nodes = self._ordered()
        if not nodes:
            warn("run.empty", "the workflow has no tasks: add some", workflow=self.name)
        chosen = None if wanted is None else set(wanted)
        engine: dict[str, Any] = {key: value for key, value in settings.items() if key != "raise_failures"}
        execution = Execution(
            nodes,
            kept=self._readable(nodes),
            wanted=None if chosen is None else [node for node in nodes if node in chosen],
            ordered=ordered,
            durations=self._durations,
            event_loop=event_loop,
            name=self.name,
            **engine,
        )
        return Run(execution, self.name, fail_fast=settings.get("failure", "fail_fast") == "fail_fast"), execution

    def _readable(self, nodes: Iterable[Task[Any] | Mapped[Any]]) -> set[Task[Any] | Mapped[Any]]:
        """What was added, and the maps on which nothing depends."""
        kept = set(self._kept)
        if self._maps:
            needed = {need for node in nodes for need in needs_of(node)}
            kept.update(mapped for mapped in self._maps if mapped not in needed)
        return kept

    def _wanted(self, wanted: Sequence[Task[Any] | Mapped[Any]]) -> Sequence[Task[Any] | Mapped[Any]]:
        given: Any
        for given in wanted:
            if isinstance(given, Reference):
                raise ReferenceMisuse(f"{given!r} was given where its task belongs: pass the task itself")
        for node in wanted:
            if node not in self._nodes:
                raise UnknownTask(f"{getattr(node, 'name', node)!s} is not part of the workflow {self.name!r}")
        return wanted or tuple(self._readable(self._nodes))

    def _outcomes(
        self, run: Run, execution: Execution, settings: WorkflowOptions
    ) -> Generator[Outcome[Any], None, None]:
        yield from execution.outcomes()
        self._conclude(run, settings)

    def _conclude(self, run: Run, settings: WorkflowOptions) -> Run:
        if settings.get("raise_failures", True):
            run.raise_failures()
        return run


def _no_node(given: object) -> TypeError:
    """The error of what was added and is neither a task nor a map."""
    if isinstance(given, Reference):
        return ReferenceMisuse(f"{given!r} was added: add the task itself")
    return TypeError(f"a workflow collects tasks and maps, not {type(given).__name__}: call a @task to make one")


def _rebuilt(name: str, options: WorkflowOptions, packed: Any, kept: Sequence[int], maps: Sequence[int]) -> Workflow:
    """A workflow from its pickle."""
    flow = Workflow(name, **options)
    nodes: list[Any] = unpack(packed)
    flow._nodes = dict.fromkeys(nodes)
    flow._kept = dict.fromkeys(nodes[place] for place in kept)
    flow._maps = dict.fromkeys(nodes[place] for place in maps)
    return flow
