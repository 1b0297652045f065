"""Usages of tasks and workflows that both type checkers must refuse, each on the line that is marked. Never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from cotality.core.utils.process import execute_tasks_in_parallel
from cotality.workflow import Limit, Mapped, Outcome, RetryPolicy, Task, Workflow, task

T = TypeVar("T")


@dataclass
class Frame:
    rows: int


@task
def load(path: str) -> Frame:
    return Frame(1)


@task
def clean(frame: Frame, *, drop: bool = True) -> Frame:
    return frame


@task
def merge(frames: list[Frame]) -> Frame:
    return frames[0]


@task
def resize(path: str, width: int) -> Frame:
    return Frame(width)


@task
def divide(left: int, right: int, /) -> tuple[int, str]:
    return left // right, ""


@task
def collect(*parts: int, **weights: float) -> str:
    return ""


@task
def first(items: list[T]) -> T:
    return items[0]


@task
async def fetch(url: str) -> bytes:
    return b""


class Store:
    @task
    def put(self, key: str) -> int:
        return 1

    @task
    async def get(self, key: str) -> bytes:
        return b""

    @staticmethod
    @task
    def size(key: str) -> int:
        return len(key)


raw = load("a")
store = Store()
flow = Workflow("daily")
run = flow.run()
frames = flow.map(load, ["a"])
pages = flow.map(fetch, ["a"])

# Arguments
load()  # error
load(3)  # error
load("a", "b")  # error
load(file="a")  # error
load(None)  # error
clean(Frame(1), False)  # error
clean(Frame(1), drop="no")  # error
divide(left=1, right=2)  # error
collect(1, "2")  # error
collect(weight="heavy")  # error
first(3)  # error
load.call(3)  # error
load("a", retries=3)  # error
store.put(3)  # error
store.put("a", "b")  # error
Store.put("a")  # error
Store.size(3)  # error
fetch(3)  # error

# Wires
clean(raw)  # error
load(raw.output)  # error
merge(raw.output)  # error
merge([raw])  # error
merge(frames)  # error
merge(pages.outputs)  # error
merge(frames.outcomes)  # error
clean(fetch("a").output)  # error
clean(raw.outcome)  # error
clean(frame=raw.output.columns)  # error
clean(divide(1, 2).output[0])  # error
one, two, three = divide(1, 2).output  # error
clean(first([raw.output.rows]).output)  # error
print(fetch("a").output.rows)  # error
print(store.get("a").output.rows)  # error
narrower: Task[bool] = store.put("a")  # error

# Options
task(retry=3)  # error
task(retries="3")  # error
task(timeout="soon")(len)  # error
task(backend="thread")  # error
task(limits=["api"])  # error
task(validate="slow")  # error
task("load")  # error
load.options(path="a")  # error
load.options(tags=3)  # error
load.options(name=None)  # error
Limit(concurrency=5)  # error
Limit("api", 5)  # error
Limit("api", per_second="10")  # error
RetryPolicy(attempts=3, on="OSError")  # error
RetryPolicy(attempts=3, wait="1s")  # error

# Workflows
flow.add(load)  # error
flow.add(raw.output)  # error
flow.add(raw, 3)  # error
flow.add()  # error
flow.map(load, [1])  # error
flow.map(load, 3)  # error
flow.map(load, raw)  # error
flow.map(load)  # error
flow.map(len, ["a"])  # error
flow.map(resize, ["a"])  # error
flow.map(resize, ["a"], ["b"])  # error
flow.map(load, ["a"], ["b"])  # error
flow.map(clean, pages.outputs)  # error
flow.map(lambda path: load.call(path), ["a"])  # error
texts: Mapped[str] = flow.map(load, ["a"])  # error
pair: Task[tuple[bytes, Frame]] = flow.gather(raw.output, fetch("a").output)  # error
Workflow(3)  # error
Workflow("daily", failure="ignore")  # error
Workflow("daily", workers=3)  # error
flow.run(max_workers="2")  # error
flow.run(backend="thread")  # error
flow.stream(raw.output)  # error
flow.stream(raw, sort=True)  # error
flow.astream(raw, failure=None)  # error

# Results
page: Frame = run[fetch("a")]  # error
text: str = run[raw]  # error
single: Frame = run[frames]  # error
outcome: Outcome[Frame] = run.outcome(fetch("a"))  # error
print(run["load"])  # error
print(run[load])  # error
run.outcome(frames)  # error
run.outcomes(raw)  # error
results: list[str] = execute_tasks_in_parallel([clean(Frame(1))])  # error
certain: list[Frame] = execute_tasks_in_parallel([clean(Frame(1))], return_exceptions=True)  # error
execute_tasks_in_parallel([clean])  # error
for found in flow.stream(raw):
    print(found.output)  # error
