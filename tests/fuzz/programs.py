"""Random workflows, and what each of their tasks must come to: worked out beside them, in plain Python."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from threading import Lock
from typing import Any, NamedTuple

from cotality.parallel import Limit, Mapped, Outcome, RetryPolicy
from cotality.workflow import Workflow, task


class Pair(NamedTuple):
    left: int
    right: Any


@dataclass(frozen=True)
class Box:
    value: int
    more: Any = field(default_factory=dict)


class Refused(Exception):
    """What a task raises that is to fail."""


# What tasks do -------------------------------------------------------------------------------------------------------

SHAPES: dict[str, Callable[[int], Any]] = {
    "number": lambda n: n,
    "tuple": lambda n: (n, n + 1),
    "list": lambda n: [n + i for i in range(n % 5)],
    "dict": lambda n: {"a": n, "b": [n + 1, n + 2]},
    "pair": lambda n: Pair(n, (n + 1, {"k": n + 2})),
    "box": lambda n: Box(n, {"k": [n + 1, n + 2]}),
}
PATHS: dict[str, tuple[tuple[Any, ...], ...]] = {
    "number": ((),),
    "tuple": ((), (0,), (1,)),
    "list": ((), (0,)),
    "dict": ((), ("a",), ("b",), ("b", 1), ("missing",)),
    "pair": ((), (0,), (".left",), (".right", 0), (".right", 1, "k")),
    "box": ((), (".value",), (".more", "k"), (".more", "k", 1), (".missing",)),
    "map": ((), (), (), (0,)),
}
LISTS = {"list": (), "dict": ("b",), "box": (".more", "k"), "tuple": ()}
"""Where in a shape something stands that a map can go through."""


def follow(value: Any, path: Sequence[Any]) -> Any:
    """From a value, or a reference to it, to a part."""
    for step in path:
        value = getattr(value, step[1:]) if isinstance(step, str) and step[0] == "." else value[step]
    return value


def plain(value: Any) -> Any:
    """A value in which outcomes are what a program in plain Python knows of them."""
    if isinstance(value, Outcome):
        return "outcome", value.state, plain(value.value)
    if isinstance(value, Pair):
        return Pair(value.left, plain(value.right))
    if isinstance(value, Box):
        return Box(value.value, plain(value.more))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    return value


def digest(number: Any, inputs: Any) -> int:
    return zlib.crc32(repr((number, plain(inputs))).encode()) % 1000


@dataclass(frozen=True)
class Deed:
    """What a task is to do."""

    number: Any
    shape: str = "number"
    fails: bool = False
    picky: bool = False
    """Whether it refuses some of its inputs."""
    attempts: int = 1
    """At which attempt it succeeds."""
    key: str = ""
    """Of which program and run it is."""

    def do(self, inputs: Any) -> Any:
        seen = digest(self.number, inputs)
        if self.fails or (self.picky and seen % 4 == 0):
            raise Refused
        return SHAPES[self.shape](seen)


tries: dict[Any, int] = {}
"""How often a task was called that succeeds at its n-th attempt, and how often any was called."""
_lock = Lock()


def note(deed: Deed, inputs: Any) -> None:
    if deed.key:
        with _lock:
            mark = deed.key, deed.number, digest(deed.number, inputs)
            tries[mark] = tries.get(mark, 0) + 1
            if tries[mark] < deed.attempts:
                raise Refused


@task
def perform(deed: Deed, *inputs: Any, **named: Any) -> Any:
    note(deed, (inputs, sorted(named.items())))
    return deed.do((inputs, sorted(named.items())))


@task
async def perform_soon(deed: Deed, *inputs: Any, **named: Any) -> Any:
    note(deed, (inputs, sorted(named.items())))
    return deed.do((inputs, sorted(named.items())))


# What they must come to ----------------------------------------------------------------------------------------------


@dataclass
class Expected:
    """What a node must come to."""

    state: str
    value: Any = None
    items: list[Expected] | None = None
    shape: str = "number"
    cut: bool = False
    """Whether it is a map that lacks some of its items, or all of them."""

    def rest(self) -> list[Any]:
        """What a map says of itself beside its items."""
        return [self.outcome()] if self.cut or self.items is None else []

    @property
    def good(self) -> bool:
        return self.state == "succeeded"

    def outcome(self) -> Any:
        return "outcome", self.state, plain(self.value) if self.good else None


SKIPPED = Expected("skipped")


class NotThere(Exception):
    """An input does not exist: its task is skipped, or fails."""

    def __init__(self, state: str) -> None:
        self.state = state


@dataclass
class Made:
    """A node and what it must come to."""

    node: Any
    expected: Expected
    kept: bool = True

    @property
    def is_map(self) -> bool:
        return isinstance(self.node, Mapped)


@dataclass
class Use:
    """An input of a task: a part of what another one gives, or its outcome."""

    made: Made
    kind: str
    path: tuple[Any, ...] = ()

    def reference(self) -> Any:
        node = self.made.node
        names = ("outputs", "outcomes") if self.made.is_map else ("output", "outcome")
        return follow(getattr(node, names[self.kind == "outcome"]), self.path)

    def value(self) -> Any:
        """What it must be.

        Raises:
            NotThere: it does not exist.
        """
        expected = self.made.expected
        if self.kind == "outcome":
            if not self.made.is_map:
                return expected.outcome()
            return [item.outcome() for item in expected.items or ()] + expected.rest()
        if not expected.good:
            raise NotThere("skipped")
        try:
            return follow(expected.value, self.path)
        except (KeyError, IndexError, AttributeError, TypeError):
            raise NotThere("failed") from None


def values_of(uses: Sequence[Use]) -> list[Any]:
    """What these must be; one that was skipped bars the rest."""
    found: list[Any] = []
    states: set[str] = set()
    for use in uses:
        try:
            found.append(use.value())
        except NotThere as error:
            states.add(error.state)
    if states:
        raise NotThere("skipped" if "skipped" in states else "failed")
    return found


WRAPS: tuple[Callable[[Any], Any], ...] = (
    lambda it: it,
    lambda it: it,
    lambda it: [it],
    lambda it: (it, 5),
    lambda it: {"in": it, "beside": [it]},
    lambda it: Pair(1, it),
    lambda it: Box(2, [it]),
)


# Programs ------------------------------------------------------------------------------------------------------------


class Program:
    """A random workflow.

    Parameters:
        chance: Decides.
        size: How many tasks and maps it has at most.
        backends: What its tasks may name.
        failing: Whether tasks may fail.
        key: Its name, if tasks are to be counted and to succeed at a later attempt.
    """

    def __init__(
        self,
        chance: Random,
        size: int,
        backends: Sequence[str | None] = (None,),
        *,
        failing: bool = True,
        key: str = "",
    ) -> None:
        self.chance = chance
        self.flow = Workflow("program")
        self.made: list[Made] = []
        self.uses_outer = False
        """Whether a map's function wires to what is outside of it, which must then be kept."""
        self.key = key
        self._backends = backends
        self._failing = failing
        self._numbers = iter(range(1 << 30))
        self._limits = [Limit("few", concurrency=2), Limit("other", concurrency=1)]
        for _ in range(chance.randint(1, size)):
            self._add(chance.choices((self._task, self._map, self._gather), (5, 5, 1))[0]())

    def _add(self, made: Made) -> None:
        self.made.append(made)
        made.kept = False
        if self.chance.random() < 0.7:
            self.flow.add(made.node)
            made.kept = True

    @property
    def goes_once(self) -> bool:
        """Whether an iterator is among what its maps go through."""
        maps = [made.node for made in self.made if made.is_map]
        return any(isinstance(source, Iterator) for mapped in maps for source in mapped.sources)

    def finish(self) -> None:
        """Add what nobody has added."""
        for made in self.made:
            if made.node not in self.flow:
                self.flow.add(made.node)
                made.kept = True

    # Their parts

    def _deed(self) -> Deed:
        chance = self.chance
        number = next(self._numbers)
        fails = self._failing and chance.random() < 0.08
        picky = self._failing and chance.random() < 0.15
        attempts = chance.randint(2, 3) if self.key and chance.random() < 0.15 else 1
        return Deed(number, chance.choice(list(SHAPES)), fails, picky, attempts, self.key)

    def _options(self, deed: Deed) -> dict[str, Any]:
        chance = self.chance
        options: dict[str, Any] = {"backend": chance.choice(self._backends)}
        if deed.attempts > 1:
            options["retries"] = RetryPolicy(attempts=deed.attempts, wait=chance.choice([0, 0.003]), jitter=0)
        if chance.random() < 0.15:
            options["limits"] = chance.sample(self._limits, chance.randint(1, 2))
        if chance.random() < 0.1:
            options["timeout"] = 1000.0
        return options

    def _factory(self, deed: Deed) -> Any:
        soon = self.chance.random() < 0.15 and self.key != ""
        options = self._options(deed)
        if soon and options["backend"] == "threads":
            options["backend"] = None
        return (perform_soon if soon else perform).options(**options)

    def _use(self) -> Use:
        chance = self.chance
        made = chance.choice(self.made)
        if chance.random() < 0.2:
            return Use(made, "outcome")
        return Use(made, "output", chance.choice(PATHS[made.expected.shape]))

    def _uses(self, most: int) -> list[Use]:
        return [self._use() for _ in range(self.chance.randint(0, most))] if self.made else []

    def _after(self, node: Any) -> Made | None:
        if not self.made or self.chance.random() > 0.12:
            return None
        before = self.chance.choice(self.made)
        node.after(before.node)
        return before

    # Their nodes

    def _task(self) -> Made:
        deed, uses = self._deed(), self._uses(3)
        wraps = [self.chance.choice(WRAPS) for _ in uses]
        cut = self.chance.randint(0, len(uses))
        given = [wrap(use.reference()) for use, wrap in zip(uses, wraps, strict=True)]
        named = {f"n{i}": value for i, value in enumerate(given[cut:])}
        node = self._factory(deed)(deed, *given[:cut], **named)
        before = self._after(node)
        return Made(node, self._expect(deed, uses, wraps, cut, before))

    def _expect(self, deed: Deed, uses: Any, wraps: Any, cut: int, before: Made | None) -> Expected:
        if before is not None and not before.expected.good:
            return SKIPPED
        try:
            given = [wrap(value) for wrap, value in zip(wraps, values_of(uses), strict=True)]
            named = {f"n{i}": value for i, value in enumerate(given[cut:])}
            value = deed.do((tuple(given[:cut]), sorted(named.items())))
        except NotThere as error:
            return Expected(error.state)
        except Refused:
            return Expected("failed")
        return Expected("succeeded", value, shape=deed.shape)

    def _gather(self) -> Made:
        uses = self._uses(4)
        node = self.flow.gather(*[use.reference() for use in uses])
        try:
            return Made(node, Expected("succeeded", tuple(values_of(uses)), shape="number"))
        except NotThere as error:
            return Made(node, Expected(error.state))

    def _map(self) -> Made:
        width = self.chance.choices((1, 2, 3, 4), (5, 4, 2, 1))[0]
        count = self.chance.randint(0, 6)
        sources = [self._source(count) for _ in range(width)]
        function = self._function(width, depth=0)
        if self.chance.random() < 0.5:
            # Also with itself: the same list of another map at two places.
            sources = [self.chance.choice(sources) for _ in sources]
        node = self.flow.map(function.make, *[source.given() for source in sources])
        before = self._after(node)
        together = [source for source in sources if source.is_of_a_map]
        for source in together:
            made = source.use and source.use.made
            source.whole = made is before or any(any(made is part for part in other.parts()) for other in sources)
        expected = self._expect_map(function, sources, before)
        expected.shape = "map"
        return Made(node, expected)

    def _source(self, count: int) -> Source:
        chance = self.chance
        maps = [made for made in self.made if made.is_map]
        tasks = [made for made in self.made if not made.is_map and made.expected.shape in LISTS]
        what = chance.choice(["list", "iterator", "map", "map", "map", "task", "holding", "outcomes", "part"])
        if what in ("map", "outcomes", "part") and maps:
            made = chance.choice(maps)
            return Source(Use(made, "outcome" if what == "outcomes" else "output", (0,) if what == "part" else ()))
        if what == "task" and tasks:
            made = chance.choice(tasks)
            return Source(Use(made, "output", LISTS[made.expected.shape]))
        if what == "holding" and self.made:
            items = [self._use() if chance.random() < 0.5 else index for index in range(count)]
            return Source(None, items)
        return Source(None, list(range(count)), once=what == "iterator")

    def _function(self, width: int, depth: int) -> MapFunction:
        chance = self.chance
        outer = [use for use in self._uses(2) if use.made.node in self.flow and use.made.kept]
        self.uses_outer = self.uses_outer or bool(outer)
        inner = self._function(1 + width, depth + 1) if depth < 2 and chance.random() < 0.15 else None
        first = self._deed() if chance.random() < 0.2 else None
        deed = self._deed()
        return MapFunction(deed, self._factory(deed), outer, first, first and self._factory(first), inner)

    def _expect_map(self, function: MapFunction, sources: list[Source], before: Made | None) -> Expected:
        if before is not None and not before.expected.good:
            return SKIPPED
        columns: list[list[Item]] = []
        states: set[str] = set()
        for source in sources:
            column = source.column()
            if isinstance(column, Expected):
                states.add(column.state)
            else:
                columns.append(column)
        if states:
            return SKIPPED if "skipped" in states else Expected("failed", items=[], cut=True)
        count = min(map(len, columns))
        items = [function.expect([column[place] for column in columns]) for place in range(count)]
        if any(source.is_cut and len(column) == count for source, column in zip(sources, columns, strict=True)):
            return Expected("skipped", items=items, cut=True)
        if len({len(column) for column in columns}) > 1:
            return Expected("failed", items=items, cut=True)
        if any(not item.good for item in items):
            return Expected("skipped", items=items)
        return Expected("succeeded", [item.value for item in items], items)


