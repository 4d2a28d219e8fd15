"""What a pointer does on the page: marks, pins, zooms, brushes, drags, and the table and charts that follow one another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from tests.ecosel.report.archives import archive, evolved
from tests.ecosel.report.cases import DIGITS, LABELLED
from tests.ecosel.report.conftest import Opened, address, selected, written

Open = Callable[..., Opened]


def test_a_click_means_the_model_that_it_hits_and_the_line_of_the_front_none(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", DIGITS, **LABELLED)
    shown = opened(tmp_path / "page.html")
    page = shown.page
    (pick,) = shown.rows("panel-0-0")
    box = page.locator("#panel-0-0 path[fill='var(--pick)']").first.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#marked h2")
    assert page.locator("tr.marked").get_attribute("data-row") == str(pick)
    page.keyboard.press("Escape")
    corner = page.evaluate("""() => {
      const line = document.querySelector('#panel-0-0 .mark-line path');
      const at = line.getPointAtLength(line.getTotalLength() * 0.9).matrixTransform(line.getScreenCTM());
      return [at.x, at.y, getComputedStyle(line).pointerEvents];
    }""")
    assert corner[2] == "none"
    page.mouse.click(corner[0], corner[1])
    page.evaluate("() => new Promise(requestAnimationFrame)")
    assert page.locator("tr.marked").count() == 0


RINGS = "(g) => Array.from(document.querySelectorAll(`[id^='panel-${g}-'].chart svg`), (s) => s.querySelectorAll(\"path[stroke-width='2.5']\").length)"


def test_a_mark_rings_the_model_in_every_chart_and_says_all_of_it(opened: Open, tmp_path: Path) -> None:
    written(
        tmp_path / "page.html",
        archive(120).drop("energy_per_inference_j").with_columns(pl.lit("a remark").alias("remark")),
        **LABELLED,
    )
    page = opened(tmp_path / "page.html").page
    assert page.evaluate(RINGS, 0) == [0, 0]
    page.locator("#panel-0-0 path[fill='var(--model)']").nth(30).dispatch_event("click")
    page.wait_for_selector("#marked h2")
    assert page.evaluate(RINGS, 0) == [1, 1]
    assert "a remark" in (page.text_content("#marked") or "")
    assert "Against net" in (page.text_content("#marked") or "")
    page.keyboard.press("Escape")
    page.wait_for_selector("#marked h2", state="detached")
    assert page.evaluate(RINGS, 0) == [0, 0]


def test_the_tooltip_is_short_and_has_units(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", evolved(), labels=["candidate_id"])
    page = opened(tmp_path / "page.html").page
    page.locator("#panel-0-0 path[fill='var(--front)']").first.hover(force=True)
    tip = page.inner_text("#tip")
    assert "net " in tip
    assert "\u00a0ms" in tip
    assert len(tip.splitlines()) < 14
    assert "topology" not in tip


def test_pins_show_the_differences_to_the_first(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", DIGITS, **LABELLED)
    page = opened(tmp_path / "page.html").page
    for row in (36, 104, 89):
        page.click(f"tr[data-row='{row}'] .pin")
        page.wait_for_selector(f"tr.pinned[data-row='{row}']")
    lines = page.locator("#models tbody tr")
    assert lines.evaluate_all("(all) => all.slice(0, 3).map((e) => Number(e.dataset.row))") == [36, 104, 89]
    change = 100 * (DIGITS["inference_time_s"][104] / DIGITS["inference_time_s"][36])
    assert page.inner_text("tr[data-row='104'] td:nth-child(3) .ratio") == f"× {change / 100:.2g}"
    assert page.inner_text("#base") == "the first pinned model"
    assert page.locator("#panel-0-0 path[stroke='var(--high)'][stroke-width='2']").count() >= 3
    page.click("tr[data-row='70'] .pin")
    page.wait_for_selector("tr.pinned[data-row='70']")
    page.click("tr[data-row='23'] .pin")
    assert page.locator("tr.pinned").count() == 4
    assert "At most 4" in (page.text_content("#said") or "")


def test_search_columns_and_scope_change_the_table_and_the_charts_follow(opened: Open, tmp_path: Path) -> None:
    frame = archive(200).with_columns(pl.Series("optimiser", ["adam", "sgd"] * 100)).drop("energy_per_inference_j")
    written(tmp_path / "page.html", frame, **LABELLED)
    shown = opened(tmp_path / "page.html")
    page = shown.page
    before = page.locator("#panel-0-0 path[fill='var(--model)'], #panel-0-0 path[fill='var(--front)']").count()
    page.select_option("#scope", "all")
    page.fill("#search", "sgd")
    page.wait_for_function("() => document.getElementById('count').textContent === '100 models'")
    after = page.locator("#panel-0-0 path[fill='var(--model)'], #panel-0-0 path[fill='var(--front)']").count()
    assert after < before
    page.click("#columns summary")
    page.check("#columns label:has-text('optimiser') input")
    page.wait_for_selector("thead button[data-by^='c']")
    assert "sgd" in page.inner_text("#models tbody tr:first-child")
    assert address(shown).count("=") >= 3


def test_a_drag_zooms_and_a_double_click_goes_back(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", DIGITS, **LABELLED)
    shown = opened(tmp_path / "page.html")
    page = shown.page
    box = page.locator("#panel-0-0 svg").bounding_box()
    assert box

    def ticks() -> list[str]:
        return page.locator("#panel-0-0 .role-axis-label text").all_text_contents()

    first = ticks()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.1 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.4 * box["height"], steps=4)
    page.mouse.up()
    page.wait_for_selector("figure button:visible:text('reset zoom')")
    shown.settle()
    assert ticks() != first
    assert "z=0.0:" in address(shown)
    page.dblclick("#panel-0-0 svg", position={"x": box["width"] / 2, "y": box["height"] / 2})
    page.wait_for_selector("figure button:text('reset zoom')", state="hidden")
    shown.settle()
    assert ticks() == first


def test_a_brush_keeps_a_range_and_the_table_follows(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", archive(120), **LABELLED)
    shown = opened(tmp_path / "page.html")
    page = shown.page
    assert page.locator("#panels-0 .chart").count() == 1  # one plane instead of all pairs
    before = int((page.inner_text("#count")).split()[0])
    box = page.locator("#parallel-0 .grip").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 0.25 * box["height"], steps=3)
    page.mouse.up()
    page.wait_for_function("(n) => parseInt(document.getElementById('count').textContent) < n", arg=before)
    page.wait_for_function("() => location.hash.includes('b=0:')")
    low = float(address(shown).split("b=0:")[1].split(":")[0])
    values = page.eval_on_selector_all(
        "#models tbody tr:not(.pinned) td:nth-child(2)", "(all) => all.map((e) => Number(e.dataset.value))"
    )
    assert min(values) >= low
    assert page.locator("#parallel-0 polyline.out").count() > 0
    page.click("text=clear all ranges")
    page.wait_for_function("(n) => parseInt(document.getElementById('count').textContent) === n", arg=before)
    page.focus("#parallel-0 summary")  # the same without a pointer
    for key in ("Enter", "Tab", "PageUp", "PageUp"):
        page.keyboard.press(key)
    page.wait_for_function("(n) => parseInt(document.getElementById('count').textContent) < n", arg=before)
    assert address(shown).count("b=0:") == 1


def test_the_strip_is_dragged_to_a_weight(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", DIGITS, **LABELLED)
    shown = opened(tmp_path / "page.html")
    box = shown.page.locator(".strip .bar").first.bounding_box()
    assert box
    shown.page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    shown.page.wait_for_function("() => document.getElementById('weight-0').value === '1.8'")
    now = shown.page.locator(".strip .bar .now").first.get_attribute("title") or ""
    (row,) = shown.rows("panel-0-0")
    assert now.startswith(DIGITS["model"][row])


def test_axes_can_be_chosen_and_both_be_logarithmic(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", archive(120), **LABELLED)
    shown = opened(tmp_path / "page.html")
    selects = shown.page.locator("#panels-0 select")
    selects.nth(0).select_option("3")
    selects.nth(1).select_option("2")
    shown.settle()
    shown.page.click("#controls details.axes summary")
    shown.page.select_option("#scaleY", "log")
    shown.page.wait_for_function(
        "() => document.querySelector('#panel-0-0').getAttribute('aria-label').startsWith('energy per inference against parameters')"
    )
    again, _ = selected(archive(120), objectives={"parameters": "min", "energy_per_inference_j": "min"})
    assert shown.rows("panel-0-0") == list(again.groups[0].choices[0].answer)
