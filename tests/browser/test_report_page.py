"""The pages as a person meets them: what is seen, what can be clicked, in Chromium."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotality.workflow import Workflow, compare
from tests.contract import flows
from tests.unit.test_report import large

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[31m\u202e\n"
DARK = {"color_scheme": "dark"}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}

Visit = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of a run with a bit of everything, and of two runs."""
    folder = tmp_path_factory.mktemp("pages")
    flow = Workflow(f"nightly {EVIL}", backend="threads", max_workers=4, failure="finish")
    slept = flow.map(flows.sleep, [0.01] * 11 + [0.2])
    flow.map(flows.fail_if_odd, range(60))
    flow.add(flows.flaky.options(retries=1)(str(folder / "notes"), 2))
    bad = flow.add(flows.fail.options(name=EVIL)(EVIL))
    flow.add(flows.add(bad.output))
    flow.add(flows.give(slept.outputs).after(slept))
    run = flow.run(raise_failures=False)
    run.report(folder / "run.html")
    compare(run, flow.run(raise_failures=False), folder / "two.html")
    return folder


def contrast_of(page: Any) -> list[tuple[float, str]]:
    """The lowest contrasts of texts with what is behind them."""
    found: list[list[Any]] = page.evaluate(
        """() => {
          const numbers = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
          const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
          const behind = (node) => {
            for (let each = node; each; each = each.parentElement) {
              const colour = numbers(getComputedStyle(each).backgroundColor);
              if (colour.length === 3 || colour[3] > 0) return colour;
            }
            return [255, 255, 255];
          };
          const found = [];
          for (const node of document.querySelectorAll("body *")) {
            const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
            if (!own || !node.getClientRects().length) continue;
            const style = getComputedStyle(node), svg = node instanceof SVGElement;
            if (svg && node.tagName !== "text") continue;
            const [a, b] = [light(numbers(svg ? style.fill : style.color)), light(behind(node))].sort((x, y) => y - x);
            found.push([(a + 0.05) / (b + 0.05), node.tagName + ": " + node.textContent.trim().slice(0, 40)]);
          }
          return found.sort((x, y) => x[0] - y[0]).slice(0, 5);
        }"""
    )
    return [(ratio, text) for ratio, text in found]


def told(page: Any) -> str:
    """What the timeline says of the task that is chosen."""
    text: str = page.locator("#timeline-told").inner_text()
    return text


def at(page: Any, share: float, lane: int = 0) -> dict[str, float]:
    """Where on the canvas a share of the time shown is, on a lane."""
    width = page.locator("#timeline-canvas").bounding_box()["width"]
    gutter = min(150, round(width * 0.27))
    return {"x": gutter + share * (width - gutter), "y": 46 + 20 + lane * 20 + 10}


def test_every_section_is_seen_and_led_to(folder: Path, visit: Visit) -> None:
    page = visit(folder / "run.html")
    assert page.title().startswith("nightly </script><script>")
    assert page.get_by_role("heading", level=1).is_visible()
    names = page.get_by_role("navigation").get_by_role("link").all_inner_texts()
    assert names == [
        "Figures",
        "Failures",
        "Timeline",
        "Critical path",
        "Time by task",
        "Stragglers",
        "Graph",
        "Memory",
        "Environment",
    ]
    for name in names:
        page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
        heading = page.locator(page.evaluate("location.hash"))
        assert heading.is_visible()
        assert heading.bounding_box()["y"] >= 40, "behind the navigation"
    for role in ("main", "contentinfo", "banner"):
        assert page.get_by_role(role).count() == 1


def test_failures_are_read_and_opened(folder: Path, visit: Visit) -> None:
    page = visit(folder / "run.html")
    section = page.locator("section", has=page.locator("#failures"))
    assert "30 × ValueError" in section.get_by_text("30 × ValueError").inner_text()
    first, second = section.locator("pre").all()
    assert first.is_visible()
    assert "raise ValueError(number)" in first.inner_text()
    assert not second.is_visible()
    section.get_by_text("1 × ValueError").click()
    assert second.is_visible()
    assert "raise error" in second.inner_text()


def test_a_hostile_name_is_only_a_name(folder: Path, visit: Visit) -> None:
    page = visit(folder / "run.html")
    page.wait_for_function("document.readyState === 'complete'")
    assert page.locator("img").count() == 0
    assert page.locator("main").get_by_text("<img src=x onerror=alert(1)>\\x1b[31m\\u202e\\n").count() > 2


@pytest.mark.parametrize("name", ["run.html", "two.html"])
def test_a_script_that_has_come_in_after_all_is_refused(folder: Path, chromium: Any, name: str) -> None:
    page = chromium.new_page()
    page.goto((folder / name).as_uri())
    with page.expect_console_message() as said:
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {text: 'window.evil = 1'}))"
        )
    assert "Content Security Policy" in said.value.text
    assert page.evaluate("window.evil") is None
    page.close()