@dataclass
class Source:
    """What a map goes through."""

    use: Use | None
    items: list[Any] = field(default_factory=list)
    once: bool = False
    whole: bool = False
    """Whether the map goes through all results of another one together, as it needs more of it than its items."""

    @property
    def is_of_a_map(self) -> bool:
        use = self.use
        return use is not None and use.kind == "output" and not use.path and use.made.is_map

    @property
    def is_cut(self) -> bool:
        return self.use is not None and self.is_of_a_map and not self.whole and self.use.made.expected.cut

    def parts(self) -> list[Made]:
        """What it needs, but for what it goes through item by item."""
        uses = [item for item in self.items if isinstance(item, Use)]
        return [use.made for use in ([*uses, self.use] if self.use and not self.is_of_a_map else uses)]

    def given(self) -> Any:
        if self.use is not None:
            return self.use.reference()
        items = [item.reference() if isinstance(item, Use) else item for item in self.items]
        return iter(items) if self.once else items

    def column(self) -> list[Item] | Expected:
        """What each item must be; or why there are none."""
        use = self.use
        if use is None:
            return [Item(use_of(item), late=True) for item in self.items]
        if self.is_of_a_map and not self.whole:
            # Item by item: one that failed skips what would come of it.
            expected = use.made.expected
            if expected.items is None:
                return SKIPPED
            return [Item(item if item.good else SKIPPED) for item in expected.items]
        try:
            value = use.value()
        except NotThere as error:
            return Expected(error.state)
        try:
            return [Item(Expected("succeeded", item)) for item in value]
        except TypeError:
            return Expected("failed")


