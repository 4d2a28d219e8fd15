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
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Page, Request, ViewportSize, sync_playwright

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


SCREEN: ViewportSize = {"width": 1280, "height": 900}
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

    def listen(self, *, on: bool = True) -> None:
        """Note what the page says and asks for from now on, or no more."""
        change: Callable[..., None] = self.page.on if on else self.page.remove_listener
        for event, heard in (
            ("console", self.hear), ("pageerror", self.hear), ("request", self.note), ("dialog", self.dismiss),
        ):  # fmt: skip
            change(event, heard)

    def hear(self, message: ConsoleMessage | Error) -> None:
        self.said.append(message.text if isinstance(message, ConsoleMessage) else str(message))

    def note(self, request: Request) -> None:
        self.requests.append(request.url)

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
        self.page.wait_for_selector("body[data-ready]")


@pytest.fixture(scope="session")
def pages(browser: Browser) -> dict[bool, list[Page]]:
    """Return the pages that no test uses now, with and without scripts: a page in a new process takes twice as long to open."""
    return {True: [], False: []}


@pytest.fixture
def opened(browser: Browser, pages: dict[bool, list[Page]]) -> Iterator[Callable[..., Opened]]:
    """Open a file without a network, in a page that shows nothing else, and wait until all charts are drawn."""
    used: list[tuple[bool, Opened]] = []

    def open_file(
        path: Path,
        address: str = "",
        *,
        viewport: ViewportSize = SCREEN,
        color_scheme: Any = "light",
        java_script_enabled: bool = True,
    ) -> Opened:
        free = pages[java_script_enabled]
        page = free.pop() if free else browser.new_context(offline=True, java_script_enabled=java_script_enabled).new_page()
        opened = Opened(page)
        used.append((java_script_enabled, opened))
        page.set_default_timeout(300_000)  # what hangs is seen, and what is slow on a busy machine is not
        page.mouse.move(0, 0)
        page.emulate_media(media="screen", color_scheme=color_scheme)
        page.set_viewport_size(viewport)
        opened.listen()
        page.goto(path.as_uri() + address)
        if java_script_enabled:
            opened.settle()
        return opened

    yield open_file
    for scripted, shown in used:
        shown.listen(on=False)
        if not shown.page.is_closed():
            pages[scripted].append(shown.page)


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
