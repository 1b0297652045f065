"""The task: one planned call."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

from cotality.parallel._data.outcome import Outcome
from cotality.parallel._data.reference import OUTCOME, Place, Reference, Wire, Wired, alive, weave, wires_in
from cotality.parallel._data.task_options import DEFAULTS, Options

# Covariant, so that a task of an ``async def`` is a ``Task[Coroutine[...]]``, which the reads below take apart,
# whatever a checker takes its coroutines for (pyright: CoroutineType).
R = TypeVar("R", covariant=True)
S = TypeVar("S")
T = TypeVar("T")


class _Output:
    """``task.output``: at run time a placeholder, for a type checker the result; of a coroutine, what it will give."""

    @overload
    def __get__(self, task: Task[Coroutine[Any, Any, T]], owner: type) -> T: ...
    @overload
    def __get__(self, task: Task[T], owner: type) -> T: ...
    def __get__(self, task: Any, owner: type) -> Any:
        """A reference to the future result, to be given to another task."""
        return self if task is None else Reference(task)


class _Outcome:
    """``task.outcome``, likewise."""

    @overload
    def __get__(self, task: Task[Coroutine[Any, Any, T]], owner: type) -> Outcome[T]: ...
    @overload
    def __get__(self, task: Task[T], owner: type) -> Outcome[T]: ...
    def __get__(self, task: Any, owner: type) -> Any:
        """A reference to what the task comes to. Who takes it waits for the end and is never skipped."""
        return self if task is None else Reference(Wire(task, OUTCOME))


class Absent:
    """An attribute that is not there, whose error says what is. Type checkers know of themselves that it is not.

    A ``__getattr__`` would make all other attributes slower.

    Parameters:
        hint: What is there.
    """

    def __init__(self, hint: str) -> None:
        self._hint = hint

    def __get__(self, instance: object, owner: type) -> Any:
        raise AttributeError(self._hint)


@dataclass(eq=False, repr=False, slots=True, weakref_slot=True)
class Task(Generic[R]):
    """One planned call that will give an ``R``: a function and its arguments.

    Identity, not value, makes a task: two tasks with equal fields are two tasks, and one task that is
    given forty times runs forty times. A run never changes a task.

    Parameters:
        callback_function: What to call.
        arguments: Its keyword arguments, by name.
        positional: Its positional arguments, for ``*args`` and positional-only parameters.
        options: What a workflow is to do with it; what ``@task`` makes of its options.

    Raises:
        TypeError: the function is not callable, or the arguments are not a mapping with string keys.

    Example:
        >>> Task(callback_function=divmod, arguments={}, positional=(7, 2))
        <Task divmod(*2)>
        >>> Task(sorted, {"reverse": True}).name
        'sorted'
    """

    __node__: ClassVar[bool] = True

    callback_function: Callable[..., R]
    arguments: Mapping[str, Any]
    _: KW_ONLY
    positional: tuple[Any, ...] = ()
    options: Options = DEFAULTS
    checked: Callable[..., R] | None = field(default=None, init=False)
    """What is called instead when arguments come from other tasks: checks them, and calls the function."""
    wired: Wired | None = field(default=None, init=False)
    """Which arguments hold wires; None as long as nobody has looked. Those of a task that ``@task`` has made hold them
    in ``arguments`` and ``positional``. A backend gets one that is still wired behind the task that makes what is
    missing; see :class:`Call`."""
    predecessors: tuple[Any, ...] = field(default=(), init=False)

    output: ClassVar[_Output] = _Output()
    outcome: ClassVar[_Outcome] = _Outcome()
    if not TYPE_CHECKING:
        outputs = outcomes = Absent("a task has .output and .outcome")

    def __post_init__(self) -> None:
        if not callable(self.callback_function):
            raise TypeError(
                f"callback_function must be callable, not {type(self.callback_function).__name__}: "
                "pass the function itself, not the result of calling it"
            )
        if type(self.arguments) is not dict and not isinstance(self.arguments, Mapping):
            raise TypeError(
                f"the arguments of {self.name} must be a mapping from parameter names to values, "
                f"not {type(self.arguments).__name__}"
            )
        for key in self.arguments:
            if type(key) is not str and not isinstance(key, str):
                raise TypeError(
                    f"the arguments of {self.name} must be keyed by strings, found a key of type {type(key).__name__}"
                )
        if type(self.positional) is not tuple:
            raise TypeError(f"positional of {self.name} must be a tuple, not {type(self.positional).__name__}")

    @staticmethod
    def bound(
        function: Callable[..., S],
        arguments: dict[str, Any],
        positional: tuple[Any, ...],
        options: Options,
        checked: Callable[..., S] | None,
        wired: Wired,
    ) -> Task[S]:
        """A task whose arguments are known to be right, and whose references are wires: what ``@task`` makes.

        It skips the checks, as this is done for each of a million tasks.

        Parameters:
            function: What to call.
            arguments: Its keyword arguments, by name.
            positional: Its positional arguments.
            options: What a workflow is to do with it.
            checked: What is called instead when arguments come from other tasks.
            wired: Which arguments hold wires.
        """
        task: Task[S] = object.__new__(Task)
        task.callback_function = function
        task.arguments = arguments
        task.positional = positional
        task.options = options
        task.checked = checked
        task.wired = wired
        task.predecessors = ()
        return task

    @property
    def name(self) -> str:
        """The name of the function, as logs and errors show it; or the one that its options give."""
        return self.options.name or name_of(self.callback_function)

    def after(self, *others: Any) -> Task[R]:
        """Start only when these tasks and maps have succeeded, though nothing of theirs is needed.

        Changes the task and gives it back. If one of them fails, this task is skipped.

        Parameters:
            others: Tasks, or what ``Workflow.map`` has returned.

        Raises:
            TypeError: something that is neither.

        Example:
            >>> setup = Task(print, {})
            >>> Task(print, {}).after(setup)
            <Task print()>
        """
        check_nodes(self.name, others)
        self.predecessors += others
        return self

    def look(self) -> Wired:
        """Which arguments hold wires; for those of a task that ``@task`` has not made it is found now."""
        if self.wired is None:
            places: list[tuple[Place, Any]] = [*self.arguments.items(), *enumerate(self.positional)]
            woven = [(place, weave(value)) for place, value in places] if alive else []
            self.wired = {place: template for place, (template, wires) in woven if wires} or ()
        return self.wired

    def sources(self) -> list[Any] | None:
        """Whose results it takes, where each of its wires is an argument of its own and stands for all that a task or a
        map gives; in the order of those arguments. None if there are other wires."""
        wired = self.look() if self.wired is None else self.wired
        if not wired:
            return []
        if type(wired) is dict:
            wires = [template for template in wired.values() if type(template) is Wire and template.is_whole]
            return [wire.task for wire in wires] if len(wires) == len(wired) else None
        arguments, positional = self.arguments, self.positional
        if len(wired) == 1:
            (place,) = wired
            return [positional[place] if type(place) is int else arguments[place]]  # type: ignore[index]
        return [positional[place] if type(place) is int else arguments[place] for place in wired]  # type: ignore[index]

    def wiring(self) -> list[tuple[Place, Any]]:
        """The arguments that hold wires, and what each holds."""
        wired = self.look()
        if isinstance(wired, dict):
            return list(wired.items())
        return list(zip(wired, map(Wire, self.sources() or ()), strict=True))

    def wires(self) -> list[Wire]:
        """Every wire among the arguments."""
        return [wire for _place, template in self.wiring() for wire in wires_in(template)]

    def __repr__(self) -> str:
        # Names only: a value may be a secret, or ten thousand lines long.
        shown = [f"*{len(self.positional)}"] if self.positional else []
        shown += [f"{key}=…" for key in self.arguments]
        return f"<Task {self.name}({', '.join(shown)})>"


def is_gathering(node: Any) -> bool:
    """Whether a node only puts results together, which nobody counts as a task."""
    return type(node) is Task and node.callback_function is gathered


def gathered(*values: Any) -> tuple[Any, ...]:
    """The function of tasks that only put results together. No backend is asked for it."""
    return values


def gather(*outputs: Any) -> Task[tuple[Any, ...]]:
    """A task whose result is the tuple of these outputs."""
    return Task(gathered, {}, positional=outputs)


class Call:
    """A task as a backend gets it, with values where it has wires.

    Parameters:
        task: The task.
        callback_function, positional, arguments: What to call, and with what.
    """

    __slots__ = ("arguments", "callback_function", "positional", "sealed", "task", "wired")

    def __init__(
        self,
        task: Task[Any],
        callback_function: Callable[..., Any],
        positional: tuple[Any, ...],
        arguments: Mapping[str, Any],
    ) -> None:
        self.task: Task[Any] = task
        self.callback_function: Callable[..., Any] = callback_function
        self.positional: tuple[Any, ...] = positional
        self.arguments: Mapping[str, Any] = arguments
        self.wired: tuple[Place, ...] = ()
        """Which arguments the task before it in its batch gives, so that it can not run anywhere else. What stands
        there is nothing."""
        self.sealed: bool = False
        """Whether nobody but other workers needs the result, so that it need not be opened here."""

    @property
    def name(self) -> str:
        return self.task.name


def task_of(call: Task[Any] | Call) -> Task[Any]:
    """The task that a call was made of."""
    return call.task if isinstance(call, Call) else call


def called_by(call: Task[Any] | Call) -> Callable[..., Any]:
    """The function that a backend calls for it: where an argument comes from another task, what checks it first."""
    if type(call) is Task and call.wired:
        return call.checked or call.callback_function
    return call.callback_function


Task.__module__ = "cotality.parallel"


def check_nodes(name: str, others: tuple[Any, ...]) -> None:
    """Raise unless all that something of this name is to come after are tasks or maps."""
    for other in others:
        if not getattr(type(other), "__node__", False):
            hint = ": pass the task itself" if type(other) is Reference else ""
            raise TypeError(f"{name} can only come after tasks and maps, not {type(other).__name__}{hint}")


def name_of(function: Callable[..., Any]) -> str:
    """What to call a callable in a message: its qualified name, or that of what it wraps, or its type's."""
    for _ in range(8):
        name = getattr(function, "__qualname__", None)
        if isinstance(name, str):
            return name.replace("<locals>.", "")
        inner = getattr(function, "func", None)
        if inner is None:
            break
        function = inner
    return type(function).__qualname__
