"""Time `ecosel report` and its page in a browser: python -m tests.benchmarks.report_page [--rows 1000 1000000] [--repeats 5].

Needs chromium and playwright. For each number of models: the whole process, beside `ecosel select` on the same file (what
reading and choosing take); the size of the page; and in headless Chromium with the network off, each time in a fresh page,
the time from the start of loading until the first chart and until all charts are drawn, and of a move of a slider from its
event until the frame with all charts redrawn has been handed over (median of 20 moves; no less than two frames of 16 ms). The archive is that of cold_start.py.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.benchmarks.cold_start import COLUMNS, measured

OBJECTIVES = ["--maximize", COLUMNS[0], *(part for column in COLUMNS[1:] for part in ("--minimize", column))]
MOVES = 20
MOVE = """async (value) => {
  const slider = document.querySelector('input[data-weight="1"]');
  const start = performance.now();
  slider.value = value;
  slider.dispatchEvent(new Event('input'));
  await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return performance.now() - start;
}"""


def in_browser(browser: Browser, page: Path) -> dict[str, float]:
    """Open the page once and move a slider; return milliseconds."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.goto(page.as_uri())
    tab.wait_for_selector("body[data-ready]", timeout=120_000)
    drawn = tab.evaluate("[Number(document.body.dataset.firstChartMs), Number(document.body.dataset.readyMs)]")
    moves = [tab.evaluate(MOVE, 2 * k / MOVES) for k in range(1, MOVES + 1)]
    context.close()
    return {
        "first chart ms": drawn[0], "all charts ms": drawn[1],
        "slider ms": statistics.median(moves),
    }  # fmt: skip


def written(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no chromium here; install the package chromium")
    lines = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--disable-gpu", "--no-sandbox"])
        for rows in arguments.rows:
            archive, page, picks = (Path(folder) / name for name in (f"{rows}.csv", f"{rows}.html", "picks.json"))
            writer = [sys.executable, str(Path(__file__).with_name("cold_start.py")), "--write", str(rows), str(archive)]
            subprocess.run(writer, check=True)
            runs: dict[str, list[float]] = {}
            for repeat in range(arguments.repeats + 1):
                report = measured(["-m", "ecosel", "report", str(archive), *OBJECTIVES, "-o", str(page), "--force"])[0]
                select = measured(["-m", "ecosel", "select", str(archive), *OBJECTIVES, "-o", str(picks)])[0]
                figures = {
                    "report s": report,
                    "select s": select,
                    "report - select s": report - select,
                    **in_browser(browser, page),
                }
                for name, value in figures.items() if repeat else ():  # the first warms caches
                    runs.setdefault(name, []).append(value)
            cells = [written(values, ".2f" if name.endswith(" s") else ".0f") for name, values in runs.items()]
            lines.append(f"| {rows:,} | {page.stat().st_size / 1e6:.2f} | {' | '.join(cells)} |")
            names = list(runs)
        chrome = browser.version
        browser.close()
    libraries = ", ".join(f"{name} {version(name)}" for name in ("ecosel", "polars", "altair", "vl-convert-python"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {libraries}, Chromium {chrome}, "
          f"n = {arguments.repeats}\n")  # fmt: skip
    print(f"| models | page MB | {' | '.join(names)} |\n| --- | --- |{' --- |' * len(names)}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
