"""Pictures of the tables of the README, for light pages and for dark ones.

    python -m tests.benchmarks.plots

writes them from what the tables say, so that they show nothing that was not measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.table import read

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
FOLDER = ROOT / "docs" / "explanation" / "plots"


class Panel(NamedTuple):
    """One row of dots for each engine."""

    case: str
    """The title of its table."""
    column: str
    heading: str
    more_is_better: bool = False


class Plot(NamedTuple):
    """Some panels below one another."""

    title: str
    panels: Sequence[Panel]


PLOTS = {
    "tasks": Plot(
        "What a task that does nothing costs",
        [
            Panel("100,000 tasks that do nothing, 2 threads", "µs a task", "2 threads, µs a task"),
            Panel("100,000 tasks that do nothing, 2 processes", "µs a task", "2 processes, µs a task"),
        ],
    ),
    "workflows": Plot(
        "What a task that does nothing costs in a workflow",
        [
            Panel(
                "graphs of up to 100,000 nodes that do nothing, 2 threads",
                "µs a node, no edges",
                "none needs another, 2 threads, µs a task",
            ),
            Panel(
                "graphs of up to 100,000 nodes that do nothing, 2 threads",
                "µs a node, stencil",
                "each needs three others, 2 threads, µs a task",
            ),
            Panel(
                "a fan of up to 100,000 nodes that do nothing, 2 processes",
                "µs a node",
                "one is needed by all, 2 processes, µs a task",
            ),
            Panel(
                "a chain of up to 100,000 nodes that do nothing, 2 processes",
                "µs a node",
                "each needs the one before, 2 processes, µs a task",
            ),
        ],
    ),
    "data": Plot(
        "What large data costs, 2 processes",
        [
            Panel("an array of 50 MB given to 16 tasks, 2 processes", "ms", "an array of 50 MB given to 16 tasks, ms"),
            Panel(
                "a list of 1,000,000 ints given to 10 tasks, 2 processes",
                "ms",
                "a list of 1,000,000 ints given to 10 tasks, ms",
            ),
            Panel("32 results of 8 MB, 2 processes", "MB/s", "32 results of 8 MB, MB/s", more_is_better=True),
        ],
    ),
}

PALETTES = {
    "light": {"text": "#1b2430", "faint": "#536073", "line": "#d9dee6", "ours": "#1f5fbf", "others": "#8a95a5"},
    "dark": {"text": "#e6eaf0", "faint": "#a3afbf", "line": "#313a47", "ours": "#82b1f5", "others": "#8e99a9"},
}

WIDTH, LEFT, RIGHT = 780, 310, 720
ROW, HEAD, FOOT, TOP = 22, 38, 24, 40


class Dot(NamedTuple):
    """What one engine came to."""

    engine: str
    value: float
    least: float
    most: float
    shown: str


def main() -> None:
    """Write all plots."""
    write(README)


def write(readme: Path) -> None:
    """Write all plots of the tables in a file."""
    FOLDER.mkdir(exist_ok=True)
    for name, content in draw_all(readme.read_text()).items():
        (FOLDER / name).write_text(content)


def draw_all(text: str) -> dict[str, str]:
    """All plots of these tables, by the names of their files."""
    tables = read(text)
    return {
        f"{name}-{shade}.svg": _draw(plot, tables, palette)
        for name, plot in PLOTS.items()
        for shade, palette in PALETTES.items()
    }


def _draw(plot: Plot, tables: dict[str, list[dict[str, str]]], colour: dict[str, str]) -> str:
    parts: list[str] = []
    top = TOP
    for panel in plot.panels:
        dots = _dots(tables[panel.case], panel)
        parts += _panel(panel, dots, top, colour)
        top += HEAD + ROW * len(dots) + FOOT
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" role="img"'
        " font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\" font-size=\"13\""
        f' fill="{colour["text"]}">'
    )
    title = f"<title>{escape(plot.title)}</title>"
    heading = f'<text x="16" y="24" font-size="16" font-weight="600">{escape(plot.title)}</text>'
    return "\n".join([head, title, heading, *parts, "</svg>", ""])


def _dots(rows: Iterable[dict[str, str]], panel: Panel) -> list[Dot]:
    """What the engines of a table came to, the best first."""
    found = []
    for row in rows:
        shown, _, spread = row[panel.column].partition(" ")
        value = _number(shown)
        least, _, most = spread.strip("()").partition("–")
        ends = (_number(least), _number(most)) if spread else (value, value)
        found.append(Dot(row[""].removesuffix(" (chosen by hand)"), value, *ends, shown))
    return sorted(found, key=lambda dot: dot.value, reverse=panel.more_is_better)


def _number(shown: str) -> float:
    return float(shown.replace(",", ""))


def _panel(panel: Panel, dots: Sequence[Dot], top: int, colour: dict[str, str]) -> list[str]:
    """Its heading, a line for each power of ten, and the dots between the first and the last of these."""
    first = math.floor(math.log10(min(dot.least for dot in dots)))
    last = math.ceil(math.log10(max(dot.most for dot in dots)))
    bottom = top + HEAD + ROW * len(dots)

    def x(value: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (math.log10(value) - first) / (last - first), 1)

    better = "more" if panel.more_is_better else "less"
    parts = [
        f'<text x="16" y="{top + 20}" font-weight="600">{escape(panel.heading)}'
        f'<tspan font-weight="400" fill="{colour["faint"]}">; {better} is better</tspan></text>'
    ]
    for power in range(first, last + 1):
        at = x(10**power)
        parts += [
            f'<line x1="{at}" y1="{top + HEAD - 6}" x2="{at}" y2="{bottom}" stroke="{colour["line"]}"/>',
            f'<text x="{at}" y="{bottom + 14}" text-anchor="middle" font-size="11" fill="{colour["faint"]}">'
            f"{10**power:,.10g}</text>",
        ]
    for number, dot in enumerate(dots):
        parts += _row(dot, top + HEAD + ROW * number + ROW // 2, x(dot.value), x(dot.least), x(dot.most), colour)
    return parts


def _row(dot: Dot, y: int, at: float, least: float, most: float, colour: dict[str, str]) -> list[str]:
    ours = dot.engine.startswith("cotality")
    paint = colour["ours" if ours else "others"]
    weight = ' font-weight="600"' if ours else ""
    return [
        f'<text x="{LEFT - 14}" y="{y + 4}" text-anchor="end"{weight}>{escape(dot.engine)}</text>',
        f'<line x1="{least}" y1="{y}" x2="{most}" y2="{y}" stroke="{paint}" stroke-width="3" stroke-opacity="0.5"/>',
        f'<circle cx="{at}" cy="{y}" r="5" fill="{paint}"/>',
        f'<text x="{most + 10}" y="{y + 4}" font-size="12"{weight}>{dot.shown}</text>',
    ]


if __name__ == "__main__":
    main()
