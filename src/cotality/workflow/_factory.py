"""``@task``: from a function to a factory of tasks."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, Unpack, overload

from cotality.parallel import Mapped, Reference, Task, TaskOptions
from cotality.parallel.building import (
    ATOMS,
    DEFAULTS,
    Options,
    Place,
    Wire,
    Wired,
    alive,
    let_be_made_anew,
    source_of,
    weave,
    wire_of,
)
from cotality.parallel.errors import ArgumentError, ReferenceMisuse
from cotality.workflow._binder import Binder, Bound
from cotality.workflow._hints import UNKNOWN, describe, fits, fits_fully, misfit

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
S = TypeVar("S")
Q = ParamSpec("Q")

_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})


class _Core(Generic[R]):
    """What all factories of one function share.

    Attributes:
        function: The user's function.
        checked: The same, but it checks its arguments: called with what other tasks have given.
        fully: The same, looking at everything in the built-in containers.
    """

    def __init__(self, function: Callable[..., R]) -> None:
        self.function = function
        # Each is found in a worker by the function's name and the chain of what it wraps, or made of the function.
        self.checked: Callable[..., R] = self._checking(function, full=False)
        self.fully: Callable[..., R] = self._checking(self.checked, full=True)
        self._binder: Binder | None = None
        self.fitting: dict[tuple[int, Place], Any] = {}
        """Whose results are known to fit which argument."""

    @property
    def binder(self) -> Binder:
        if self._binder is None:
            self._binder = Binder(self.function)
        return self._binder

    def _checking(self, wrapped: Callable[..., Any], *, full: bool) -> Callable[..., R]:
        @functools.wraps(wrapped)
        def checked(*args: Any, **kwargs: Any) -> R:
            bound: Bound | None = None
            try:
                bound = self.binder.checked(*args, **kwargs)
            except Exception:
                # As when a task is made: nothing may be raised here.
                pass
            if bound is None:
                bound = self.explain(args, kwargs)
            if full:
                self.check_fully(*bound)
            return self.function(*args, **kwargs)

        let_be_made_anew(checked, _fully_checked if full else _checked, self.function)
        return checked

    def bind_unchecked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bound:
        """The arguments of a call, whatever their types.

        Raises:
            ArgumentError: one is missing or too many.
        """
        try:
            return self.binder.unchecked(*args, **kwargs)
        except TypeError as error:
            problem = str(error)
        raise ArgumentError(f"in task {self.binder.name}: {problem}")

    def explain(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bound:
        """Say what is wrong with the arguments; gives them if it is only that references are among them.

        Raises:
            ArgumentError: one is missing, too many, or of the wrong type.
        """
        arguments, positional = self.bind_unchecked(args, kwargs)
        places: list[tuple[str | int, Any]] = [*arguments.items(), *enumerate(positional)]
        for place, value in places:
            hint = self.binder.hint_at(place)
            refuse_nodes([value])
            if type(value) is Reference:
                continue
            template = weave(value)[0] if alive else value
            # A reference must not be taken for a value: it refuses to be looked at.
            if template is value and fits(value, hint):
                continue
            found = misfit(template, hint)
            if found is not None:
                raise self.mismatch(place, hint, found)
        return arguments, positional

    def bind_fully(self, /, *args: Any, **kwargs: Any) -> Bound:
        """Bind and check, looking at everything in the built-in containers.

        Raises:
            ArgumentError: one is missing, too many, or of the wrong type.
        """
        bound = self.explain(args, kwargs)
        self.check_fully(*bound)
        return bound

    def check_wires(self, place: Place, template: Any) -> None:
        """Compare what other tasks are annotated to give with what an argument is annotated to be.

        Raises:
            ArgumentError: it can not fit.
        """
        hint = self.binder.hint_at(place)
        found = misfit(template, hint)
        if found is not None:
            raise self.mismatch(place, hint, found)
        if type(template) is Wire and template.is_whole and type(template.task) is Task:
            # By its identity: a callable object need not have a hash. It is kept, so no other will have the same.
            function = template.task.callback_function
            self.fitting[id(function), place] = function

    def mismatch(self, place: str | int, hint: Any, found: str) -> ArgumentError:
        """The error of an argument that does not fit."""
        name = self.binder.name_at(place)
        return ArgumentError(f"in task {self.binder.name}: argument {name!r} must be {describe(hint)}, not {found}")

    def check_fully(self, arguments: dict[str, Any], positional: tuple[Any, ...]) -> None:
        """Look at everything in the built-in containers.

        Raises:
            ArgumentError: something does not fit.
        """
        places: list[tuple[str | int, Any]] = [*arguments.items(), *enumerate(positional)]
        for place, value in places:
            hint = self.binder.hint_at(place)
            if hint is UNKNOWN or type(value) is Reference:
                continue
            template = weave(value)[0] if alive else value
            found = misfit(template, hint, fits_fully)
            if found is not None:
                raise self.mismatch(place, hint, found)


def _checked(function: Callable[..., R]) -> Callable[..., R]:
    return _Core(function).checked


def _fully_checked(function: Callable[..., R]) -> Callable[..., R]:
    return _Core(function).fully


class TaskFactory(Generic[P, R]):
    """What ``@task`` makes of a function: calling it plans a call instead of making it.

    Example:
        >>> from cotality.workflow import task
        >>> @task
        ... def add(left: int, right: int = 1) -> int:
        ...     return left + right
        >>> add(2)
        <Task add(left=…)>
        >>> add.call(2)
        3
        >>> add.options(name="plus one", retries=2)(2).name
        'plus one'
    """

    __wrapped__: Callable[P, R]
    __qualname__: str

    def __init__(
        self, function: Callable[P, R], options: Options = DEFAULTS, core: _Core[R] | None = None, bound: Any = None
    ) -> None:
        self._core = core or _Core(function)
        self._options = options
        self._bound = bound
        self.__qualname__ = self._core.function.__class__.__qualname__
        functools.update_wrapper(self, function)
        self.__wrapped__ = self._core.fully
        validate = options.validate
        self._checked = {"off": None, "fast": self._core.checked, "full": self._core.fully}[validate]
        self._raw = self._core.function
        self._loose = True
        self._places: tuple[Place, ...] = ()
        self._bind: Callable[..., Bound] | None = None

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Task[R]:
        """Plan a call: bind and check the arguments, which may be references to what other tasks will give.

        Raises:
            ArgumentError: an argument is missing, too many, or of the wrong type.
            ReferenceMisuse: a task was given where its output belongs.
        """
        bind = self._bind or self._prepare()
        bound: Bound | None = None
        try:
            bound = bind(*args, **kwargs)
        except Exception:
            # What beartype raises shows the value: nothing may be raised here, or it would be kept as the context.
            pass
        if bound is None:
            bound = self._explain(args, kwargs)
        arguments, positional = bound
        if alive:
            return self._wire(arguments, positional)
        if self._loose:
            refuse_nodes((*arguments.values(), *positional))
        return Task.bound(self._raw, arguments, positional, self._options, self._checked, ())

    def _prepare(self) -> Callable[..., Bound]:
        """Make what binds and checks, when a task is made for the first time."""
        core, mode = self._core, self._options.validate
        bind = core.binder.unchecked if mode == "off" else core.binder.checked if mode == "fast" else core.bind_fully
        self._loose = mode == "off" or core.binder.loose
        self._bind = bind if self._bound is None else functools.partial(bind, self._bound)
        return self._bind

    def _explain(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bound:
        given = args if self._bound is None else (self._bound, *args)
        if self._options.validate == "off":
            return self._core.bind_unchecked(given, kwargs)
        bound = self._core.explain(given, kwargs)
        if self._options.validate == "full":
            self._core.check_fully(*bound)
        return bound

    def _wire(self, arguments: dict[str, Any], positional: tuple[Any, ...]) -> Task[R]:
        """A task whose arguments may hold references: they become wires, whose types are checked."""
        places: list[Place] = []
        whole = True
        for name, value in arguments.items():
            if type(value) not in ATOMS and (template := self._woven(name, value)) is not value:
                arguments[name] = template
                places.append(name)
                whole = whole and type(template) is Task
        if positional:
            templates = list(positional)
            for place, value in enumerate(positional):
                if type(value) not in ATOMS and (template := self._woven(place, value)) is not value:
                    templates[place] = template
                    places.append(place)
                    whole = whole and type(template) is Task
            positional = tuple(templates)
        taken, known = tuple(places), self._places
        if taken == known:
            # Most tasks of a factory are wired alike, and one tuple does for all of them.
            taken = known
        else:
            self._places = taken
        wired: Wired = taken if whole else _held(taken, arguments, positional)
        return Task.bound(self._raw, arguments, positional, self._options, self._checked, wired)

    def _woven(self, place: Place, value: Any) -> Any:
        """What takes the place of an argument: the task all of whose output a reference stands for; else itself, with
        wires in the place of references, if it has any."""
        core = self._core
        template: Any = None
        if type(value) is Reference:
            source = source_of(value)
            if type(source) is Task:
                if (id(source.callback_function), place) not in core.fitting and self._checked is not None:
                    core.check_wires(place, Wire(source))
                return source
            template = wire_of(value)
        else:
            refuse_nodes([value])
            template, wires = weave(value)
            if not wires:
                return value
        if self._checked is not None:
            core.check_wires(place, template)
        return template

    def call(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function: for tests, for the debugger, and inside of other tasks.

        Parameters:
            args: Its positional arguments.
            kwargs: Its keyword arguments.
        """
        self._refuse_lost_class()
        if self._bound is not None:
            return self._core.function(self._bound, *args, **kwargs)
        return self._core.function(*args, **kwargs)

    def options(self, **options: Unpack[TaskOptions]) -> TaskFactory[P, R]:
        """A factory of the same function with these options on top of its own.

        Parameters:
            options: See :class:`~cotality.parallel.TaskOptions`.

        Raises:
            TypeError, ValueError: an option that does not exist or can not have this value.
        """
        self._refuse_lost_class()
        return self._twin(self._options.updated(dict(options)), self._bound)

    def _twin(self, options: Options, bound: Any) -> TaskFactory[Any, R]:
        return TaskFactory(self._core.function, options, self._core, bound)

    def _refuse_lost_class(self) -> None:
        # Since 3.13 what @classmethod gives is a method: it asks us for attributes, and does not say for which class.
        found = _found_by_name(self) if self._bound is None and "." in self.__qualname__ else None
        if isinstance(found, MethodType) and found.__func__ is self:
            raise TypeError(f"{self!r} does not know its class here: put @task above @classmethod")

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self: TaskFactory[Concatenate[S, Q], R], instance: S, owner: type | None = None
    ) -> TaskFactory[Q, R]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As a method: a factory with its first argument given."""
        return self if instance is None or self._bound is not None else self._twin(self._options, instance)

    def __repr__(self) -> str:
        return f"<task {self._core.binder.name if self._core._binder else self.__qualname__}>"

    def __reduce__(self) -> Any:
        # By reference where the name leads here: what is in a worker is the very factory of its module. One with other
        # options goes with that one, whose checks are found there.
        named = _found_by_name(self) if self.__module__ != "__main__" else None
        if named is self:
            return self.__qualname__
        if isinstance(named, TaskFactory) and named._core is self._core:
            if named._bound is not None:
                # A class method.
                return _of_class, (self._bound, self._core.function.__name__, self._options)
            return _varied, (named, self._options, self._bound)
        return _rebuilt, (self._core.function, self._options, self._bound)


def _held(places: Iterable[Place], arguments: dict[str, Any], positional: tuple[Any, ...]) -> dict[Place, Any]:
    """What arguments hold, with wires also in the place of tasks all of whose output is meant."""
    held = {place: positional[place] if type(place) is int else arguments[place] for place in places}  # type: ignore[index]
    return {place: Wire(template) if type(template) is Task else template for place, template in held.items()}


class _OfClass(TaskFactory[P, R]):
    """What ``@task`` makes of a class method."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self._twin(self._options, owner or type(instance))


