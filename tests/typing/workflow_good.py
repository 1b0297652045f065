"""Usages of tasks and workflows that both type checkers must accept, and what they must infer. Never run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar, assert_type

from cotality.core.utils.process import (
    execute_tasks_in_parallel,
    execute_tasks_in_parallel_streaming,
    execute_tasks_in_parallel_unordered,
)
from cotality.parallel import ProcessExecutor
from cotality.workflow import (
    AsyncStream,
    Cache,
    Journal,
    Limit,
    Mapped,
    Outcome,
    RetryPolicy,
    Run,
    Stream,
    Task,
    TaskFactory,
    TaskOptions,
    Workflow,
    WorkflowOptions,
    load_failures,
    task,
)

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

api = Limit("api", concurrency=5, per_second=0.5)
patient = RetryPolicy(attempts=4, on=(OSError, TimeoutError), wait=0.5, factor=3, max_wait=30, jitter=0, total=60.0)


@dataclass
class Frame:
    rows: int
    names: list[str]


class Split(NamedTuple):
    left: Frame
    right: bytes


@task
def load(path: str) -> Frame:
    return Frame(1, [path])


@task
def clean(frame: Frame, *, drop: bool = True) -> Frame:
    return frame


@task
def merge(frames: list[Frame]) -> Frame:
    return frames[0]


@task
def report(frames: dict[str, Frame], note: str | None = None) -> str:
    return note or ""


@task
def survivors(outcomes: list[Outcome[Frame]]) -> int:
    return len(outcomes)


@task
def split(frame: Frame) -> Split:
    return Split(frame, b"")


@task
def divide(left: int, right: int, /) -> tuple[int, str]:
    return left // right, ""


@task
def listing() -> list[str]:
    return []


@task
def nested() -> list[list[str]]:
    return []


@task
def collect(*parts: int, sep: str = ",", **weights: float) -> str:
    return ""


@task
def setup() -> None: ...


@task
def first(items: list[T]) -> T:
    return items[0]


@task(retries=2)
def pair(key: K, value: V) -> dict[K, V]:
    return {key: value}


@task
async def fetch(url: str, depth: int = 1) -> bytes:
    return b""


@task
async def first_async(items: list[T]) -> T:
    return items[0]


@task(timeout=3, backend="processes")
def resize(path: str, width: int) -> Frame:
    return Frame(width, [path])


@task
def three(one: int, two: str, three: float) -> bytes:
    return b""


@task
async def four(one: int, two: str, three: float, four: bytes) -> set[str]:
    return set()


class Store:
    @task
    def put(self, key: str, *, size: int = 1) -> int:
        return size

    @task
    async def get(self, key: str) -> bytes:
        return b""

    @task(retries=2)
    def pick(self, items: list[T]) -> T:
        return items[0]

    @staticmethod
    @task
    def size(key: str) -> int:
        return len(key)


class Box(Generic[T]):
    def __init__(self, content: T) -> None:
        self.content = content

    @task
    def take(self, times: int) -> list[T]:
        return [self.content] * times


def plain_functions() -> None:
    assert_type(load("a"), Task[Frame])
    assert_type(load(path="a"), Task[Frame])
    assert_type(load("a").name, str)
    assert_type(load.call("a"), Frame)
    assert_type(load.options(timeout=5, name="slow")("a"), Task[Frame])
    cache = Cache("results.db", by="inputs", max_bytes=1000)
    kept = load.options(journal=False, cache=cache, expires=3.5, version=2, key=lambda path: path)
    assert_type(kept("a"), Task[Frame])
    assert_type(Workflow(journal=Journal("run.db", durability="each")).run(journal="other.db").resumed, dict[str, int])
    assert_type(load_failures("failures"), list[Task[Any]])
    assert_type(load.options(retries=1).call("a"), Frame)
    assert_type(setup(), Task[None])


def parameters() -> None:
    assert_type(clean(Frame(1, []), drop=False), Task[Frame])
    assert_type(collect(), Task[str])
    assert_type(collect(1, 2, sep=";", weight=1.5), Task[str])
    assert_type(divide(7, 2), Task[tuple[int, str]])
    assert_type(report({}, note=None), Task[str])


def generics() -> None:
    assert_type(first([1]), Task[int])
    assert_type(first(items=["a"]), Task[str])
    assert_type(first(listing().output), Task[str])
    assert_type(first(first(nested().output).output), Task[str])
    assert_type(first.call([b""]), bytes)
    assert_type(first.options(retries=1)([1]), Task[int])
    assert_type(pair("a", 1), Task[dict[str, int]])
    assert_type(pair(load("a").output.rows, load("a").output), Task[dict[int, Frame]])


def coroutines(run: Run) -> None:
    assert_type(fetch("a").output, bytes)
    assert_type(fetch("a", depth=2).outcome, Outcome[bytes])
    assert_type(first_async(["a"]).output, str)
    assert_type(run[fetch("a")], bytes)
    assert_type(run[first_async([1])], int)
    assert_type(run.outcome(fetch("a")), Outcome[bytes])
    assert_type(run[fetch.options(limits=[api])("a")], bytes)
    awaitable: Task[Coroutine[Any, Any, bytes]] = fetch("a")
    factory: TaskFactory[[str, int], Coroutine[Any, Any, object]] = fetch.options(name="fetch all")
    del awaitable, factory


async def plain_coroutine() -> None:
    assert_type(await fetch.call("a"), bytes)


def methods(store: Store, box: Box[Frame], run: Run) -> None:
    assert_type(store.put("a", size=2), Task[int])
    assert_type(store.put.call("a"), int)
    assert_type(store.put.options(retries=1)("a"), Task[int])
    assert_type(Store.put(store, "a"), Task[int])
    assert_type(store.get("a").output, bytes)
    assert_type(run[store.get("a")], bytes)
    assert_type(store.pick([1.5]), Task[float])
    assert_type(Store.size("a"), Task[int])
    assert_type(Store.size.call("a"), int)
    assert_type(box.take(2), Task[list[Frame]])


def wiring() -> None:
    raw = load("a")
    assert_type(raw.output, Frame)
    assert_type(raw.outcome, Outcome[Frame])
    assert_type(clean(raw.output), Task[Frame])
    assert_type(merge([raw.output, clean(raw.output).output, Frame(1, [])]), Task[Frame])
    assert_type(report({"a": raw.output}, first(listing().output).output), Task[str])
    assert_type(survivors([raw.outcome, load("b").outcome]), Task[int])
    assert_type(raw.output.names, list[str])
    assert_type(raw.output.names[0], str)
    assert_type(clean(split(raw.output).output.left), Task[Frame])
    left, right = split(raw.output).output
    assert_type(clean(left), Task[Frame])
    assert_type(right, bytes)
    assert_type(divide(1, 2).output[1], str)
    assert_type(clean(raw.output).after(setup(), fetch("a")), Task[Frame])
    wider: Task[object] = raw
    del wider


def options(flag: bool) -> None:
    common: TaskOptions = {"retries": patient, "tags": ["daily"]}
    assert_type(task(**common)(len)([1]), Task[int])
    assert_type(load.options(**common)("a"), Task[Frame])
    everything = load.options(
        name="all", retries=patient, timeout=None, backend="threads", limits=(api,), tags=("x",), validate="full"
    )
    assert_type(everything("a"), Task[Frame])
    RetryPolicy(attempts=2, on=lambda error: 5.0 if flag else False, on_result=lambda value: not value)
    Limit("disk", concurrency=1)
    with ProcessExecutor(2) as pool:
        load.options(backend=pool)("a")
        Workflow("daily", backend=pool)


def adding(flow: Workflow, run: Run) -> None:
    raw = flow.add(load("a"))
    assert_type(raw, Task[Frame])
    assert_type(run[raw], Frame)
    assert_type(run.outcome(raw), Outcome[Frame])
    assert_type(run.outcome(raw).value, Frame | None)
    assert_type(run.outcome(raw).result(), Frame)
    assert_type(run[flow.add(fetch("a"), load("b"))], bytes)
    assert_type(flow.add(flow.map(load, ["a"]), raw), Mapped[Frame])
    assert_type(raw in flow, bool)
    assert_type(len(flow), int)
    for node in flow:
        assert_type(node, Task[Any] | Mapped[Any])


def numbers() -> Iterator[int]:
    yield 1


def maps(flow: Workflow, run: Run, store: Store, paths: list[str], lists: list[list[int]]) -> None:
    mapped = flow.map(load, paths)
    assert_type(mapped, Mapped[Frame])
    assert_type(mapped.outputs, list[Frame])
    assert_type(mapped.outcomes, list[Outcome[Frame]])
    assert_type(mapped.after(setup()), Mapped[Frame])
    assert_type(run[mapped], list[Frame])
    assert_type(run.outcomes(mapped), list[Outcome[Frame]])
    assert_type(merge(mapped.outputs), Task[Frame])
    assert_type(survivors(mapped.outcomes), Task[int])
    assert_type(first(mapped.outputs), Task[Frame])
    assert_type(setup().after(mapped), Task[None])
    assert_type(flow.map(load, listing().output), Mapped[Frame])
    assert_type(flow.map(clean, mapped.outputs), Mapped[Frame])
    assert_type(flow.map(load.options(retries=3), (path for path in paths)), Mapped[Frame])
    assert_type(flow.map(collect, numbers()), Mapped[str])
    assert_type(flow.map(store.put, paths), Mapped[int])
    assert_type(flow.map(Store.size, {"a", "b"}), Mapped[int])
    assert_type(flow.map(first, lists), Mapped[int])
    assert_type(flow.map(lambda path: clean(load(path).output), paths), Mapped[Frame])
    assert_type(flow.map(lambda number: resize("a", width=number), range(3)), Mapped[Frame])


def async_maps(flow: Workflow, run: Run, store: Store, paths: list[str], lists: list[list[int]]) -> None:
    fetched = flow.map(fetch, paths)
    assert_type(fetched, Mapped[bytes])
    assert_type(fetched.outputs, list[bytes])
    assert_type(fetched.outcomes, list[Outcome[bytes]])
    assert_type(run[fetched], list[bytes])
    assert_type(run.outcomes(fetched), list[Outcome[bytes]])
    assert_type(flow.map(lambda path: fetch(path, depth=2), paths), Mapped[bytes])
    assert_type(flow.map(store.get, paths), Mapped[bytes])
    assert_type(flow.map(first_async, lists), Mapped[int])
    assert_type(flow.map(fetch, paths, [1, 2]), Mapped[bytes])


def maps_of_several(flow: Workflow, paths: list[str], widths: list[int], rates: list[float]) -> None:
    assert_type(flow.map(resize, paths, widths), Mapped[Frame])
    assert_type(flow.map(lambda path, width: resize(path, width), paths, widths), Mapped[Frame])
    assert_type(flow.map(pair, paths, widths), Mapped[dict[str, int]])
    assert_type(flow.map(three, widths, paths, rates), Mapped[bytes])
    assert_type(flow.map(lambda one, two, rate: three(one, two, rate), widths, paths, rates), Mapped[bytes])
    assert_type(flow.map(four, widths, paths, rates, flow.map(fetch, paths).outputs), Mapped[set[str]])


def maps_of_maps(flow: Workflow, run: Run, paths: list[str], widths: list[int], rates: list[float]) -> None:
    each = flow.map(lambda names: flow.map(load, names), nested().output)
    assert_type(each, Mapped[list[Frame]])
    assert_type(each.outputs, list[list[Frame]])
    assert_type(run[each], list[list[Frame]])
    assert_type(flow.map(merge, each.outputs), Mapped[Frame])
    assert_type(flow.map(lambda path: flow.map(fetch, [path]), paths), Mapped[list[bytes]])
    assert_type(flow.map(lambda path, width: flow.map(resize, [path], [width]), paths, widths), Mapped[list[Frame]])
    assert_type(flow.map(lambda a, b, c: flow.map(three, [a], [b], [c]), widths, paths, rates), Mapped[list[bytes]])
    assert_type(flow.map(lambda a, b, c, d: flow.map(load, [b, d]), widths, paths, rates, paths), Mapped[list[Frame]])
    assert_type(
        flow.map(lambda names: flow.map(lambda name: flow.map(load, [name]), names), nested().output),
        Mapped[list[list[Frame]]],
    )


def gathering(flow: Workflow, run: Run, paths: list[str]) -> None:
    both = flow.gather(load("a").output, fetch("b").output)
    assert_type(both, Task[tuple[Frame, bytes]])
    assert_type(run[both], tuple[Frame, bytes])
    assert_type(flow.gather(load("a").output), Task[tuple[Frame]])
    assert_type(flow.gather(load("a").outcome, flow.map(load, paths).outputs), Task[tuple[Outcome[Frame], list[Frame]]])
    assert_type(clean(both.output[0]), Task[Frame])


def running(options: WorkflowOptions, raw: Task[Frame]) -> None:
    flow = Workflow("daily", backend="threads", max_workers=4, failure="finish", timeout=60, window=100)
    Workflow(failure=3, raise_failures=False)
    Workflow(failure=0.1, max_workers=None)
    run = flow.run(failure="fail_fast", backend="serial")
    assert_type(run, Run)
    assert_type(flow.run(**options), Run)
    assert_type(run.failures, list[Outcome[Any]])
    assert_type(run.error, BaseException | None)
    assert_type(run.counts, dict[str, int])
    assert_type(run.summary(), str)
    assert_type(run.cancel(), None)
    with flow.stream(raw, flow.map(load, ["a"]), ordered=False, timeout=3) as outcomes:
        assert_type(outcomes, Stream)
        assert_type(outcomes.run, Run)
        for outcome in outcomes:
            assert_type(outcome, Outcome[Any])


async def running_async(flow: Workflow, raw: Task[Frame]) -> None:
    run = await flow.arun(max_workers=2, raise_failures=False)
    assert_type(run, Run)
    assert_type(run[raw], Frame)
    async with flow.astream(raw, ordered=False) as outcomes:
        assert_type(outcomes, AsyncStream)
        async for outcome in outcomes:
            assert_type(outcome, Outcome[Any])


def functional(frame: Frame) -> None:
    assert_type(execute_tasks_in_parallel([clean(frame)]), list[Frame])
    assert_type(execute_tasks_in_parallel([clean(frame)], return_exceptions=True), list[Frame | Exception])
    assert_type(execute_tasks_in_parallel(map(load, ["a"]), use_processes=True), list[Frame])
    assert_type(execute_tasks_in_parallel_unordered(first([n]) for n in range(3)), list[int])
    for index, result in execute_tasks_in_parallel_streaming([clean(frame)], return_exceptions=True):
        assert_type(index, int)
        assert_type(result, Frame | Exception)


def passed_on(factory: TaskFactory[[str], Frame]) -> None:
    assert_type(factory("a"), Task[Frame])


def structural(flow: Workflow, make: Callable[[str], Task[Frame]], make_more: Callable[[str], Mapped[Frame]]) -> None:
    passed_on(load)
    assert_type(flow.map(make, ["a"]), Mapped[Frame])
    assert_type(flow.map(make_more, ["a"]), Mapped[list[Frame]])
