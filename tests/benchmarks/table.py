"""The tables: a summary, and one table per case; Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.case import Figure
from tests.benchmarks.runner import Result, Row, Summary

BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
SAME = 0.02
"""Medians closer than this share of each other are shown as one value, without their spread."""


def render(results: Sequence[Result], *, surroundings: str, left_out: Sequence[str]) -> str:
    """All tables, with what they depend on above them."""
    quick = any(result.quick for result in results)
    parts = [
        f"Measured on {surroundings}. Median of the rounds (least–most)."
        + (" A quick run: smaller cases, fewer rounds, the slowest peers not in every case." if quick else ""),
        *(f"{library} is not installed: left out." for library in left_out),
        _summary(results),
        *(_details(result) for result in results),
    ]
    return "\n\n".join(parts) + "\n"


def write(file: Path, text: str) -> None:
    """Replace what stands between the two marks of a file.

    Raises:
        ValueError: the file lacks the marks.
    """
    old = file.read_text()
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{file} has no part between {BEGIN} and {END}")
    file.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def _summary(results: Sequence[Result]) -> str:
    """Ours beside the best other, for each figure that is compared."""
    lines = ["| what | unit | cotality | best other | which |", "|---|---|--:|--:|---|"]
    for result in results:
        for figure in result.case.figures:
            ours = _best([row for row in result.rows if row.peer.ours], figure)
            other = _best([row for row in result.rows if not row.peer.ours and not row.peer.tuned], figure)
            if figure.best and ours and other:
                label = result.case.label(other[0].peer)
                values = f"{_number(ours[1].median)} | {_number(other[1].median)}"
                lines.append(f"| {result.title} | {figure.unit} | {values} | {label} |")
    return "\n".join(lines)


def _best(rows: Sequence[Row], figure: Figure) -> tuple[Row, Summary] | None:
    known = [(row, summary) for row in rows if (summary := row.summary(figure))]
    sign = -1 if figure.best == "most" else 1
    return min(known, key=lambda pair: sign * pair[1].median, default=None)


def _details(result: Result) -> str:
    figures = result.case.figures
    lines = [
        f"**{result.title}**\n",
        "| | " + " | ".join(figure.unit for figure in figures) + " |",
        "|---|" + "--:|" * len(figures),
    ]
    for row in result.rows:
        label = result.case.label(row.peer) + (" (chosen by hand)" if row.peer.tuned else "")
        cells = [_cell(row.summary(figure)) for figure in figures]
        if row.errors:
            cells[0] += f" {len(row.errors)} of {len(row.errors) + len(row.rounds)} rounds failed: {row.errors[0]}"
        lines.append(f"| {label} | " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _cell(summary: Summary | None) -> str:
    if summary is None:
        return "–"
    if summary.most - summary.least <= SAME * abs(summary.median):
        return _number(summary.median)
    return f"{_number(summary.median)} ({_number(summary.least)}–{_number(summary.most)})"


def _number(value: float) -> str:
    """About three digits."""
    size = abs(value)
    digits = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2
    return f"{value:,.{digits}f}"


def read(text: str) -> dict[str, list[dict[str, str]]]:
    """The tables of all cases in a text, by their titles: a dict for each row, by the heads of the columns."""
    found: dict[str, list[dict[str, str]]] = {}
    title = ""
    heads: list[str] = []
    for line in text.partition(BEGIN)[2].partition(END)[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("**"):
            title, heads = line.strip("*"), []
        elif not line.startswith("|") or line.startswith("|---"):
            continue
        elif not heads:
            heads = cells
        else:
            found.setdefault(title, []).append(dict(zip(heads, cells, strict=True)))
    return found
