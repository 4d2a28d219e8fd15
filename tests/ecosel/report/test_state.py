"""What is moved on the page: its answer, its address, its links, its table, and what a pointer hits."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ecosel.readers.table import ROW
from ecosel.report.page import as_page
from ecosel.samples import sample
from tests.ecosel.report.archives import archive, evolved
from tests.ecosel.report.cases import BY_DATASET, CASES, DIGITS, LABELLED, YOUNG
from tests.ecosel.report.conftest import Opened, selected, written

Open = Callable[..., Opened]
Run = Callable[..., Any]


def address(shown: Opened) -> str:
    """Return what the page keeps in its address, once it has written it."""
    shown.page.evaluate("() => new Promise((done) => setTimeout(done, 170))")
    return re.sub(r"^[^#]*", "", shown.page.url)


def test_every_sentence_follows_the_sliders_and_a_pick_has_its_numbers(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", DIGITS, **LABELLED)
    shown = opened(tmp_path / "page.html")
    shown.weigh([0.2, 2.0, 2.0])
    (row,) = shown.rows("joint-0")
    model = DIGITS.row(row, named=True)
    words = re.sub(r"\s+", " ", shown.page.inner_text(".answer"))
    assert words.startswith(f"Choose C {model['model']} {100 * model['accuracy']:.1f} % accuracy")
    assert f"{model['parameters']:,} parameters Against 168-59-139-tanh-104, the most accurate (98.1 %): " in words
    assert f"{model['model']} is the best trade-off under" in words
    assert "24-relu-36 is the best trade-off" not in words
    roles = shown.page.inner_text(f"tr[data-row='{row}'] .roles")
    assert "all objectives together" in roles
    assert "all objectives together" not in shown.page.inner_text("tr[data-row='36'] .roles")


def test_a_reload_and_back_keep_sliders_and_answer(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", DIGITS, **LABELLED)
    shown = opened(tmp_path / "page.html")
    shown.weigh([0.0, 1.0, 1.0])
    shown.move("limit-0", 3)
    before = (shown.rows("joint-0"), address(shown))
    assert "w=0,1,1" in before[1]
    shown.page.reload()
    shown.settle()
    values = shown.page.eval_on_selector_all("input[data-weight]", "(all) => all.map((e) => Number(e.value))")
    assert (values, shown.rows("joint-0"), address(shown)) == ([0, 1, 1], *before)
    shown.page.goto("about:blank")
    shown.page.go_back()
    shown.settle()
    values = shown.page.eval_on_selector_all("input[data-weight]", "(all) => all.map((e) => Number(e.value))")
    assert (values, shown.rows("joint-0")) == ([0, 1, 1], before[0])


def test_a_link_gives_another_reader_the_same_page(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", archive(120), **LABELLED)
    shown = opened(tmp_path / "page.html")
    page = shown.page
    shown.weigh([0.4, 1.3, 0.2, 1.9])
    shown.move("limit-1", 9)
    page.click("tbody tr:nth-child(2) .pin")
    page.click("tbody tr:nth-child(4) button[data-mark]")
    page.select_option("#panel-0-0 >> xpath=ancestor::figure >> select >> nth=1", "2")
    page.fill("#search", "net 1")
    page.click("thead button[data-by='v2']")
    page.click("#link")
    link = page.get_attribute("#link", "data-copied") or ""
    other = opened(tmp_path / "page.html", link[link.index("#") :])
    for part in ("#joint-0-pick", "#panel-0-0-pick", "#models tbody", "#marked", "#left"):
        assert other.page.inner_text(part) == page.inner_text(part), part
    assert other.page.eval_on_selector_all("input[type=range]", "(all) => all.map((e) => e.value)") == page.eval_on_selector_all(
        "input[type=range]", "(all) => all.map((e) => e.value)"
    )


@pytest.mark.parametrize("scale", ["max", "range"])
def test_the_copied_command_gives_the_same_pick(scale: str, opened: Open, tmp_path: Path, ecosel: Run) -> None:
    file = sample("digits_mlp.csv")
    assert ecosel("report", file, "--scale", scale, "--weight", "accuracy=1.5", "-o", tmp_path / "page.html").status == 0
    shown = opened(tmp_path / "page.html")
    shown.weigh([0.7, 1.2, 0.3])
    shown.move("limit-1", 6)
    shown.move("limit-0", 4)
    shown.page.click("#as-command")
    command = shlex.split(shown.page.get_attribute("#as-command", "data-copied") or "")
    assert command[:2] == ["ecosel", "select"]
    assert command.count("--limit") == 2
    answer = json.loads(ecosel(*command[1:], "--format", "json").out)
    assert answer["groups"][0]["selections"][-1]["picks"]["trade_off"] == shown.rows("joint-0")


def test_limits_of_the_command_are_where_the_sliders_begin(opened: Open, tmp_path: Path) -> None:
    selection, rows = selected(DIGITS, limits=["inference_time_s <= 0.000317", "accuracy <= 0.97"], **LABELLED)
    (tmp_path / "page.html").write_text(as_page(selection, rows, command=""))
    shown = opened(tmp_path / "page.html")
    assert shown.rows("joint-0") == list(selection.groups[0].choices[-1].answer)
    assert "0.317" in shown.page.inner_text("#limit-1-value")
    assert "binds: without it the choice would be" in shown.page.inner_text(".answer")
    shown.move("limit-1", 0)
    again, _ = selected(DIGITS, limits=["accuracy <= 0.97"], **LABELLED)
    assert shown.rows("joint-0") == list(again.groups[0].choices[-1].answer)
    within, rows = selected(DIGITS, within="2%", **LABELLED)
    (tmp_path / "page.html").write_text(as_page(within, rows, command=""))
    assert opened(tmp_path / "page.html").rows("joint-0") == list(within.groups[0].choices[-1].answer)


def test_a_limit_counts_shades_and_announces(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", DIGITS, **LABELLED)
    shown = opened(tmp_path / "page.html")
    shown.move("limit-0", 5)
    bound = float(address(shown).split("l=")[1].split(",")[0])
    left = DIGITS.filter(pl.col("accuracy") >= bound).height
    assert f"{left} of 120 models meet the limits." in shown.page.inner_text("#left")
    assert f"; {left} of 120 models meet" in (shown.page.get_attribute("#limit-0", "aria-valuetext") or "")
    assert shown.page.locator("#panel-0-0 .mark-rect path").count() >= 1
    shown.move("limit-1", 99)
    shown.move("limit-2", 99)
    assert shown.rows("joint-0") == []
    assert "none: no model meets the limits" in shown.page.inner_text(".answer")
    assert shown.said == []


def test_presets_set_the_weights_and_weights_are_shares(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", DIGITS, **LABELLED)
    shown = opened(tmp_path / "page.html")
    shown.page.click("[data-preset='inference time first']")
    shown.page.wait_for_selector("[data-preset='inference time first'][aria-pressed='true']")
    assert [shown.page.inner_text(f"#weight-{k}-value") for k in range(3)] == ["17 %", "67 %", "17 %"]
    shown.weigh([2, 2, 2])  # only shares count
    assert shown.page.get_attribute("[data-preset='balanced']", "aria-pressed") == "true"


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
    lines = page.locator("#models tbody tr")
    assert lines.evaluate_all("(all) => all.slice(0, 3).map((e) => Number(e.dataset.row))") == [36, 104, 89]
    change = 100 * (DIGITS["inference_time_s"][104] / DIGITS["inference_time_s"][36])
    assert page.inner_text("tr[data-row='104'] td:nth-child(3) .ratio") == f"× {change / 100:.2g}"
    assert page.inner_text("#base") == "the first pinned model"
    assert page.locator("#panel-0-0 path[stroke='var(--high)'][stroke-width='2']").count() >= 3
    for row in (70, 23):
        page.click(f"tr[data-row='{row}'] .pin")
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
    low = float(address(shown).split("b=0:")[1].split(":")[0])
    values = page.eval_on_selector_all(
        "#models tbody tr:not(.pinned) td:nth-child(2)", "(all) => all.map((e) => Number(e.dataset.value))"
    )
    assert min(values) >= low
    assert page.locator("#parallel-0 polyline.out").count() > 0
    page.click("text=let all ranges go")
    page.wait_for_function("(n) => parseInt(document.getElementById('count').textContent) === n", arg=before)


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


def test_above_four_groups_one_is_open_and_a_name_keeps_its_letter(opened: Open, tmp_path: Path) -> None:
    frame, options = CASES["four groups"]
    shared = frame.with_columns(pl.Series("model", [f"net {k // 5}" for k in range(frame.height)]))
    selection = written(tmp_path / "page.html", shared, **options)
    shown = opened(tmp_path / "page.html")
    page = shown.page
    assert page.locator(".groups tbody tr").count() == len(selection.groups) == 5
    assert page.locator("section.group:visible").count() == 1
    page.click("[data-open='3']")
    page.wait_for_selector("#panel-3-0 svg")
    assert page.locator("section.group:visible").get_attribute("data-group") == "3"
    rows = page.locator("#models tbody tr").evaluate_all("(all) => all.map((e) => e.dataset.ofGroup)")
    assert set(rows) == {"3"}
    assert "g=3" in address(shown)
    letters: dict[str, set[str]] = {}
    for line in page.locator(".groups .name").all_inner_texts():
        letter, name = line.split(maxsplit=1)
        letters.setdefault(name, set()).add(letter)
    assert all(len(found) == 1 for found in letters.values())
    ends = [set(of) for of in zip(*[(name, *letter) for name, letter in letters.items()], strict=True)]
    assert len(ends[0]) == len(ends[1])


def test_groups_are_shown_alone_or_together(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", YOUNG, **BY_DATASET)
    page = opened(tmp_path / "page.html").page
    page.click("[data-group-tab='1']")
    page.wait_for_selector("#panel-0-0", state="hidden")
    rows = page.locator("#models tbody tr").evaluate_all("(lines) => lines.map((line) => Number(line.dataset.row))")
    assert rows == [2, 3, 4, 5]
    page.click("[data-group-tab='all']")
    page.wait_for_selector("#panel-2-0 svg")


def test_a_live_page_says_its_age_and_renews_itself_in_place(opened: Open, tmp_path: Path) -> None:
    selection, rows = selected(DIGITS, **LABELLED)
    assert ROW in rows.columns
    page = as_page(selection, rows, command="", written=1.0)
    (tmp_path / "page.html").write_text(page)
    shown = opened(tmp_path / "page.html")
    assert re.search(r"made \d+ h ago, renews itself", shown.page.inner_text("#age"))
    assert "renews itself" not in as_page(selection, rows, command="").split("<script")[0]
    shown.weigh([0.2, 2.0, 2.0])
    (pick,) = shown.rows("joint-0")
    assert "w=" in address(shown)
    anew = page.replace('data-renew="5"', 'data-renew="0.1"').replace("<title>", "<title>anew ")
    (tmp_path / "page.html").write_text(anew)
    shown.page.reload()  # from here on it renews itself
    (tmp_path / "page.html").write_text(page.replace("<title>", "<title>again "))
    same = "(row) => document.title.startsWith('again') && document.getElementById('joint-0-pick').dataset.rows === String(row)"
    shown.page.wait_for_function(same, arg=pick)
