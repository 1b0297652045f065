"""A picture of a workflow: which task needs which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from cotality.parallel import Mapped, Task
from cotality.parallel.building import needs_of

MOST_NODES = 50
"""More nodes than these are drawn as one for each name."""
SVG_SECONDS = 30


class Drawing:
    """A picture of a workflow, as text; in a notebook it shows itself.

    Attributes:
        folded: Whether tasks of one name are drawn as one.

    Example:
        >>> from cotality.workflow import Workflow, task
        >>> @task
        ... def load(path: str) -> list[int]:
        ...     return [1, 2]
        >>> @task
        ... def total(numbers: list[int]) -> int:
        ...     return sum(numbers)
        >>> flow = Workflow()
        >>> _ = flow.add(total(load("a.csv").output))
        >>> print(flow.draw().mermaid)
        flowchart LR
            n0["load"]
            n1["total"]
            n0 --> n1
    """

    def __init__(self, nodes: Sequence[Task[Any] | Mapped[Any]], *, fold: bool | None) -> None:
        self.folded: bool = len(nodes) > MOST_NODES if fold is None else fold
        self._labels, self._edges = _folded(nodes) if self.folded else _whole(nodes)

    @property
    def mermaid(self) -> str:
        """The picture in the language of Mermaid, which GitHub and many editors show."""
        lines = [f'    n{place}["{_for_mermaid(label)}"]' for place, label in enumerate(self._labels)]
        lines += [f"    n{source} --> n{target}" for source, target in self._edges]
        return "\n".join(["flowchart LR", *lines])

    @property
    def dot(self) -> str:
        """The picture in the language of Graphviz."""
        lines = [f'    n{place} [label="{_for_dot(label)}"]' for place, label in enumerate(self._labels)]
        lines += [f"    n{source} -> n{target}" for source, target in self._edges]
        return "\n".join(["digraph {", "    rankdir=LR", "    node [shape=box, fontname=sans]", *lines, "}"])

    def svg(self) -> str:
        """The picture as SVG.

        Raises:
            FileNotFoundError: Graphviz is not installed.
            RuntimeError: Graphviz could not draw it.
        """
        # Only who wants SVG pays for importing it.
        import subprocess

        program = _graphviz()
        if program is None:
            raise FileNotFoundError("SVG needs Graphviz, whose program dot was not found: install it, or use .mermaid")
        ended = subprocess.run(
            [program, "-Tsvg"], input=self.dot, capture_output=True, text=True, timeout=SVG_SECONDS, check=False
        )
        if ended.returncode:
            raise RuntimeError(f"Graphviz could not draw it: {ended.stderr.strip()}")
        return ended.stdout

    def __str__(self) -> str:
        return self.mermaid

    def __repr__(self) -> str:
        return f"<Drawing of {len(self._labels)} nodes and {len(self._edges)} edges>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """For notebooks: SVG where it can be made, and Mermaid's text everywhere."""
        bundle = {"text/plain": self.mermaid, "text/vnd.mermaid": self.mermaid}
        if _graphviz() is not None:
            bundle["image/svg+xml"] = self.svg()
        return bundle


def _graphviz() -> str | None:
    from shutil import which

    return which("dot")


def _whole(nodes: Sequence[Task[Any] | Mapped[Any]]) -> tuple[list[str], list[tuple[int, int]]]:
    places = {node: place for place, node in enumerate(nodes)}
    edges = [(places[need], place) for place, node in enumerate(nodes) for need in _sources(node)]
    return [node.name for node in nodes], edges


def _folded(nodes: Sequence[Task[Any] | Mapped[Any]]) -> tuple[list[str], list[tuple[int, int]]]:
    """One node for each name, with how many it stands for."""
    numbers = Counter(node.name for node in nodes)
    places = {name: place for place, name in enumerate(numbers)}
    edges = dict.fromkeys((places[need.name], places[node.name]) for node in nodes for need in _sources(node))
    return [name if number == 1 else f"{name} × {number:,}" for name, number in numbers.items()], list(edges)


def _sources(node: Task[Any] | Mapped[Any]) -> Iterable[Task[Any] | Mapped[Any]]:
    return dict.fromkeys(needs_of(node))


_MERMAID = {ord(letter): f"#{ord(letter)};" for letter in "\"#&<>'`[]{}"}
"""What means something to Mermaid or to HTML, as the entities that it takes."""


def _for_mermaid(label: str) -> str:
    return _in_a_line(label).translate(_MERMAID)


def _for_dot(label: str) -> str:
    return _in_a_line(label).replace("\\", "\\\\").replace('"', '\\"')


def _in_a_line(label: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in label)