def _rebuilt(function: Callable[..., Any], options: Options, bound: Any) -> TaskFactory[..., Any]:
    return TaskFactory(function, options, None, bound)


def _varied(factory: TaskFactory[..., Any], options: Options, bound: Any) -> TaskFactory[..., Any]:
    return factory._twin(options, bound)


def _of_class(owner: type, name: str, options: Options) -> TaskFactory[..., Any]:
    return _varied(getattr(owner, name), options, owner)


def _found_by_name(factory: TaskFactory[..., Any]) -> Any:
    """What the name of a factory leads to."""
    found: Any = sys.modules.get(factory.__module__)
    for part in factory.__qualname__.split("."):
        found = getattr(found, part, None)
    return found


def refuse_nodes(given: Iterable[Any]) -> None:
    """Raise if a task or a map is given where its output belongs, or stands first in a container that is given."""
    for value in given:
        if type(value) in _CONTAINERS and value:
            # The first of them tells: to look at each of a million items would cost more than the task.
            value = next(iter(value.values() if type(value) is dict else value))
        if type(value) is Task:
            raise ReferenceMisuse(f"a task was given where its output belongs: pass its .output ({value.name})")
        if type(value) is Mapped:
            raise ReferenceMisuse(f"a map was given where its outputs belong: pass its .outputs ({value.name})")


