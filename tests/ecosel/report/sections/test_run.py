"""The run of an evolved archive: outcomes, best and front so far, lineage."""

from __future__ import annotations

import polars as pl
import pytest

from ecosel.dominance import hypervolume
from ecosel.readers.table import ROW
from ecosel.report.sections.run import ancestors, front_growth, run_charts, run_frame
from ecosel.report.view.view import group_views
from tests.ecosel.report.archives import archive, evolved
from tests.ecosel.report.conftest import selected


def test_an_archive_that_no_search_made_has_no_run() -> None:
    selection, rows = selected(archive(20))
    assert run_charts(selection, rows, group_views(selection)) == []


def test_failures_are_counted_by_kind() -> None:
    selection, rows = selected(evolved(60), labels=["candidate_id"])
    figures = run_charts(selection, rows, group_views(selection))
    assert "48 ok, 11 oom, 1 timeout" in figures[0].words
    assert [f.drawing.id for f in figures if f.drawing] == ["outcomes", "best-0-birth", "front-0-birth", "lineage-0"]


def test_the_best_so_far_ends_at_the_best_and_never_falls() -> None:
    selection, rows = selected(evolved(60))
    figures = run_charts(selection, rows, group_views(selection))
    drawing = figures[1].drawing
    assert drawing is not None
    best = drawing.data["best"]["best"]
    assert best == sorted(best)
    assert best[-1] == selection.models["accuracy"].max()


def test_the_best_so_far_counts_models_whose_costs_were_never_measured() -> None:
    frame = evolved(60).with_columns(pl.when(pl.col("birth") < 50).then(pl.col("inference_time_s")).alias("inference_time_s"))
    frame = frame.with_columns(pl.when(pl.col("birth") == 55).then(0.999).otherwise(pl.col("accuracy")).alias("accuracy"))
    selection, rows = selected(frame)
    figures = run_charts(selection, rows, group_views(selection))
    assert "so far of 48 models: 99.9\u00a0%, reached at birth 55" in figures[1].words


def test_a_winner_without_parents_has_none() -> None:
    selection, rows = selected(evolved(60).with_columns(pl.lit("[]").alias("parents")))
    figures = run_charts(selection, rows, group_views(selection))
    assert "has no parents here" in figures[-1].words


def test_the_front_so_far_is_the_hypervolume_of_its_first_births() -> None:
    selection, rows = selected(evolved(60))
    (view,) = group_views(selection)
    frame = run_frame(rows)
    assert frame is not None
    used = selection.models.join(frame, on=ROW).sort("birth")
    growth = front_growth(view, used, "birth").filter(pl.col("cost") == "parameters")
    costs = used.select(1 - pl.col("accuracy"), pl.col("parameters").cast(pl.Float64)).to_numpy()
    nadir = costs.max(axis=0)
    whole = hypervolume(costs, nadir)
    twin = [float(hypervolume(costs[:k], nadir)) / float(whole) for k in range(1, len(costs) + 1)]
    assert growth["share"].to_list() == pytest.approx(twin)
    assert growth["at"].to_list() == used["birth"].to_list()


@pytest.mark.parametrize(
    "times",
    [["2026-11-22T10:00:00Z", "2026-11-22T10:01:30Z"], ["2026-11-22 10:00:00+00:00", "2026-11-22 10:01:30+00:00"],
     ["2026-11-22T10:00:00", "2026-11-22T10:01:30"], [1.7e9, 1.7e9 + 90], ["1700000000", "1700000090"]],
)  # fmt: skip
def test_times_are_read_as_text_or_seconds(times: list[str] | list[float]) -> None:
    frame = run_frame(pl.DataFrame({ROW: [0, 1], "birth": [0, 1], "created_at": times}))
    assert frame is not None
    assert frame["minute"].to_list() == pytest.approx([0.0, 1.5])


def test_times_that_are_none_leave_the_clock_out() -> None:
    frame = run_frame(pl.DataFrame({ROW: [0], "birth": [0], "created_at": ["yesterday"]}))
    assert frame is not None
    assert frame.columns == [ROW, "birth"]


def test_profiled_models_have_times_but_no_run() -> None:
    assert run_frame(pl.DataFrame({ROW: [0], "created_at": ["2026-11-22T10:00:00Z"]})) is None


def test_ancestors_are_found_once_and_a_circle_ends() -> None:
    rows = pl.DataFrame(
        {ROW: [0, 1, 2, 3], "candidate_id": ["a", "b", "c", "d"], "parents": ["[]", '["a"]', '["a", "b", "x"]', '["c", "d"]']}
    )
    assert ancestors(rows, 3) == [(3, 2), (3, 3), (2, 0), (2, 1), (1, 0)]
    assert ancestors(rows.drop("parents"), 3) is None
    assert ancestors(rows.with_columns(pl.lit("{broken").alias("parents")), 3) == []
    lists = rows.with_columns(pl.Series("parents", [[], ["a"], ["b"], ["c"]], dtype=pl.List(pl.String)))
    assert ancestors(lists, 3) == [(3, 2), (2, 1), (1, 0)]


def test_ancestors_without_a_measured_cost_are_drawn_and_counted() -> None:
    whole = evolved(60)
    measured = whole.with_columns(pl.when(pl.col("birth") >= 40).then(pl.col("inference_time_s")).alias("inference_time_s"))
    (view,) = group_views(selected(measured)[0])
    figure = run_charts(*selected(measured), [view])[-1]
    assert figure.drawing is not None
    nodes = figure.drawing.data["nodes"]["row"]
    assert min(nodes) < 40  # an ancestor that no front holds
    assert f"{len(nodes) - 1} ancestors" in figure.words
