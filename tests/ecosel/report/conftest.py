"""A real browser, with the network off, for the tests of the page."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from ecosel.choosing.choice import Origin
from ecosel.readers.table import ROW
from ecosel.report.page import as_page
from ecosel.selection import Selection, select


def find_chromium() -> str | None:
    return next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip("no chromium on this machine; apt-get install chromium (make test does so as root)")
    with sync_playwright() as playwright:
        # as root in a container Chromium has no sandbox of its own to go into
        launched = playwright.chromium.launch(executable_path=path, args=["--disable-gpu", "--no-sandbox"])
        yield launched
        launched.close()


MOVE = """async (moves) => {
  for (const [id, value] of moves) {
    const slider = document.getElementById(id);
    if (!slider) continue;
    slider.value = value;
    slider.dispatchEvent(new Event('input'));
  }
  for (let k = 0; k < 2; k++) await new Promise(requestAnimationFrame);
}"""


@dataclass
class Opened:
    """A page in the browser, and everything that it said or asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def dismiss(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def rows(self, choice: str) -> list[int]:
        """Return the row numbers that the page names as the best trade-off of a choice."""
        return [int(row) for row in (self.page.get_attribute(f"#{choice}-pick", "data-rows") or "").split()]

    def move(self, slider: str, value: float) -> None:
        """Move one slider, as a hand does, and wait until the page has redrawn."""
        self.page.evaluate(MOVE, [[slider, value]])

    def weigh(self, weights: list[float]) -> None:
        """Move every slider of a weight."""
        self.page.evaluate(MOVE, [[f"weight-{k}", weight] for k, weight in enumerate(weights)])

    def resize(self, width: int, height: int) -> None:
        """Change the window and wait until the charts are drawn anew."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.wait_for_function("(width) => document.body.dataset.width === String(width)", arg=width)
        self.settle()

    def settle(self) -> None:
        self.page.wait_for_selector("body[data-ready]", timeout=30_000)


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Open a file in a fresh context without a network and wait until all charts are drawn."""
    contexts = []

    def open_file(path: Path, address: str = "", **options: Any) -> Opened:
        context = browser.new_context(offline=True, **{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        opened = Opened(context.new_page())
        opened.page.on("console", lambda message: opened.said.append(message.text))
        opened.page.on("pageerror", lambda error: opened.said.append(str(error)))
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.on("dialog", opened.dismiss)
        opened.page.goto(path.as_uri() + address)
        if options.get("java_script_enabled", True):
            opened.settle()
        return opened

    yield open_file
    for context in contexts:
        context.close()


def address(shown: Opened) -> str:
    """Return what the page keeps in its address, once it has written it."""
    # a move is drawn in the next frame, and written 150 ms later
    shown.page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 170))))"
    )
    return re.sub(r"^[^#]*", "", shown.page.url)


def selected(frame: pl.DataFrame, **options: Any) -> tuple[Selection, pl.DataFrame]:
    """Choose from a frame as the command does; return the selection and the rows with their numbers."""
    rows = frame.with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))
    name = options.pop("name", "archive.csv")
    return select(rows, options.pop("objectives", None), origin=Origin(name), **options), rows


_PAGES: dict[tuple[int, str], tuple[str, Selection]] = {}


def written(path: Path, frame: pl.DataFrame, **options: Any) -> Selection:
    """Write the page of a frame, made once for the same frame and options; return what was chosen."""
    key = (id(frame), repr(options))
    if key not in _PAGES:
        selection, rows = selected(frame, **options)
        page = as_page(selection, rows, command="ecosel report archive.csv", folder=path.parent)
        _PAGES[key] = (page, selection)
    page, selection = _PAGES[key]
    path.write_text(page, encoding="utf-8")
    return selection
