"""The page for those who read it otherwise: dark, on paper, on a phone, by keyboard, with a screen reader, without a script."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.ecosel.report.archives import archive, evolved
from tests.ecosel.report.cases import BY_DATASET, CASES, DIGITS, LABELLED, YOUNG
from tests.ecosel.report.conftest import Opened, written

Open = Callable[..., Opened]

CONTRAST = """() => {
  const parse = (text) => { const p = text.match(/[\\d.]+/g).map(Number); return {rgb: p.slice(0, 3), a: p.length > 3 ? p[3] : 1}; };
  const light = (rgb) => { const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (element) => { for (let e = element; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.a === 1) return c.rgb; } return [255, 255, 255]; };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || element.closest("script,style,noscript,[hidden],option,.said")) continue;
    const style = getComputedStyle(element);
    const isSvg = element instanceof SVGElement;
    if (isSvg && style.strokeWidth !== "1px" && style.stroke !== "none") continue;  // the halo behind a letter
    const a = light(parse(isSvg ? style.fill : style.color).rgb), b = light(behind(element));
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.textContent.slice(0, 40)]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(scheme: str, opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", evolved(), labels=["candidate_id"])
    shown = opened(tmp_path / "page.html", color_scheme=scheme)
    found = shown.page.evaluate(CONTRAST)
    assert len(found) > 150
    assert [text for ratio, text in found if ratio < 4.5] == []
    bands = shown.page.evaluate("""() => { const s = getComputedStyle(document.documentElement);
        return ['paper', 'model', 'front', 'edge', 'pick', 'low', 'high'].map((name) => s.getPropertyValue('--' + name).trim()); }""")
    paper, *others = [[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in bands]
    assert min(ratio_of(paper, other) for other in others) >= 3


def ratio_of(a: list[int], b: list[int]) -> float:
    def light(rgb: list[int]) -> float:
        linear = [v / 255 / 12.92 if v / 255 <= 0.03928 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(a), light(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


# A4 landscape less margins of 10 mm, in px of 1/96 inch
A4 = {"width": 1047, "height": 718}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_group_fits_on_a_sheet_and_nothing_on_it_can_be_clicked(scheme: str, opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", DIGITS, **LABELLED)
    shown = opened(tmp_path / "page.html", viewport=A4, color_scheme=scheme)
    shown.page.emulate_media(media="print")
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= A4["width"] + 1
    bottom = "(e) => e.getBoundingClientRect().bottom"
    assert shown.page.eval_on_selector("#models", bottom) <= A4["height"]
    assert shown.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.page.locator("#controls:visible, #tools:visible, input:visible, .pin:visible, #reset:visible").count() == 0
    tops = shown.page.eval_on_selector_all("[id^=panel-0].chart", "(all) => all.map((e) => e.getBoundingClientRect().top)")
    assert len(tops) == 2
    assert max(tops) - min(tops) < 40  # in one row
    assert shown.page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_each_of_several_groups_begins_a_sheet(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", YOUNG, **BY_DATASET)
    page = opened(tmp_path / "page.html", viewport=A4).page
    page.emulate_media(media="print")
    breaks = page.eval_on_selector_all(".group", "(all) => all.map((e) => getComputedStyle(e).breakBefore)")
    assert breaks[1:] == ["page", "page"]
    heights = page.eval_on_selector_all(".group", "(all) => all.map((e) => e.getBoundingClientRect().height)")
    assert max(heights) <= A4["height"]


def test_a_table_of_many_objectives_fits_on_paper(opened: Open, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    frame = pl.DataFrame({f"objective{k}": rng.random(60) * 10.0 ** (k - 6) for k in range(12)})
    written(tmp_path / "page.html", frame, objectives={name: "max" if name < "objective1" else "min" for name in frame.columns})
    page = opened(tmp_path / "page.html", viewport=A4, java_script_enabled=False).page
    page.emulate_media(media="print")
    box = page.locator("#models").bounding_box()
    assert box
    assert box["x"] + box["width"] <= A4["width"]


@pytest.mark.parametrize("case", ["evolved", "the paper's table"])
def test_a_window_scrolls_only_down(case: str, opened: Open, tmp_path: Path) -> None:
    frame, options = CASES[case]
    written(tmp_path / "page.html", frame, **options)
    shown = opened(tmp_path / "page.html")
    for width in (320, 390, 800, 2560):
        shown.resize(width, 700)
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
        clipped = shown.page.evaluate(
            "Array.from(document.querySelectorAll('.chart')).filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.id)"
        )
        assert clipped == []


def test_the_first_screen_holds_the_answer_and_a_chart(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", DIGITS, **LABELLED)
    for size, top in (({"width": 1440, "height": 900}, 500), ({"width": 390, "height": 844}, 500)):
        page = opened(tmp_path / "page.html", viewport=size).page
        head = re.sub(r"\s+", " ", page.inner_text(".answer"))
        assert head.startswith("Choose A 24-relu-36 94.3 % accuracy 0.332 ms inference time 1,810 parameters")
        box = page.locator("#panel-0-0 svg").bounding_box()
        assert box
        assert box["y"] < top
        assert box["y"] + box["height"] <= size["height"]


def test_a_phone_has_large_thumbs_and_numbers_before_tags(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", DIGITS, **LABELLED)
    page = opened(tmp_path / "page.html", viewport={"width": 390, "height": 844}).page
    page.click("#unfold")
    assert page.locator("#weight-0").is_visible()
    assert page.eval_on_selector("#weight-0", "(e) => e.getBoundingClientRect().height") >= 32
    page.click("#unfold")
    lefts = page.eval_on_selector_all(
        "#models tbody tr:first-child > *", "(all) => all.map((e) => e.getBoundingClientRect().right)"
    )
    assert lefts[1] <= 390  # the first number is whole on the screen


def test_charts_grow_with_the_screen(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", archive(40), objectives={"accuracy": "max", "parameters": "min"}, **LABELLED)
    shown = opened(tmp_path / "page.html")
    widths = []
    for width in (390, 1440, 2560):
        shown.resize(width, 900)
        widths.append(shown.page.eval_on_selector("#panel-0-0 svg", "(e) => e.getBoundingClientRect().width"))
    assert widths[0] > 300
    assert widths[1] >= 700
    assert widths[2] >= widths[1]


def test_the_keyboard_alone_moves_a_weight_marks_pins_and_sorts(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", YOUNG, **BY_DATASET)
    page = opened(tmp_path / "page.html").page
    page.focus("#weight-0")
    page.keyboard.press("ArrowRight")
    assert page.eval_on_selector("#weight-0", "(e) => e.value") == "1.01"
    page.focus("button[data-mark='0']")
    page.keyboard.press("Enter")
    page.wait_for_selector("tr.marked")
    assert page.locator("tr.marked").get_attribute("data-row") == "0"
    assert page.evaluate("document.activeElement.dataset.mark") == "0"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("tr.pinned")
    assert page.locator("tr.pinned").get_attribute("data-row") == "0"
    page.keyboard.press("Escape")
    page.wait_for_selector("tr.marked", state="detached")
    page.focus("thead button[data-by='v2']")
    page.keyboard.press("Enter")
    page.wait_for_selector("th[aria-sort='ascending']")
    rows = page.locator("#models tbody tr:not(.pinned)").evaluate_all("(lines) => lines.map((line) => Number(line.dataset.row))")
    assert rows == YOUNG.with_row_index().filter(pl.col("index") != 0).sort("parameters")["index"].to_list()


def test_the_result_of_a_slider_is_announced(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", DIGITS, **LABELLED)
    shown = opened(tmp_path / "page.html")
    shown.weigh([0.2, 2.0, 2.0])
    (row,) = shown.rows("joint-0")
    shown.page.wait_for_function(
        "(name) => document.getElementById('said').textContent.startsWith(name)", arg=DIGITS["model"][row]
    )
    assert shown.page.get_attribute("#said", "role") == "status"
    (panel,) = shown.rows("panel-0-0")
    assert f"Best trade-off: {DIGITS['model'][panel]}" in (shown.page.get_attribute("#panel-0-0", "aria-label") or "")
    assert shown.page.get_attribute("#weight-0", "aria-valuetext") == "5 % of the weight"


def test_every_chart_has_words_and_every_input_a_label(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", evolved(), labels=["candidate_id"])
    page = opened(tmp_path / "page.html").page
    words = page.eval_on_selector_all("[role=img]", "(all) => all.map((e) => e.getAttribute('aria-label'))")
    assert len(words) > 5
    assert all(len(text) > 30 for text in words)
    unnamed = page.eval_on_selector_all("input, select", "(all) => all.filter((e) => !e.labels.length && !e.ariaLabel).length")
    assert unnamed == 0
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.title()


def test_the_tables_need_no_script(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", YOUNG, **BY_DATASET)
    page = opened(tmp_path / "page.html", java_script_enabled=False).page
    body = page.inner_text("body")
    assert "The charts and sliders need JavaScript" in body
    assert "1.07\u00a0M" in body
    assert "1.6 points less accuracy, 51\u00a0% less inference time" in body
    assert page.locator(".needs-script:visible, #controls:visible").count() == 0


def test_marks_differ_in_shape_and_not_in_colour_alone(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", archive(120), **LABELLED)
    page = opened(tmp_path / "page.html").page
    shapes = {
        colour: page.eval_on_selector_all(
            f"#panel-0-0 path[{side}='var(--{colour})']",
            "(all) => all.map((e) => e.getAttribute('d').replace(/[\\d.-]+/g, '0'))[0]",
        )
        for side, colour in (("stroke", "low"), ("stroke", "high"), ("fill", "pick"), ("fill", "front"))
    }
    assert len(set(shapes.values())) == 4, shapes