class Item(NamedTuple):
    """What a map's function is given."""

    expected: Expected
    late: bool = False
    """Whether it may be a reference: then it is not there only when a task needs it."""


def use_of(item: Any) -> Expected:
    if not isinstance(item, Use):
        return Expected("succeeded", item)
    try:
        return Expected("succeeded", item.value())
    except NotThere as error:
        return Expected(error.state)


@dataclass
class MapFunction:
    """The function of a map: a task, or two of which one needs the other, or a map, for each item."""

    deed: Deed
    factory: Any
    outer: list[Use]
    first: Deed | None
    first_factory: Any
    inner: MapFunction | None

    def make(self, *items: Any) -> Any:
        if self.inner is not None:
            inner = self.inner
            return Mapped(lambda number: inner.make(number, *items), (self._numbers(),))
        outer = [use.reference() for use in self.outer]
        if self.first is None:
            return self.factory(self.deed, *items, *outer)
        return self.factory(self.deed, self.first_factory(self.first, *items).output, *outer)

    def _numbers(self) -> list[int]:
        return [0, 1, 2][: self.deed.number % 4]

    def expect(self, items: Sequence[Item]) -> Expected:
        if any(not item.late and not item.expected.good for item in items):
            return SKIPPED
        if self.inner is not None:
            made = [self.inner.expect([Item(Expected("succeeded", n)), *items]) for n in self._numbers()]
            if all(each.good for each in made):
                return Expected("succeeded", [each.value for each in made], made)
            return Expected("skipped", items=made)
        given = [item.expected for item in items]
        if self.first is not None:
            given = [_called(self.first, given)]
            if not given[0].good:
                return SKIPPED
        return _called(self.deed, [*given, *map(use_of, self.outer)])


def _called(deed: Deed, given: Sequence[Expected]) -> Expected:
    states = {each.state for each in given if not each.good}
    if states:
        return SKIPPED if "skipped" in states else Expected("failed")
    try:
        return Expected("succeeded", deed.do((tuple(each.value for each in given), [])))
    except Refused:
        return Expected("failed")
