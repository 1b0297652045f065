"""Pictures of workflows."""

from __future__ import annotations

import re
import time
from xml.etree import ElementTree

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


def test_svg_has_a_box_for_each_node_and_a_line_for_each_edge() -> None:
    flow = Workflow("sums")
    flow.add(add(load(1).output, load.options(name='<b>&"\x1b' + 40 * "x")(2).output))
    drawing = flow.draw()
    root = ElementTree.fromstring(drawing.svg())
    space = "{http://www.w3.org/2000/svg}"
    boxes = [tuple(float(box.attrib[name]) for name in ("x", "y")) for box in root.iter(f"{space}rect")]
    assert len(set(boxes)) == 3
    assert [text.text for text in root.iter(f"{space}text")] == ["load", '<b>&" xxxxxxxxxxxxxxxxx…', "add"]
    assert [title.text for title in root.iter(f"{space}title")][1] == '<b>&" ' + 40 * "x"
    # What is needed stands to the left of what needs it.
    assert boxes[0][0] == boxes[1][0] < boxes[2][0]
    assert len(root.findall(f"{space}g/{space}path")) == 2
    assert drawing._repr_mimebundle_()["image/svg+xml"] == drawing.svg()


def test_svg_of_a_name_that_needs_itself() -> None:
    step = load(0)
    for _ in range(60):
        step = load(step.output)
    flow = Workflow("chain")
    flow.add(step)
    svg = flow.draw().svg()
    assert "load × 61 ↻" in svg
    assert svg.count("<rect") == 1


def test_svg_of_nothing() -> None:
    assert ElementTree.fromstring(Workflow("empty").draw().svg()).tag.endswith("svg")
