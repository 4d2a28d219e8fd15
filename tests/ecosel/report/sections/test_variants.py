"""The page says of each variant what it changed, and draws an arrow to it from its parent."""

from __future__ import annotations

import polars as pl
import pytest

from ecosel.readers.table import ROW
from ecosel.report.page import as_page
from ecosel.report.sections.variants import _angle, redundancies, variant_charts, variant_lines
from ecosel.report.view.view import group_views
from ecosel.selection import select

ROWS = pl.DataFrame(
    {
        ROW: [0, 1, 2, 3],
        "candidate_id": ["net", "net-int8", "net-prune-50", "net-lowrank-50"],
        "status": ["ok", "ok", "ok", "invalid"],
        "accuracy": [0.99, 0.985, 0.97, None],
        "inference_time_s": [0.4, 0.1, 0.2, None],
        "variant": [None, "int8", "prune-50", "lowrank-50"],
        "parent": [None, "net", "net", "net"],
        "precision_executed": ["fp32", "int8", "fp32", None],
        "runtime": ["torch", "onnxruntime", "torch", None],
        "quantised_layers": [None, "5 of 5", None, None],
        "time_ratio": [None, 0.25, 0.5, None],
        "time_ratio_low": [None, 0.24, 0.48, None],
        "time_ratio_high": [None, 0.26, 0.52, None],
        "agreement": [None, 0.996, 0.98, None],
        "file_bytes": [400_000, 110_000, 130_000, None],
        "changes": [None, "calibrated on 512 training images", "channels cut in <4> layers", None],
        "remarks": [None, None, None, "no layer is wide enough"],
        "redundant_slots": ["2 slots did nothing: a dropout, a pool", None, None, None],
        "redundant_time_ratio": [1.08, None, None, None],
    }
)
CHOSEN = select(ROWS, {"accuracy": "max", "inference_time_s": "min"}, labels=["candidate_id"])


def test_the_table_holds_every_variant_the_failed_too() -> None:
    int8, prune, failed = variant_lines(ROWS)
    assert (int8.name, int8.parent, int8.how) == ("net-int8", "net", "int8 in onnxruntime, int8 in 5 of 5 layers")
    assert (int8.time, int8.accuracy, int8.agreement, int8.file) == ("0.25 (0.24 to 0.26)", "98.5 %", "99.6 %", "110 kB")
    assert prune.changes == "channels cut in <4> layers"
    assert (failed.how, failed.changes, failed.time) == ("invalid", "no layer is wide enough", "")


def test_an_arrow_goes_from_the_parent_to_each_variant_that_is_a_model() -> None:
    (figure,) = variant_charts(ROWS, group_views(CHOSEN, ROWS))
    assert figure.words == "Arrows from net to 2 variants."
    assert figure.drawing is not None
    arrows = figure.drawing.data["arrows"]
    assert arrows["variant"] == ["int8", "prune-50"]
    assert arrows["x0"] == [0.4, 0.4]
    assert arrows["x"] == [0.1, 0.2]
    assert arrows["y"] == pytest.approx([98.5, 97.0])
    assert all(-180 < angle < -90 for angle in arrows["angle"])  # to the left and down


@pytest.mark.parametrize(("right", "up", "turned"), [(0, 1, 0), (1, 0, 90), (0, -1, 180), (-1, 0, -90), (1, 1, 45)])
def test_a_head_points_along_its_arrow(right: float, up: float, turned: float) -> None:
    assert _angle(right, up) == pytest.approx(turned)


def test_slots_that_did_nothing_are_reported_with_what_they_cost() -> None:
    words = "net: 2 slots did nothing: a dropout, a pool; the network as drawn takes 1.08 times as long"
    assert redundancies(ROWS) == [words]


def test_the_page_holds_table_and_words_escaped() -> None:
    page = as_page(CHOSEN, ROWS, command="ecosel report")
    assert '<section id="variants">' in page
    assert "channels cut in &lt;4&gt; layers" in page
    assert "Slots without effect" in page


def test_an_archive_without_variants_has_no_such_section() -> None:
    plain = ROWS.drop("variant", "redundant_slots")
    assert (variant_lines(plain), variant_charts(plain, []), redundancies(plain)) == ([], [], [])
    chosen = select(plain, {"accuracy": "max", "inference_time_s": "min"})
    assert '<section id="variants">' not in as_page(chosen, plain, command="ecosel report")