@overload
def task(function: Callable[P, R], /) -> TaskFactory[P, R]: ...
@overload
def task(**options: Unpack[TaskOptions]) -> Callable[[Callable[P, R]], TaskFactory[P, R]]: ...
def task(function: Any = None, /, **options: Unpack[TaskOptions]) -> Any:
    """Turn a function into a factory of tasks.

    The annotations that the function has are all it needs: they are checked by mypy and pyright in the editor, when a
    task is made, when it is wired to another one, and by value before it is called.

    Parameters:
        function: The function; ``async def`` too. Without it, a decorator with options is returned.
        options: See :class:`~cotality.parallel.TaskOptions`.

    It goes above ``@classmethod`` and below ``@staticmethod``. That a class method is given its class, type checkers do
    not see.

    Returns:
        The factory of tasks, or the decorator that makes one.

    Raises:
        TypeError: something that can not be a task, or an option that does not exist.
        ValueError: an option out of its range.

    Example:
        >>> from cotality.workflow import Workflow
        >>> @task
        ... def double(number: int) -> int:
        ...     return 2 * number
        >>> @task(retries=3, timeout=10)
        ... def add(left: int, right: int) -> int:
        ...     return left + right
        >>> flow = Workflow()
        >>> total = flow.add(add(double(1).output, double(2).output))
        >>> flow.run()[total]
        6
    """
    settings = DEFAULTS.updated(dict(options)) if options else DEFAULTS
    if function is None:
        return functools.partial(_decorate, options=settings)
    return _decorate(function, settings)


def _decorate(function: Any, options: Options) -> TaskFactory[..., Any]:
    factory: type[TaskFactory[..., Any]] = TaskFactory
    if isinstance(function, classmethod):
        factory, function = _OfClass, function.__func__
    if isinstance(function, staticmethod):
        raise TypeError("put @task inside of @staticmethod, that is below it")
    if isinstance(function, TaskFactory):
        raise TypeError(f"{function!r} is a task already: use .options(…) to change its options")
    if not callable(function):
        raise TypeError(f"@task needs a function, not {type(function).__name__}")
    if inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{function.__qualname__} is an async generator, whose results have no end that could be awaited: "
            "return a list, or make a task per item with flow.map"
        )
    return factory(function, options)
