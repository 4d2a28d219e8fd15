"""The charts as a library: valid Vega-Lite that draws, and figures of the width that was asked for."""

from __future__ import annotations

import json
import re

import polars as pl
import pytest
import vl_convert

from ecosel.report.charts.panels import frontier, robustness, weight_strip
from ecosel.report.figure import as_figure, figure_format
from ecosel.report.view.view import group_views
from ecosel.samples import sample
from ecosel.selection import select
from tests.ecosel.report.archives import archive

YOUNG = select(pl.read_csv(sample("young2019.csv")), by=["dataset"], labels=["model"], preset="paper")
DIGITS = select(pl.read_csv(sample("digits_mlp.csv")), labels=["model"])


def test_the_frontier_has_a_panel_for_each_data_set_and_cost_and_a_slider_for_each_weight() -> None:
    chart = frontier(YOUNG).to_dict()
    assert [len(row["hconcat"]) for row in chart["vconcat"]] == [3, 3, 3]
    sliders = {param["name"]: param["bind"]["input"] for param in chart["params"] if "bind" in param}
    assert sliders == {f"w{k}": "range" for k in range(4)}


def test_the_figure_shows_the_letters_and_titles_of_figure_1() -> None:
    svg = as_figure(YOUNG, "svg").decode()
    texts = set(re.findall(r">([^<>]+)</text>", svg))
    assert {*"ABCDEFGHIJ", "CIFAR-10", "CIFAR-100", "CINIC", "Accuracy (%)", "Inference time (s)", "Parameters"} <= texts
    assert "Energy per inference (mJ)" in texts


def test_an_svg_holds_hostile_names_as_text() -> None:
    name = "<script>alert(1)</script>"
    svg = as_figure(select(archive(5).with_columns(pl.lit(name).alias("set")), by=["set"]), "svg").decode()
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg


def test_a_figure_is_as_wide_as_the_columns() -> None:
    for columns, points in ((2, 516), (1, 252)):
        svg = as_figure(DIGITS, "svg", columns=columns).decode()
        assert float(re.search(r'width="([\d.]+)pt"', svg)[1]) == pytest.approx(points, abs=6)  # type: ignore[index]
    assert svg == as_figure(DIGITS, "svg", columns=1).decode()


def test_figures_of_each_form_begin_as_such_files_do() -> None:
    assert as_figure(DIGITS, "png").startswith(b"\x89PNG")
    assert as_figure(DIGITS, "pdf").startswith(b"%PDF")


def test_the_name_of_a_figure_says_its_form() -> None:
    assert figure_format("a/Fig.PDF") == "pdf"
    with pytest.raises(ValueError, match=r"must end in \.svg, \.png or \.pdf"):
        figure_format("fig.eps")


def test_a_frontier_needs_two_objectives() -> None:
    with pytest.raises(ValueError, match="a frontier needs two objectives"):
        frontier(select(archive(9), {"accuracy": "max"}))


def test_strip_and_bars_draw_with_their_own_data() -> None:
    (view,) = group_views(DIGITS)
    for chart in (weight_strip(view, view.choices[0]), robustness(view, view.choices[-1])):
        assert "<path" in vl_convert.vegalite_to_svg(chart.to_dict())
    names = {record["name"] for record in weight_strip(view, view.choices[0]).to_dict()["datasets"]["segments"]}
    assert "A  24-relu-36" in names


def test_no_name_of_a_column_becomes_a_field() -> None:
    frame = archive(5).rename({"parameters": "a.b[0]['c']"})
    spec = json.dumps(frontier(select(frame, {"accuracy": "max", "a.b[0]['c']": "min"})).to_dict())
    assert not re.search(r'"field": "[^"]*a\.b', spec)
    assert "<path" in vl_convert.vegalite_to_svg(json.loads(spec))
