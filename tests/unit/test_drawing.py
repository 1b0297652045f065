"""Pictures of workflows."""

from __future__ import annotations

import re
import shutil
import time

import pytest

from cotality.workflow import Workflow, task


@task
def load(number: int) -> int:
    return number


@task
def add(left: int, right: int = 0) -> int:
    return left + right


def test_a_small_one_is_drawn_as_it_is() -> None:
    flow = Workflow("sums")
    one, two = load(1), load(2)
    flow.add(add(one.output, one.output).after(two))
    flow.map(add, flow.map(load, [1, 2]).outputs)
    drawing = flow.draw()
    assert not drawing.folded
    labels = re.findall(r'(n\d+)\["(.*?)"\]', drawing.mermaid)
    assert sorted(label for _place, label in labels) == ["add", "load", "load", "map of add", "map of load"]
    names = dict(labels)
    edges = [(names[source], names[target]) for source, target in re.findall(r"(n\d+) --> (n\d+)", drawing.mermaid)]
    assert sorted(edges) == [("load", "add"), ("load", "add"), ("map of load", "map of add")]
    assert drawing.dot.count("->") == 3
    assert str(drawing) == drawing.mermaid


def test_a_large_one_is_folded_in_time_that_grows_with_it() -> None:
    seconds = {}
    for size in (10_000, 100_000):
        flow = Workflow("chain")
        last = load(0)
        for _ in range(size):
            last = add(last.output)
        flow.add(last)
        began = time.process_time()
        drawing = flow.draw()
        seconds[size] = time.process_time() - began
        assert drawing.folded
        assert drawing.mermaid.splitlines() == [
            "flowchart LR",
            '    n0["load"]',
            f'    n1["add × {size:,}"]',
            "    n0 --> n1",
            "    n1 --> n1",
        ]
    assert seconds[100_000] < 30 * seconds[10_000]


def test_to_fold_can_be_chosen() -> None:
    flow = Workflow("many")
    for number in range(60):
        flow.add(load(number))
    assert flow.draw().folded
    assert flow.draw(fold=False).mermaid.count('["load"]') == 60


def test_names_are_only_names() -> None:
    flow = Workflow("hostile")
    flow.add(load.options(name='a"]<script>\n\x1b[31m\\"')(1))
    drawing = flow.draw()
    (label,) = re.findall(r'n0\["(.*)"\]', drawing.mermaid)
    assert not set('"<>[]\n\x1b') & set(label)
    assert '[label="a\\"]<script>  [31m\\\\\\""]' in drawing.dot


def test_svg(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Workflow("sums")
    flow.add(load(1))
    if shutil.which("dot") is not None:
        assert "<svg" in flow.draw().svg()
        assert "image/svg+xml" in flow.draw()._repr_mimebundle_()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="Graphviz"):
        flow.draw().svg()
    assert set(flow.draw()._repr_mimebundle_()) == {"text/plain", "text/vnd.mermaid"}
