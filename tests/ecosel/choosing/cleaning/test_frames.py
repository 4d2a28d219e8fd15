"""Frames of pandas and others: only the columns in use matter, and a row is a position."""

from __future__ import annotations

import shlex
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from ecosel.errors import ArchiveError
from ecosel.output.sentences import summary
from ecosel.selection import select

ACC_MS: dict[str, Any] = {"acc": "max", "ms": "min"}


def test_a_column_that_is_not_in_use_may_mix_types() -> None:
    frame = pd.DataFrame({"acc": [0.9, 0.8], "ms": [5, 2], "notes": ["x", 3], "more": [{"a": 1}, None]})
    assert select(frame, ACC_MS).choices[0].front == (0, 1)


@pytest.mark.parametrize("cells", [[5, "OOM", 2], ["5", "OOM", "2"], pd.Categorical(["5", "OOM", "2"])])
def test_a_bad_cell_is_named_with_its_column_and_row(cells: Any) -> None:
    with pytest.raises(ArchiveError, match="column 'ms': 'OOM' in row 1 is not a number"):
        select(pd.DataFrame({"acc": [0.9, 0.8, 0.7], "ms": cells}), ACC_MS)


def test_missing_values_of_every_kind_are_missing() -> None:
    frame = pd.DataFrame(
        {"acc": [0.9, 0.8, 0.7, 0.6], "ms": pd.Series([5, pd.NA, None, 2], dtype="Int64"), "x": [5, pd.NA, float("nan"), "2"]}
    )
    assert select(frame, ACC_MS).left_out["missing"].to_list() == ["ms", "ms"]
    assert select(frame, {"acc": "max", "x": "min"}).choices[0].front == (0, 3)


def test_a_named_index_is_a_label_and_rows_are_positions_in_the_frame_as_it_is_given() -> None:
    frame = pd.DataFrame({"acc": [0.9, 0.8, 0.7], "ms": [5, 9, 1]}, index=pd.Index(["a", "b", "c"], name="model"))
    selection = select(frame[frame["acc"] != 0.8], ACC_MS, labels=["model"])
    assert selection.choices[0].front == (0, 1)
    assert [selection.label(row) for row in (0, 1)] == ["a", "c"]
    levels = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["model", "seed"])
    assert select(frame.set_index(levels), ACC_MS, labels=["model", "seed"]).label(2) == "b / 1"
    frame["tested"] = [None, 0.8444444444444444, 12345678.5]
    named = select(frame.reset_index(), {"acc": "max", "ms": "min"}, labels=["model", "tested"])
    assert [named.label(row) for row in (0, 1, 2)] == ["a", "b / 0.844444", "c / 12345678.5"]


@pytest.mark.parametrize("given", [["acc", "ms"], "acc", [("acc", "max")]])
def test_objectives_without_a_direction_get_a_sentence(given: Any) -> None:
    with pytest.raises(
        ValueError, match=r"objectives .*: say of each column which end is better, as in \{'acc': 'max', 'ms': 'min'\}"
    ):
        select(pd.DataFrame({"acc": [0.9], "ms": [5]}), given)


def test_other_libraries_are_read_too() -> None:
    columns = {"acc": [0.9, 0.8], "ms": [5, 2], "x": [[1], [2]]}
    for frame in (pa.table(columns), pl.DataFrame(columns).lazy(), pl.DataFrame(columns)):
        assert select(frame, ACC_MS).choices[0].front == (0, 1)
    with pytest.raises(ValueError, match="list is not a frame"):
        select([1, 2], ACC_MS)
    with pytest.raises(ValueError, match="column 'acc' appears more than once in the frame"):
        select(pd.DataFrame([[1, 2, 3]], columns=["acc", "acc", "ms"]), ACC_MS)


@pytest.mark.parametrize(
    ("name", "values", "end"),
    [
        ("acc", [0.9, 0.8], 1), ("top1", [90.0, 80.5], 100), ("val_mAP50-95", [0.4, 0.5], 1), ("macro_f1", [1, 0], 1), ("roc-auc", [0.7, 0.9], 1),
        ("Top-5 (%)", [99, 98], 100), ("acc@1", [70, 71], 100), ("fps", [0.5, 0.7], None), ("acc", [-0.1, 0.5], None), ("top1", [900, 80], None),
        ("accelerator", [0.5, 0.7], None), ("mapping", [0.1, 0.2], None),
    ],
)  # fmt: skip
def test_an_ideal_is_suggested_for_columns_named_like_a_share_but_never_used(
    name: str, values: list[float], end: int | None
) -> None:
    selection = select(pl.DataFrame({name: values, "ms": [5, 2]}), {name: "max", "ms": "min"})
    assert selection.choices[0].ideal[name] == max(values)
    suggested = [remark for remark in selection.remarks if shlex.join(["--ideal", f"{name}={end}"]) in remark]
    assert len(suggested) == (end is not None) == len(selection.remarks)
    assert "the best on the front; for columns" in summary(selection)
    assert selection.to_dict()["rule"]["ideal_from"] == {name: "front", "ms": "zero"}


def test_where_an_ideal_comes_from_is_reported_for_each_objective() -> None:
    frame = pl.DataFrame({"accuracy": [0.9, 0.8], "ms": [5, -2], "top1": [90, 80]})
    selection = select(frame, {"accuracy": "max", "top1": "max", "ms": "min"}, ideal={"top1": 100})
    assert selection.to_dict()["rule"]["ideal_from"] == {"accuracy": "known", "top1": "given", "ms": "front"}


@pytest.mark.parametrize("name", ["accuracy", "top1"])
def test_a_fraction_among_percentages_is_pointed_out(name: str) -> None:
    selection = select(pl.DataFrame({name: [76.1, 0.802, 70.2], "ms": [5, 9, 2]}), {name: "max", "ms": "min"})
    (remark,) = selection.remarks
    assert "; correct 0.802 in row 1 if it is a fraction, not a percentage" in remark
