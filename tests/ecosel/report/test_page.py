"""The page in a real browser with the network off: silent, right, harmless, readable."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import Browser

from ecosel.report.page import as_page
from ecosel.samples import sample
from ecosel.selection import Selection, select
from tests.ecosel.report.archives import archive, evolved
from tests.ecosel.report.conftest import Opened, selected, written

YOUNG = pl.read_csv(sample("young2019.csv"))
DIGITS = pl.read_csv(sample("digits_mlp.csv"))
BY_DATASET: dict[str, Any] = {"by": ["dataset"], "labels": ["model"]}
LABELLED: dict[str, Any] = {"labels": ["model"]}
Open = Callable[..., Opened]

CASES: dict[str, tuple[pl.DataFrame, dict[str, Any]]] = {
    "the paper's table": (YOUNG, BY_DATASET),
    "intervals": (DIGITS, LABELLED),
    "evolved": (evolved(), {"labels": ["candidate_id"]}),
    "sampled": (archive(5_600), LABELLED),
    "three models": (archive(3), LABELLED),
    "one model": (archive(1), LABELLED),
    "copies": (pl.concat([archive(4)] * 3), LABELLED),
    "one objective": (archive(9), {"objectives": {"accuracy": "max"}}),
    "no pairs": (archive(40), {"pairs": False}),
    "two costs": (archive(40), {"objectives": {"parameters": "min", "inference_time_s": "min"}}),
    "two qualities": (archive(40), {"objectives": {"parameters": "max", "accuracy": "max", "inference_time_s": "min"}}),
    "values of 0 and below": (
        archive(40).with_columns(pl.col("inference_time_s") - 0.01, pl.lit(0).alias("parameters")),
        {"labels": ["model"]},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_page_opens_offline_in_silence(case: str, opened: Open, tmp_path: Path) -> None:
    frame, options = CASES[case]
    path = tmp_path / "page.html"
    written(path, frame, **options)
    shown = opened(path)
    charts = shown.page.locator(".chart")
    assert shown.page.locator(".chart svg").count() == charts.count()
    for name, value in (("zoom", "all"), ("scale", "log"), ("scale", "linear")):
        if shown.page.locator(f"#{name}").count():
            shown.page.select_option(f"#{name}", value)
    shown.weigh([0.0] * 4)
    shown.weigh([0.3, 2.0, 0.0, 1.0])
    shown.page.evaluate("() => new Promise(requestAnimationFrame)")
    assert shown.said == []
    assert shown.requests == [path.as_uri()]


def picks_of(selection: Selection) -> dict[str, list[int]]:
    """Return by element of the page what Python picks."""
    picks = {}
    for g, group in enumerate(selection.groups):
        pairs = [choice for choice in group.choices if choice.kind == "pair"]
        for k, choice in enumerate(pairs):
            picks[f"panel-{g}-{k}"] = list(choice.picks["trade_off"])
        if group.choices[-1].kind == "joint":
            picks[f"joint-{g}"] = list(group.choices[-1].picks["trade_off"])
    return picks


POSITIONS = [
    [1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0], [2.0, 0.0, 1.0, 0.5],
    *np.random.default_rng(20).uniform(0, 2, (16, 4)).round(3).tolist(),
]  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "options"),
    [
        (YOUNG, {**BY_DATASET, "preset": "paper"}),
        (DIGITS, {**LABELLED, "scale": "range"}),
        (archive(5_600), LABELLED),
    ],
    ids=["preset paper", "range", "sampled"],
)
def test_the_live_pick_is_that_of_select_at_20_positions(
    frame: pl.DataFrame, options: dict[str, Any], opened: Open, tmp_path: Path
) -> None:
    selection = written(tmp_path / "page.html", frame, **options)
    shown = opened(tmp_path / "page.html")
    columns = [objective.column for objective in selection.objectives]
    picks = picks_of(selection)
    assert {panel: shown.rows(panel) for panel in picks} == picks
    for weights in POSITIONS:
        given = dict(zip(columns, weights, strict=False))
        shown.weigh(weights)
        seen = {panel: shown.rows(panel) for panel in picks}
        assert seen == twin_picks(selection, given), given


def twin_picks(selection: Selection, weights: dict[str, float]) -> dict[str, list[int]]:
    """Choose again by the formula alone, from the fronts, ideals and scales that select printed."""
    picks: dict[str, list[int]] = {}
    for g, group in enumerate(selection.groups):
        for k, choice in enumerate(group.choices):
            w = np.array([weights[column] for column in choice.ideal])
            ideal, scale = np.array(list(choice.ideal.values())), np.array(list(choice.scale.values()))
            distance = np.sqrt((((choice.values - ideal) / scale * w) ** 2).sum(axis=1))
            near = [choice.front[n] for n in np.flatnonzero(distance <= distance.min() * (1 + 1e-9))]
            picks[f"joint-{g}" if choice.kind == "joint" else f"panel-{g}-{k}"] = near if w.any() else []
    return picks


def test_select_itself_agrees_with_the_sliders(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", YOUNG, **BY_DATASET)
    shown = opened(tmp_path / "page.html")
    columns = ["accuracy", "inference_time_s", "parameters", "energy_per_inference_j"]
    for weights in POSITIONS[4:]:
        shown.weigh(weights)
        again, _ = selected(YOUNG, weights=dict(zip(columns, weights, strict=True)), **BY_DATASET)
        assert {panel: shown.rows(panel) for panel in picks_of(again)} == picks_of(again), weights


def test_the_page_says_the_distance_that_select_prints(opened: Open, tmp_path: Path) -> None:
    selection = written(tmp_path / "page.html", YOUNG, weights={"accuracy": 3.3}, **BY_DATASET)
    shown = opened(tmp_path / "page.html")
    for g, group in enumerate(selection.groups):
        for k, choice in enumerate(group.choices[:-1]):
            assert f"distance {choice.distance.min():.4g}" in (shown.page.text_content(f"#panel-{g}-{k}-pick") or "")


HOSTILE = [
    "</script><script>window.pwned=1</script>",
    '"><img src=x onerror="window.pwned=1">',
    "<!--<script>",
    "a\u2028b\u2029c",
    '=HYPERLINK("http://x","y")',
    "{{7*7}} ${7*7} %s",
    "\u202egnp.exe",
    "n" * 10_000,
    "javascript:window.pwned=1",
    "'); window.pwned=1; //",
]


def hostile_archive() -> tuple[pl.DataFrame, dict[str, Any]]:
    n = len(HOSTILE)
    quality, cost = "top1 </script><script>window.pwned=1</script>", "cost['x'].y \"><img src=x onerror=window.pwned=1>"
    frame = pl.DataFrame(
        {
            "na'me</td>": HOSTILE,
            quality: [0.5 + 0.04 * k for k in range(n)],
            cost: [1.0 + k * k for k in range(n)],
            "other\u2028</style>": [n - k for k in range(n)],
            "set": ["<b>A</b></option><script>window.pwned=1</script>"] * n,
            "topology": ['[{"op": "</li><script>window.pwned=1</script>", "<img src=x onerror=window.pwned=1>": "{x}"}]'] * n,
            "status": HOSTILE,
        }
    )
    objectives = {quality: "max", cost: "min", "other\u2028</style>": "min"}
    return frame, {
        "objectives": objectives,
        "labels": ["na'me</td>"],
        "by": ["set"],
        "name": '"><script>window.pwned=1</script>.csv',
    }


def test_hostile_text_is_only_text(opened: Open, tmp_path: Path) -> None:
    frame, options = hostile_archive()
    written(tmp_path / "page.html", frame, **options)
    shown = opened(tmp_path / "page.html")
    page = shown.page
    page.hover("#panel-0-0 .mark-symbol path[fill='var(--front)'], #panel-0-0 .mark-symbol path", force=True)
    for button in page.locator("button[data-mark]").all():
        button.click()
    for button in page.locator("th button").all():
        button.click()
    page.select_option("#zoom", "all")
    shown.weigh([0.1, 1.9, 0.4])
    assert page.evaluate("window.pwned") is None
    assert (shown.dialogs, shown.said) == ([], [])
    assert shown.requests == [(tmp_path / "page.html").as_uri()]
    assert page.locator("script").count() == 4
    assert page.locator("img").count() == 0
    names = page.locator("#models td.name").all_text_contents()
    assert any(name.startswith("</script>") or "<img" in name or "<!--" in name for name in names)
    assert "</script><script>window.pwned=1</script>" in (page.text_content("#models thead") or "")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_the_policy_stops_what_a_hole_would_let_in(browser: Browser, opened: Open, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    written(path, YOUNG, **BY_DATASET)
    hole = path.read_text().replace("<main>", "<main><script>window.pwned=1</script><img src=x onerror='window.pwned=1'>")
    path.write_text(hole)
    shown = opened(path)
    assert shown.page.evaluate("window.pwned") is None
    assert len(shown.said) >= 2
    start = hole.index("<meta http-equiv")
    path.write_text(hole[:start] + hole[hole.index(">", start) + 1 :])
    assert opened(path).page.evaluate("window.pwned") == 1  # so the check can fail


def test_the_csv_copy_holds_no_formula(opened: Open, tmp_path: Path) -> None:
    frame, options = hostile_archive()
    written(tmp_path / "page.html", frame.with_columns(pl.lit("=1+1").alias("na'me</td>")), **options)
    shown = opened(tmp_path / "page.html")
    shown.page.click("button[data-table]")
    copied = shown.page.get_attribute("button[data-table]", "data-copied") or ""
    table = list(csv.reader(io.StringIO(copied)))
    assert {line[1] for line in table[1:]} == {"'=1+1"}
    assert len({len(line) for line in table}) == 1


def test_the_csv_copy_holds_the_numbers_of_the_archive(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", YOUNG, **BY_DATASET)
    shown = opened(tmp_path / "page.html")
    shown.page.click("button[data-table]")
    table = list(csv.DictReader(io.StringIO(shown.page.get_attribute("button[data-table]", "data-copied") or "")))
    assert [line["letter"] for line in table] == list("ABCDEFGHIJ")
    assert [float(line["energy_per_inference_j ↓"]) for line in table] == YOUNG["energy_per_inference_j"].to_list()


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
        return ['ink', 'band', 'band2', 'best'].map((name) => s.getPropertyValue('--' + name).trim()); }""")
    ink, *others = [[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in bands]
    assert min(ratio_of(ink, other) for other in others) >= 4.5


def ratio_of(a: list[int], b: list[int]) -> float:
    def light(rgb: list[int]) -> float:
        linear = [v / 255 / 12.92 if v / 255 <= 0.03928 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(a), light(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


# A4 landscape less margins of 10 mm, in px of 1/96 inch
A4 = {"width": 1047, "height": 718}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_on_a4_landscape(scheme: str, opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", evolved(), labels=["candidate_id"])
    shown = opened(tmp_path / "page.html", viewport=A4, color_scheme=scheme)
    shown.page.emulate_media(media="print")
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= A4["width"]
    edges = shown.page.evaluate(
        "Array.from(document.querySelectorAll('.chart svg, table, .stack, figure'), (e) => e.getBoundingClientRect().right)"
    )
    assert len(edges) > 10
    assert max(edges) <= A4["width"]
    assert shown.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tops = shown.page.evaluate(
        "Array.from(document.querySelectorAll('[id^=panel-0]:not([id*=pick],[id*=note])'), (e) => e.getBoundingClientRect().top)"
    )
    assert len(tops) == 3
    assert max(tops) - min(tops) < 40  # the three panels stand in one row
    assert shown.page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


@pytest.mark.parametrize("width", [800, 1280])
def test_a_narrow_window_scrolls_only_down(width: int, opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", evolved(), labels=["candidate_id"])
    shown = opened(tmp_path / "page.html", viewport={"width": width, "height": 700})
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    clipped = shown.page.evaluate(
        "Array.from(document.querySelectorAll('.chart')).filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.id)"
    )
    assert clipped == []


def test_the_keyboard_alone_moves_a_weight_marks_a_model_and_sorts(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", YOUNG, **BY_DATASET)
    shown = opened(tmp_path / "page.html")
    page = shown.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "weight-0"
    before = page.text_content("#panel-2-1-pick")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("(before) => document.querySelector('#panel-2-1-pick').textContent !== before", arg=before)
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.mark || document.activeElement.textContent"))
        if reached[-1] == "0":
            break
    assert reached[-1] == "0"
    page.keyboard.press("Enter")
    assert page.locator("tr.marked").get_attribute("data-row") == "0"
    assert "1,070,311" in (page.text_content("tr.marked") or "")
    page.keyboard.press("Escape")
    assert page.locator("tr.marked").count() == 0
    page.locator("thead button", has_text="parameters").focus()
    page.keyboard.press("Enter")
    rows = page.locator("#models tbody tr").evaluate_all("(lines) => lines.map((line) => Number(line.dataset.row))")
    assert rows == YOUNG.with_row_index().sort("parameters")["index"].to_list()


RINGS = "(g) => Array.from(document.querySelectorAll(`[id^='panel-${g}-'] .chart svg, [id^='panel-${g}-'] svg`), (s) => s.querySelectorAll(\"path[stroke-width='2.5']\").length)"


def test_a_click_rings_the_model_in_every_panel_of_its_group(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", archive(120), **LABELLED)
    shown = opened(tmp_path / "page.html")
    page = shown.page
    assert page.evaluate(RINGS, 0) == [0, 0, 0]
    page.locator("#panel-0-0 path[fill='var(--model)']").nth(30).dispatch_event("click")
    assert page.evaluate(RINGS, 0) == [1, 1, 1]
    assert "parameters" in (page.text_content("#marked") or "")
    page.keyboard.press("Escape")
    assert page.evaluate(RINGS, 0) == [0, 0, 0]


def test_marking_a_model_from_the_table_does_not_sort_it(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", YOUNG, **BY_DATASET)
    page = opened(tmp_path / "page.html").page
    for _ in range(2):
        page.click("button[data-mark='4']")
    rows = page.locator("#models tbody tr").evaluate_all("(lines) => lines.map((line) => Number(line.dataset.row))")
    assert rows == list(range(10))
    assert page.locator("tbody [aria-sort]").count() == 0


def test_a_highlighted_model_has_a_tooltip_all_over_its_marks(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", archive(120), **LABELLED)
    page = opened(tmp_path / "page.html").page
    for ring in ("low", "high"):  # stand on the model, and hold its dot
        box = page.locator(f"#panel-0-1 path[stroke='var(--{ring})']").first.bounding_box()
        assert box
        for shift in (0, 2):
            page.mouse.move(0, 0)
            page.mouse.move(box["x"] + box["width"] / 2 + shift, box["y"] + box["height"] / 2 + shift)
            assert "energy_per_inference_j" in page.inner_text("#tip"), (ring, shift)


def test_the_strip_outlines_who_wins_when_one_weight_is_all(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", DIGITS, **LABELLED)
    shown = opened(tmp_path / "page.html")
    for weights in ([1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]):
        shown.weigh(weights)
        assert shown.page.locator("#strip-0-0 path[stroke='var(--pick)'][stroke-width='2']").count() == 1, weights


def test_the_sliders_stay_in_view_on_the_frontier_and_cover_nothing_below(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", YOUNG, **BY_DATASET)
    page = opened(tmp_path / "page.html").page
    top = "document.querySelector('.controls').getBoundingClientRect()"
    page.evaluate("document.getElementById('panel-1-0').scrollIntoView()")
    assert page.evaluate(f"{top}.top") == 0
    page.evaluate("document.getElementById('models').scrollIntoView()")
    assert page.evaluate(f"{top}.bottom") <= 0


def test_groups_of_one_panel_stand_side_by_side(opened: Open, tmp_path: Path) -> None:
    frame = archive(60).with_columns(pl.Series("set", [k % 3 for k in range(60)]))
    written(tmp_path / "page.html", frame, by=["set"], objectives={"accuracy": "max", "parameters": "min"})
    page = opened(tmp_path / "page.html").page
    tops = page.evaluate("[0, 1, 2].map((g) => document.getElementById(`panel-${g}-0`).getBoundingClientRect().top)")
    assert max(tops) - min(tops) < 40


def test_a_table_of_many_objectives_fits_on_paper(opened: Open, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    frame = pl.DataFrame({f"objective{k}": rng.random(60) * 10.0 ** (k - 6) for k in range(12)})
    written(tmp_path / "page.html", frame, objectives={name: "max" if name < "objective1" else "min" for name in frame.columns})
    page = opened(tmp_path / "page.html", viewport=A4, java_script_enabled=False).page
    page.emulate_media(media="print")
    box = page.locator("#models").bounding_box()
    assert box
    assert box["x"] + box["width"] <= A4["width"]


def test_no_text_on_paper_is_larger_than_that_of_the_body_but_headings(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", YOUNG, **BY_DATASET)
    page = opened(tmp_path / "page.html", viewport=A4).page
    page.emulate_media(media="print")
    sizes = page.evaluate("""['body', '.small', '.legend', 'figcaption', '#models td'].map(
        (name) => parseFloat(getComputedStyle(document.querySelector(name)).fontSize))""")
    assert max(sizes[1:]) <= sizes[0]
    widths = page.evaluate(
        "['panel-0-0', 'strip-0-0'].map((id) => document.querySelector(`#${id} svg`).getBoundingClientRect().width)"
    )
    assert widths[1] < widths[0]  # a strip is not blown up to the width of its column


def test_a_tooltip_shows_the_whole_row(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", archive(120).with_columns(pl.lit("a remark").alias("remark")), **LABELLED)
    shown = opened(tmp_path / "page.html")
    shown.page.locator("#panel-0-1 path[fill='var(--front)']").first.hover(force=True)
    tip = shown.page.text_content("#tip") or ""
    for part in ("model", "net ", "accuracy", "energy_per_inference_j", "remark", "a remark"):
        assert part in tip
    assert shown.page.locator("#tip").is_visible()


def test_one_data_set_can_be_shown_alone(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", YOUNG, **BY_DATASET)
    shown = opened(tmp_path / "page.html")
    shown.page.select_option("#group", "1")
    assert [shown.page.locator(f"#panel-{g}-0").is_visible() for g in range(3)] == [False, True, False]
    lines = shown.page.locator("#models tbody tr:visible")
    assert lines.evaluate_all("(lines) => lines.map((line) => Number(line.dataset.row))") == [2, 3, 4, 5]
    shown.weigh([0.2, 2, 2, 2])
    shown.page.select_option("#group", "all")
    shown.page.wait_for_function("document.querySelector('#panel-0-0 svg') !== null")
    given = dict(zip(("accuracy", "inference_time_s", "parameters", "energy_per_inference_j"), (0.2, 2, 2, 2), strict=True))
    again, _ = selected(YOUNG, weights=given, **BY_DATASET)
    shown.page.wait_for_function("(rows) => document.querySelector('#panel-2-1-pick').dataset.rows === rows",
                                 arg=" ".join(map(str, again.groups[2].choices[1].picks["trade_off"])))  # fmt: skip


def test_range_and_scale_change_the_axes(opened: Open, tmp_path: Path) -> None:
    far = pl.DataFrame(
        {"model": ["far"], "accuracy": [0.02], "inference_time_s": [9.0], "parameters": [10**10], "energy_per_inference_j": [9.0]}
    )
    written(tmp_path / "page.html", pl.concat([archive(120), far]), **LABELLED)
    shown = opened(tmp_path / "page.html")

    def ticks() -> list[str]:
        return shown.page.locator("#panel-0-1 .role-axis-label text").all_text_contents()

    seen = [ticks()]
    for name, value in (("zoom", "all"), ("scale", "linear"), ("zoom", "interest")):
        shown.page.evaluate("delete document.body.dataset.ready")
        shown.page.select_option(f"#{name}", value)
        shown.settle()
        assert ticks() not in seen
        seen.append(ticks())


def test_activations_are_left_out_by_a_switch(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", evolved(), labels=["candidate_id"])
    shown = opened(tmp_path / "page.html")
    first = shown.page.locator(".stack").first
    assert first.locator("li:visible .op").all_text_contents() == ["convolution", "pooling", "dropout", "inner product"]
    shown.page.uncheck("#no-activations")
    assert first.locator("li:visible .op").all_text_contents()[1] == "activation"
    assert "kernel 20×3" in (first.text_content() or "")
    assert "32×8×8" in (first.text_content() or "")


def test_the_tables_need_no_script(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", YOUNG, **BY_DATASET)
    shown = opened(tmp_path / "page.html", java_script_enabled=False)
    body = shown.page.inner_text("body")
    assert "The charts need JavaScript" in body
    assert "1,070,311" in body
    assert "1.6 points less accuracy, 51\u00a0% less inference time" in body


def test_every_chart_has_words_and_every_input_a_label(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", evolved(), labels=["candidate_id"])
    page = opened(tmp_path / "page.html").page
    words = page.eval_on_selector_all("[role=img]", "(all) => all.map((e) => e.getAttribute('aria-label'))")
    assert len(words) > 10
    assert all(len(text) > 30 for text in words)
    unnamed = page.eval_on_selector_all("input, select", "(all) => all.filter((e) => !e.labels.length).length")
    assert unnamed == 0
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.title()


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


def test_the_same_input_gives_the_same_bytes() -> None:
    for frame, options in (CASES["evolved"], CASES["sampled"]):
        first, second = (as_page(*selected(frame, **options), command="ecosel report") for _ in range(2))
        assert first == second


@pytest.mark.parametrize(("rows", "most"), [(1_000, 1.3e6), (100_000, 3e6)])
def test_a_page_stays_small(rows: int, most: float, tmp_path: Path) -> None:
    written(tmp_path / "page.html", archive(rows), **LABELLED)
    assert (tmp_path / "page.html").stat().st_size < most


def test_a_page_says_that_it_holds_a_sample(tmp_path: Path) -> None:
    written(tmp_path / "page.html", archive(5_600), **LABELLED)
    assert "5,600 models are too many points" in (tmp_path / "page.html").read_text()
    written(tmp_path / "page.html", archive(120), **LABELLED)
    assert "too many points" not in (tmp_path / "page.html").read_text()


def test_too_many_groups_are_refused() -> None:
    frame = archive(100).with_columns(pl.Series("group", range(100)))
    selection, rows = selected(frame, by=["group"])
    with pytest.raises(ValueError, match="100 groups are too many for one page"):
        as_page(selection, rows, command="")


def test_select_keeps_its_picks_when_errors_are_kept_beside_the_models() -> None:
    with_errors, without = (
        select(DIGITS, labels=["model"]),
        select(DIGITS.select("model", "accuracy", "parameters"), labels=["model"]),
    )
    assert {"accuracy_low", "inference_time_s_std"} <= set(with_errors.models.columns)
    assert "accuracy_low" not in without.models.columns
