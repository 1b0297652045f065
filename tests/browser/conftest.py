"""A real browser without a window: Chromium of the system, or the one that playwright has installed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser; its tests are skipped where there is none.

    As long as playwright is there, an event loop runs in this thread: tests of other modules could have none.
    """
    api = pytest.importorskip("playwright.sync_api", reason="the extra browser is not installed")
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    with api.sync_playwright() as playwright:
        try:
            # In a container Chromium has no sandbox of its own.
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        except api.Error as error:
            pytest.skip(f"there is no Chromium here: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens a file as a page of its own, and sees that nothing on it was refused, raised, or fetched."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_page(path: Any, **options: Any) -> Any:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on(
            "request", lambda request: request.url.startswith("file:") or complaints.append(f"fetched {request.url}")
        )
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
