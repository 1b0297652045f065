"""A picture of a workflow: which task needs which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from cotality.parallel import Mapped, Task
from cotality.parallel.building import needs_of

MOST_NODES = 50
"""More nodes than these are drawn as one for each name."""
MOST_LETTERS = 24
"""More of a name do not fit into the box that is drawn for it."""


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
        """The picture as SVG."""
        # Only who wants a picture pays for importing it.
        from cotality.workflow._layout import HEIGHT, WIDTH, lay_out

        layout = lay_out(len(self._labels), [edge for edge in self._edges if edge[0] != edge[1]])
        needs_itself = {source for source, target in self._edges if source == target}
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {layout.width:g} {layout.height:g}" '
            f'width="{layout.width:g}" height="{layout.height:g}" font-family="sans-serif" font-size="13">',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
            '<path d="M0 0L8 4L0 8z" fill="#64748b"/></marker></defs>',
            '<g fill="none" stroke="#64748b" stroke-width="1.2" marker-end="url(#tip)">',
            *(f'<path d="{line}" marker-end="url(#tip)"/>' for line in layout.lines),
            "</g>",
        ]
        for place, ((x, y), label) in enumerate(zip(layout.spots, self._labels, strict=True)):
            parts += [
                f'<g><title>{escape(_in_a_line(label))}</title><rect x="{x:g}" y="{y:g}" width="{WIDTH}" '
                f'height="{HEIGHT}" rx="5" fill="#f8fafc" stroke="#94a3b8"/>',
                f'<text x="{x + WIDTH / 2:g}" y="{y + HEIGHT / 2 + 4:g}" text-anchor="middle" fill="#0f172a">'
                f"{escape(_short(label))}{' ↻' if place in needs_itself else ''}</text></g>",
            ]
        return "\n".join([*parts, "</svg>"])

    def __str__(self) -> str:
        return self.mermaid

    def __repr__(self) -> str:
        return f"<Drawing of {len(self._labels)} nodes and {len(self._edges)} edges>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """For notebooks: whichever of these they show."""
        return {"text/plain": self.mermaid, "text/vnd.mermaid": self.mermaid, "image/svg+xml": self.svg()}


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


def _short(label: str) -> str:
    label = _in_a_line(label)
    return label if len(label) <= MOST_LETTERS else f"{label[: MOST_LETTERS - 1]}…"
