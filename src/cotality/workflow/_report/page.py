"""The pages: one file each, which needs no network and runs nothing but its own script."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from cotality.parallel.recounting import shown
from cotality.workflow._report import comparison, words
from cotality.workflow._report.facts import Facts
from cotality.workflow._report.paths import critical_path, span_of
from cotality.workflow._report.picture import picture_of
from cotality.workflow._report.timeline import STATES, timeline_of
from cotality.workflow._report.times import STRANGE, by_name, edges_of, stragglers_of, times_of, waited_of

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_NAMES = 200
MOST_STEPS = 60
MOST_STRAGGLERS = 15
MOST_PROCESSES = 64
MOST_NAMES_OF_A_CAUSE = 12


def require_jinja() -> None:
    """See that pages can be made here.

    Raises:
        ImportError: jinja2 is missing.
    """
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise ImportError('a report needs jinja2: pip install "cotality-workflow[report]"') from error


def page_of(record: Facts) -> str:
    """A run as a page.

    Raises:
        ImportError: jinja2 is missing.
    """
    require_jinja()
    rows = record.rows
    names, edges = by_name(rows), edges_of(rows)
    times = times_of(names, edges)
    stragglers = stragglers_of(names, times)
    timeline, path = timeline_of(record), critical_path(record)
    memory = sorted(((name, size) for name, size in record.memory.items() if size), key=lambda each: -each[1])
    drawn = {STATES[bar.state] for bar in timeline.bars}
    script = _asset("timeline.js")
    told = {
        "record": record,
        "places": {row.index: row.place for row in rows if row.place is not None},
        "tasks": sum(record.counts.values()),
        "retried": sum(len(row.earlier) for row in rows),
        "timeline": timeline,
        "states_drawn": [state for state in STATES if state in drawn],
        "data": _embedded({"duration": max(1, round(record.duration * 1e6)), **timeline.columns()}),
        "path": path,
        "path_shown": path.rows[:MOST_STEPS],
        "times": times,
        "times_shown": times[:MOST_NAMES],
        "edges": edges,
        "stragglers": stragglers,
        "stragglers_shown": stragglers[:MOST_STRAGGLERS],
        "strange": STRANGE,
        "picture": picture_of(record),
        "memory": memory,
        "memory_shown": memory[:MOST_PROCESSES],
        "peak": memory[0][1] if memory else 0,
        "most_names": MOST_NAMES_OF_A_CAUSE,
        "sections": _sections(record, has_bars=bool(timeline.bars), has_path=bool(path.rows)),
    }
    return _render("run.html", script, told)


def _sections(record: Facts, *, has_bars: bool, has_path: bool) -> list[tuple[str, str]]:
    """What there is to go to."""
    there = {
        "failures": bool(record.causes),
        "timeline": has_bars,
        "path": has_path,
        "times": bool(record.rows),
        "stragglers": bool(record.counts),
        "graph": bool(record.counts),
    }
    named = {
        "figures": "Figures",
        "failures": "Failures",
        "timeline": "Timeline",
        "path": "Critical path",
        "times": "Time by task",
        "stragglers": "Stragglers",
        "graph": "Graph",
        "memory": "Memory",
        "environment": "Environment",
    }
    return [(anchor, name) for anchor, name in named.items() if there.get(anchor, True)]


def comparison_of(first: Facts, second: Facts) -> str:
    """Two runs as a page.

    Raises:
        ImportError: jinja2 is missing.
    """
    require_jinja()
    edges = edges_of([*first.rows, *second.rows])
    pairs = comparison.pairs_of(times_of(by_name(first.rows), edges), times_of(by_name(second.rows), edges))
    told = {
        "first": first,
        "second": second,
        "figures": comparison.figures_of(first, second),
        "pairs": pairs,
        "pairs_shown": pairs[:MOST_NAMES],
        "edges": edges,
        "causes": comparison.causes_of(first, second),
        "environment": list(dict.fromkeys((*first.environment, *second.environment))),
    }
    return _render("compare.html", "", told)


# Rendering -----------------------------------------------------------------------------------------------------------


def _render(template: str, script: str, told: dict[str, Any]) -> str:
    from markupsafe import Markup

    style = _asset("style.css")
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script) if script else _NOTHING}; "
    policy += "base-uri 'none'; form-action 'none'"
    marked = {"policy": Markup(policy), "style": Markup(style), "script": Markup(script), "newline": Markup("\n")}
    return _environment().get_template(template).render({**told, **marked})


_NOTHING = "'none'"


@cache
def _asset(name: str) -> str:
    return files("cotality.workflow._report").joinpath("templates", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """How a policy names what may be on its page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _embedded(data: Any) -> Any:
    """Data as JSON that can stand in a page: no letter of it means anything to HTML."""
    from markupsafe import Markup

    text = json.dumps(data, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (words.seconds, words.count, words.many, words.share, words.factor, words.size, words.moment):
        environment.filters[filter_.__name__] = filter_
    environment.filters.update(short=_short, span=span_of, waited=waited_of)
    return environment


def _finalized(value: Any) -> Any:
    """What is shown of a value: of a text, control characters and what turns the direction of writing as escapes."""
    return shown(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _short(text: str, most: int) -> str:
    text = shown(str(text))
    return text if len(text) <= most else f"{text[: most - 1]}…"
