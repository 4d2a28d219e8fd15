"""Repeats become one model: means, standard errors with n - 1 over root n, and nothing else may differ in silence."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest

from ecosel.errors import ArchiveError
from ecosel.selection import Selection, select

RUNS = pl.DataFrame(
    {
        "model": ["a", "a", "b", "b", "a", "c"], "seed": [0, 1, 0, 1, 2, 0], "lr": [0.1, 0.1, 0.2, 0.2, 0.1, 0.1],
        "acc": [0.80, 0.82, 0.90, 0.92, 0.87, 0.5], "ms": [1.0, 3.0, 8.0, 8.0, 2.0, 9.0],
    }
)  # fmt: skip


def averaged(frame: pl.DataFrame = RUNS, over: tuple[str, ...] = ("seed",), **options: Any) -> Selection:
    return select(frame, {"acc": "max", "ms": "min"}, mean_over=over, **options)


@pytest.mark.parametrize("labels", [["model"], []])
def test_a_model_is_the_mean_of_its_rows_with_the_error_of_the_mean(labels: list[str]) -> None:
    selection = averaged(labels=labels)
    assert selection.models["ecosel:row"].to_list() == [0, 2, 5]
    assert selection.models["acc"].to_list() == pytest.approx([0.83, 0.91, 0.5])
    assert selection.models["ms"].to_list() == pytest.approx([2, 8, 9])
    # by hand: deviations of a are -0.03, -0.01, 0.04: s² = 0.0026 / 2, over root 3
    assert selection.models["acc_std"].to_list() == [pytest.approx(math.sqrt(0.0013 / 3)), pytest.approx(0.01), None]
    assert selection.models["ms_std"].to_list() == [pytest.approx(1 / math.sqrt(3)), 0, None]
    assert selection.models["ecosel:n"].to_list() == [3, 2, 1]
    assert selection.choices[0].front == (0, 2)


def test_n_is_shown(ecosel: Any, tmp_path: Any) -> None:
    selection = averaged(labels=["model"])
    assert selection.to_dict()["groups"][0]["selections"][0]["repeats"] == {"0": 3, "2": 2}
    assert any("mean over seed of 1 to 3 rows" in remark for remark in selection.remarks)
    RUNS.write_csv(tmp_path / "runs.csv")
    outcome = ecosel("select", tmp_path / "runs.csv", "--mean-over", "seed", "--maximize", "acc", "--minimize", "ms")
    assert outcome.status == 0, outcome.err
    assert " row model n " in outcome.out


def test_a_column_that_differs_within_a_model_must_be_named() -> None:
    frame = RUNS.with_columns(lr=pl.Series([0.1, 0.2, 0.2, 0.2, 0.1, 0.1]), host=pl.Series(list("xyzxyz")))
    with pytest.raises(ArchiveError, match=r"lr differs too \(0.1 and 0.2 where model = a\).*: lr, host$"):
        averaged(frame, labels=["model"])
    assert averaged(frame, ("seed", "lr", "host"), labels=["model"]).models["ecosel:n"].to_list() == [3, 2, 1]
    assert averaged(frame, ("seed", "host"), labels=["model"], by=["lr"]).models["ecosel:n"].to_list() == [2, 1, 2, 1]


def test_rows_that_do_not_count_are_in_no_mean() -> None:
    frame = RUNS.with_columns(
        acc=pl.Series(["80 %", "82 %", "90 %", "92 %", "n/a", "50 %"]),
        state=pl.Series(["COMPLETE"] * 3 + ["PRUNED"] + ["COMPLETE"] * 2),
    )
    selection = averaged(frame, labels=["model"])
    assert selection.models["acc"].to_list() == pytest.approx([0.81, 0.90, 0.5])
    assert selection.models["ecosel:n"].to_list() == [2, 1, 1]


def test_where_no_rows_agree_it_says_so() -> None:
    with pytest.raises(ArchiveError, match="no two rows agree in run; identify a model with --label or --by"):
        averaged(RUNS.drop("model", "lr").with_columns(run=pl.Series(list("abcdef"))))
    # a label of its own for each run tells no models apart
    named = RUNS.with_columns(run=pl.concat_str("model", "seed"))
    assert averaged(named, ("seed", "run"), labels=["run"]).models["ecosel:n"].to_list() == [3, 2, 1]


def test_limits_are_of_the_means() -> None:
    assert averaged(labels=["model"], limits=["ms <= 2.5"]).choices[0].front == (0,)


@pytest.mark.parametrize(
    "name", ["acc_stderr", "acc_se", "acc_sem", "acc_sd", "acc stdev", "std_acc", "acc_std_err", "acc (std)"]
)
def test_errors_by_other_usual_names_count(name: str) -> None:
    frame = pl.DataFrame({"acc": [0.9, 0.8], "ms": [5, 2], name: [0.01, 0.02]})
    selection = select(frame, {"acc": "max", "ms": "min"})
    assert selection.models["acc_std"].to_list() == [0.01, 0.02]
    assert f"{name} is taken as the error of acc" in selection.remarks


@pytest.mark.parametrize("name", ["acc_error", "acc_seconds", "accse", "accuracy_std", "acc_step"])
def test_other_columns_are_not_errors(name: str) -> None:
    frame = pl.DataFrame({"acc": [0.9, 0.8], "ms": [5, 2], name: [0.01, 0.02]})
    assert select(frame, {"acc": "max", "ms": "min"}).choices[0].resampling is None
