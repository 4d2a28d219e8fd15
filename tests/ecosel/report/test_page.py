"""The page in a real browser with the network off: silent, right, harmless."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from axe_core_python.sync_playwright import Axe

from ecosel.report.page import as_page
from ecosel.selection import Selection, select
from tests.ecosel.report.archives import archive
from tests.ecosel.report.cases import BY_DATASET, CASES, DIGITS, LABELLED, YOUNG, picks_of
from tests.ecosel.report.conftest import Opened, address, selected, written

Open = Callable[..., Opened]


@pytest.mark.parametrize("case", CASES)
def test_a_page_opens_offline_in_silence_and_axe_finds_nothing(case: str, opened: Open, tmp_path: Path) -> None:
    frame, options = CASES[case]
    path = tmp_path / "page.html"
    written(path, frame, **options)
    shown = opened(path, "#g=all")
    if case != "sampled":  # the script says what Python said before anything is moved
        said = visible(opened(path, java_script_enabled=False))
        assert said == visible(shown)
        assert said
    if case in AUDITED:
        audit(shown)
    assert shown.page.locator(".chart:visible svg").count() == shown.page.locator(".chart:visible").count()
    shown.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    for name, value in (("range", "all"), ("scaleX", "log"), ("scaleY", "log"), ("scaleX", "linear")):
        if shown.page.locator(f"#{name}:visible").count():
            shown.page.select_option(f"#{name}", value)
    shown.weigh([0.0] * 4)
    shown.weigh([0.3, 2.0, 0.0, 1.0])
    for k in range(len(options.get("objectives", range(4)))):
        shown.move(f"limit-{k}", 2)
    shown.page.evaluate("() => new Promise(requestAnimationFrame)")
    assert shown.said == []
    assert shown.requests == [path.as_uri()]


AUDITED = ("the paper's table", "intervals", "evolved", "one model", "four groups", "two costs")


class False_:  # noqa: N801
    """False in JavaScript, as Axe writes options as Python shows them."""

    def __repr__(self) -> str:
        return "false"


def audit(shown: Opened) -> None:
    """Let axe look at a page in light, in dark and on a phone."""
    for look in ("light", "dark", "phone"):
        shown.page.emulate_media(color_scheme="dark" if look == "dark" else "light")
        if look == "phone":
            shown.resize(390, 844)
        # axe cannot tell the contrast of drawings: theirs is computed from the colours in test_reading
        rules: dict[str, Any] = {"resultTypes": ["violations"]}
        if look == "dark":
            rules["runOnly"] = ["color-contrast"]
        if look == "phone":  # whose colours are those of the light page
            rules["rules"] = {"color-contrast": {"enabled": False_()}}
        found = Axe().run(shown.page, context={"exclude": [[".chart svg"], [".parallel svg"]]}, options=rules)
        assert [(look, one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]] == []


def visible(shown: Opened) -> str:
    """Return the words of the page that say what is chosen, without what only the script adds."""
    parts = ".answer, .groups tbody, .group .trade, .group .sure, .pairs tbody, .shares tbody"
    texts = shown.page.eval_on_selector_all(parts, "(all) => all.map((e) => e.textContent)")
    return re.sub(r"\s+", "", " ".join(texts))


POSITIONS = [
    [1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0], [2.0, 0.0, 1.0, 0.5],
    *np.random.default_rng(20).uniform(0, 2, (16, 4)).round(2).tolist(),
]  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "options"),
    [
        (YOUNG, {**BY_DATASET, "preset": "paper"}),
        (DIGITS, {**LABELLED, "scale": "range"}),
        (archive(5_600), {**LABELLED, "scale": "archive-range"}),
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
            picks[f"joint-{g}" if choice.kind == "joint" else f"pair-{g}-{k}"] = near if w.any() else []
    return picks


def test_select_itself_agrees_with_weights_and_limits(opened: Open, tmp_path: Path) -> None:
    frame = archive(400)
    columns = ["accuracy", "inference_time_s", "parameters", "energy_per_inference_j"]
    written(tmp_path / "page.html", frame, **LABELLED)
    shown = opened(tmp_path / "page.html")
    rng = np.random.default_rng(5)
    for weights in POSITIONS[4:9]:
        shown.weigh(weights)
        stops = rng.integers(0, 18, 4)
        for k, stop in enumerate(stops):
            shown.move(f"limit-{k}", int(stop))
        limits = re.search(r"l=([^&]*)", address(shown))
        given = [float(value) if value else None for value in limits[1].split(",")] if limits else [None] * 4
        texts = [
            f"{c} {'>=' if k == 0 else '<='} {v!r}" for k, (c, v) in enumerate(zip(columns, given, strict=True)) if v is not None
        ]
        again, _ = selected(frame, weights=dict(zip(columns, weights, strict=True)), limits=texts, **LABELLED)
        assert {panel: shown.rows(panel) for panel in picks_of(again)} == picks_of(again), (weights, texts)


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


def test_an_address_of_a_stranger_does_nothing(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", YOUNG, **BY_DATASET)
    hostile = "#w=<img>,1e999,-1,NaN&l=,,,x&g=99&m=-1&p=0,zz,77&a=0.0:9-9;x&z=0.0:1:2&b=0:a:b&q=%E0%A4%A&o=constructor,up&__proto__=1&c=1,999"
    shown = opened(tmp_path / "page.html", hostile)
    assert shown.said == []
    assert shown.rows("joint-0") == [0]


def test_hostile_text_is_only_text(opened: Open, tmp_path: Path) -> None:
    frame, options = hostile_archive()
    written(tmp_path / "page.html", frame, **options)
    shown = opened(tmp_path / "page.html")
    page = shown.page
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.hover("#panel-0-0 .mark-symbol path", force=True)
    page.evaluate("document.querySelectorAll('#columns input').forEach((box) => box.click())")
    for part in ("#models tbody button", "#models thead button"):
        count = page.locator(part).count()
        for k in range(count):
            page.locator(part).nth(k).evaluate("(button) => button.click()")
            page.evaluate("() => new Promise(requestAnimationFrame)")
    page.select_option("#range", "all")
    page.fill("#search", "<img src=x onerror=window.pwned=1>")
    shown.weigh([0.1, 1.9, 0.4])
    page.fill("#search", "")
    page.click("#as-command")
    page.wait_for_function("() => document.querySelectorAll('#models tbody tr').length > 3")
    assert page.evaluate("window.pwned") is None
    assert (shown.dialogs, shown.said) == ([], [])
    assert shown.requests == [(tmp_path / "page.html").as_uri()]
    assert page.locator("script").count() == 3
    assert page.locator("img").count() == 0
    names = page.locator("#models .name").all_text_contents()
    assert any("</script>" in name or "<img" in name or "<!--" in name for name in names)
    assert "</script><script>window.pwned=1</script>" in (page.text_content("#models thead") or "")


def test_the_policy_stops_what_a_hole_would_let_in(opened: Open, tmp_path: Path) -> None:
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


def copied(shown: Opened) -> list[dict[str, str]]:
    shown.page.click("#csv")
    return list(csv.DictReader(io.StringIO(shown.page.get_attribute("#csv", "data-copied") or "")))


def test_the_csv_copy_holds_no_formula(opened: Open, tmp_path: Path) -> None:
    frame, options = hostile_archive()
    written(tmp_path / "page.html", frame.with_columns(pl.lit("=1+1").alias("na'me</td>")), **options)
    table = copied(opened(tmp_path / "page.html"))
    assert {line["model"][:5] for line in table} == {"'=1+1"}
    assert all(None not in line for line in table)


def test_the_csv_copy_holds_the_numbers_of_the_archive(opened: Open, tmp_path: Path) -> None:
    written(tmp_path / "page.html", DIGITS, **LABELLED)
    table = copied(opened(tmp_path / "page.html", "#s=all"))
    assert len(table) == DIGITS.height
    for line in table:
        row = DIGITS.row(int(line["row"]), named=True)
        assert line["model"] == row["model"]
        assert float(line["inference_time_s"]) == row["inference_time_s"]
        assert float(line["accuracy_low"]) == pytest.approx(row["accuracy_low"], abs=1e-4)


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


@pytest.mark.parametrize(("rows", "most"), [(1_000, 1.3e6), (100_000, 1.6e6)])
def test_a_page_stays_small(rows: int, most: float, tmp_path: Path) -> None:
    written(tmp_path / "page.html", archive(rows), **LABELLED)
    assert (tmp_path / "page.html").stat().st_size < most


def test_a_page_says_that_it_holds_a_sample(tmp_path: Path) -> None:
    written(tmp_path / "page.html", archive(5_600), **LABELLED)
    assert "5,600 models are too many to draw as points" in (tmp_path / "page.html").read_text()
    written(tmp_path / "page.html", archive(120), **LABELLED)
    assert "too many to draw" not in (tmp_path / "page.html").read_text()


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