def test_the_timeline_is_asked_with_the_mouse(folder: Path, visit: Visit) -> None:
    page = visit(folder / "run.html")
    canvas = page.locator("#timeline-canvas")
    assert told(page) == "No task is chosen."
    canvas.scroll_into_view_if_needed()
    for lane in range(4):
        canvas.click(position=at(page, 0.6, lane))
        if "sleep" in told(page):
            break
    assert "succeeded; began at" in told(page), "the long one is at work then"
    assert "took 20" in told(page)
    canvas.click(position={"x": 20, "y": 30})
    assert told(page) == "No task is chosen."


def test_the_timeline_is_asked_with_the_keyboard(folder: Path, visit: Visit) -> None:
    page = visit(folder / "run.html")
    page.locator("#timeline-canvas").focus()
    seen = set()
    for _ in range(100):
        page.keyboard.press("ArrowRight")
        seen.add(told(page))
    assert any("flaky" in each and "attempt 1" in each and "retried" in each for each in seen)
    assert any("flaky" in each and "attempt 2" in each and "succeeded" in each for each in seen)
    assert any("fail_if_odd" in each and ": failed; began at" in each for each in seen)
    page.keyboard.press("Escape")
    assert told(page) == "No task is chosen."


def test_the_timeline_is_zoomed_and_moved(folder: Path, visit: Visit) -> None:
    page = visit(folder / "run.html")
    canvas = page.locator("#timeline-canvas")

    def drawn() -> str:
        url: str = canvas.evaluate("canvas => canvas.toDataURL()")
        return url

    whole = drawn()
    page.get_by_role("button", name="Zoom in").click()
    near = drawn()
    assert near != whole
    page.get_by_role("button", name="Later").click()
    later = drawn()
    assert later != near
    page.get_by_role("button", name="Earlier").click()
    assert drawn() == near
    page.get_by_role("button", name="Zoom out").click()
    assert drawn() == whole
    canvas.focus()
    page.keyboard.press("+")
    assert drawn() == near
    page.keyboard.press("0")
    assert drawn() == whole
    canvas.hover(position=at(page, 0.5))
    page.mouse.down()
    page.mouse.move(600, 400, steps=3)
    page.mouse.up()
    assert drawn() == whole, "there is nothing beyond the run"
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="Whole run").click()
    assert drawn() == whole


@pytest.mark.parametrize("options", [{}, DARK, PHONE, {**PHONE, **DARK}], ids=["light", "dark", "phone", "dark-phone"])
@pytest.mark.parametrize("name", ["run.html", "two.html"])
def test_it_can_be_read_everywhere(folder: Path, visit: Visit, name: str, options: Any) -> None:
    page = visit(folder / name, **options)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it is wider than the screen"
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    ratio, text = contrast_of(page)[0]
    assert ratio >= 4.5, text
    dark = options.get("color_scheme") == "dark"
    assert (page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 28)") == dark


@pytest.mark.parametrize("name", ["run.html", "two.html"])
def test_it_can_be_used_without_seeing_it(folder: Path, visit: Visit, name: str) -> None:
    page = visit(folder / name)
    assert page.evaluate("[...document.querySelectorAll('table')].every((table) => table.caption)")
    assert page.evaluate("[...document.querySelectorAll('th')].every((cell) => cell.scope)")
    assert page.evaluate(
        "[...document.querySelectorAll('svg:not([aria-hidden])')].every((image) => image.getAttribute('aria-label'))"
    )
    assert page.evaluate("new Set([...document.querySelectorAll('[id]')].map((each) => each.id)).size") == (
        page.locator("[id]").count()
    )
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().x") > 0


def test_it_can_be_printed(folder: Path, visit: Visit) -> None:
    page = visit(folder / "run.html", **DARK)
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.get_by_role("button", name="Zoom in").is_visible()
    assert page.pdf().startswith(b"%PDF")


def test_without_scripts_only_the_timeline_is_missing(folder: Path, visit: Visit) -> None:
    page = visit(folder / "run.html", java_script_enabled=False)
    assert page.get_by_text("The timeline needs JavaScript").is_visible()
    assert page.get_by_role("heading", name="Critical path").is_visible()


def test_two_runs_are_seen_side_by_side(folder: Path, visit: Visit) -> None:
    page = visit(folder / "two.html")
    figures = page.locator("section", has=page.locator("#figures"))
    assert figures.get_by_role("row", name="Tasks that failed").get_by_role("cell").first.inner_text() == "31"
    assert page.locator("section", has=page.locator("#failures")).get_by_text("the same").count() == 2
    assert page.get_by_role("row", name="fail_if_odd").first.is_visible()


def test_hundred_thousand_tasks_open_within_two_seconds(visit: Visit, tmp_path: Path) -> None:
    large().report(tmp_path / "large.html")
    took: list[float] = []
    while min(took, default=2.0) >= 2 and len(took) < 3:
        # Once more, where the machine was busy with something else.
        begun = time.monotonic()
        page = visit(tmp_path / "large.html")
        page.locator("#timeline-canvas").focus()
        page.keyboard.press("ArrowRight")
        assert "succeeded" in told(page)
        took.append(time.monotonic() - begun)
    assert min(took) < 2
