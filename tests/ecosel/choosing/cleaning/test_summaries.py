"""Means and totals at the foot of a table are not models, if their label and their numbers say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ecosel.selection import Selection, select


def chosen(*foot: tuple[str | None, Any, Any]) -> Selection:
    rows = [("a", 90.0, 10.0), ("b", 80.0, 2.0), ("c", 94.0, 40.5), *foot]
    models = pl.DataFrame(rows, schema=["model", "acc", "ms"], orient="row", strict=False)
    return select(models, {"acc": "max", "ms": "min"}, labels=["model"])


@pytest.mark.parametrize(
    ("foot", "figure"),
    [
        (("Mean", 88.0, 17.5), "mean"),
        (("Average:", 88.0, None), "mean"),
        (("TOTAL", None, 52.5), "sum"),
        (("Total", 88.0, 52.5), "sum"),
        (("median", 90.0, 10.0), "median"),
        (("Max", 94.0, 40.5), "largest value"),
        (("Std. Dev.", 7.2, 20.3), "standard deviation"),
        (("Gesamt", None, 53.0), "sum"),
    ],
)
def test_a_summary_is_left_out_with_a_remark(foot: tuple[str, Any, Any], figure: str) -> None:
    selection = chosen(foot)
    assert (selection.models.height, selection.origin.statuses) == (3, {"summary row": 1})
    assert f"row 3, {foot[0]!r}, is not a model: it holds the {figure} of the rows above" in selection.remarks


def test_several_summaries_below_a_blank_row_are_left_out() -> None:
    selection = chosen((None, None, None), ("min", 80.0, 2.0), ("max", 94.0, 40.5), ("mean", 88.0, 17.5))
    assert selection.origin.statuses == {"summary rows": 3}
    assert selection.choices[0].front == (0, 1, 2)


@pytest.mark.parametrize("foot", [("Mean", 93.0, 2.0), ("Mean", 88.0, 2.0)])
def test_a_model_with_such_a_name_but_other_numbers_is_kept_with_a_remark(foot: tuple[str, Any, Any]) -> None:
    selection = chosen(foot)
    assert selection.models.height == 4
    assert "row 3 is called 'Mean': if it is not a model, remove it with --where" in selection.remarks


def test_other_names_and_rows_above_are_models() -> None:
    for foot in (("mean teacher", 88.0, 17.5), ("MaxViT", 94.0, 40.5), ("Mean", 88.0, 17.5)):
        selection = chosen(foot, ("z", 85.0, 3.0))
        assert selection.models.height == 5
        assert not any("row 3" in remark for remark in selection.remarks)


def test_why_tells_that_the_row_is_a_summary(tmp_path: Path, ecosel: Any) -> None:
    (tmp_path / "t.csv").write_text("model,acc,ms\na,90%,10 ms\nb,80%,2 ms\nMean,85%,6 ms\n")
    outcome = ecosel("why", tmp_path / "t.csv", "Mean", "--maximize", "acc", "--minimize", "ms")
    assert "row 2 (Mean) was left out: it summarises the rows above" in outcome.err, outcome


def test_a_mean_among_the_repeats_is_refused(tmp_path: Path, ecosel: Any) -> None:
    rows = "a,1,0.9,10\na,2,0.8,12\na,mean,0.85,11\nb,1,0.7,2\nb,2,0.72,2\nb,mean,0.71,2\n"
    (tmp_path / "t.csv").write_text(f"model,fold,acc,ms\n{rows}")
    options = ("--maximize", "acc", "--minimize", "ms", "--mean-over", "fold")
    outcome = ecosel("select", tmp_path / "t.csv", *options)
    said = "--mean-over fold: 'mean' in row 2 is no repeat, but sums repeats up; remove such rows with --where \"fold <> 'mean'\""
    assert (outcome.status, outcome.err) == (1, f"ecosel: {said}\n")
    again = ecosel("select", tmp_path / "t.csv", *options, "--where", "fold <> 'mean'").out
    assert "2 models, means of 4 of 6 rows (2 filtered)" in " ".join(again.split())
