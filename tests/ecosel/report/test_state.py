"""What is moved on the page: its answer, its address, its links, its limits and its groups."""

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
from tests.ecosel.report.archives import archive
from tests.ecosel.report.cases import BY_DATASET, CASES, DIGITS, LABELLED, YOUNG
from tests.ecosel.report.conftest import Opened, address, selected, written

Open = Callable[..., Opened]
Run = Callable[..., Any]


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
    assert re.search(r"made \d+ h ago, refreshes itself", shown.page.inner_text("#age"))
    assert "refreshes itself" not in as_page(selection, rows, command="").split("<script")[0]
    shown.weigh([0.2, 2.0, 2.0])
    (pick,) = shown.rows("joint-0")
    assert "w=" in address(shown)
    anew = page.replace('data-renew="5"', 'data-renew="0.1"').replace("<title>", "<title>anew ")
    (tmp_path / "page.html").write_text(anew)
    shown.page.reload()  # from here on it renews itself
    (tmp_path / "page.html").write_text(page.replace("<title>", "<title>again "))
    same = "(row) => document.title.startsWith('again') && document.getElementById('joint-0-pick').dataset.rows === String(row)"
    shown.page.wait_for_function(same, arg=pick)
