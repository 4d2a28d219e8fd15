"""The picks of the paper, those of a slow twin, and what must never change a pick."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecosel.errors import ArchiveError
from ecosel.objectives import Objective
from ecosel.samples import sample
from ecosel.selection import select
from tests.conftest import SHARED

METRICS = ("inference_time_s", "parameters", "energy_per_inference_j")


def paper_picks(**rule: Any) -> str:
    """Return the nine best trade-offs by data set and metric."""
    selection = select(pl.read_csv(sample("young2019.csv")), by=["dataset"], labels=["model"], joint=False, **rule)
    picks = [choice.picks["trade_off"] for choice in selection.choices]
    assert all(len(rows) == 1 for rows in picks)
    return " ".join(str(selection.label(rows[0])) for rows in picks)


def test_preset_paper_gives_all_nine_picks_of_table_1() -> None:
    assert paper_picks(preset="paper") == "A A A C E F G I J"


def test_default_rule_gives_eight_of_the_nine() -> None:
    assert paper_picks() == "A A A F E F G I J"


def test_table_1_is_that_of_the_paper() -> None:
    if not (paper := SHARED / "paper.txt").exists():
        pytest.skip("the paper does not stand beside this checkout")
    rows = dict(line.split("\t", 1) for line in paper.read_text().splitlines() if line.count("\t") == 10)
    table = pl.read_csv(sample("young2019.csv"))
    assert rows["Model"].split() == table["model"].to_list()
    for column, row, unit in (
        ("inference_time_s", "Inference Time (s)", 1),
        ("parameters", "Number of Learned Parameters", 1),
        ("energy_per_inference_j", "Energy per Inference (mJ)", 1e-3),
        ("accuracy", "Accuracy(%)", 1e-2),
    ):
        assert [float(cell) * unit for cell in rows[row].split()] == pytest.approx(table[column].to_list(), rel=1e-12)


def test_a_pair_distance_worked_by_hand() -> None:
    # accuracy 0.6: ideal 1, scale 1; time 3 of at most 4: sqrt(0.4² + 0.75²) = 0.85
    frame = pl.DataFrame({"accuracy": [0.6, 0.9, 0.5], "t": [3.0, 4.0, 5.0]})
    choice = select(frame, {"accuracy": "max", "t": "min"}).choices[0]
    assert choice.front == (0, 1)
    assert choice.distance.tolist() == pytest.approx([0.85, np.sqrt(0.01 + 1)])
    assert choice.picks == {"best:accuracy": (1,), "best:t": (0,), "trade_off": (0,)}


def random_frame(seed: int) -> pl.DataFrame:
    """Draw 1 to 80 rows of 2 to 5 columns with copies, infinities and missing values."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(1, 80)), int(rng.integers(2, 6))
    cells = rng.integers(0, 9, (n, d)).astype(float) if seed % 2 else rng.lognormal(size=(n, d))
    cells = np.concatenate([cells, cells[rng.integers(0, n, n // 3)]])
    strange = rng.random(cells.shape)
    cells[strange < 0.02] = np.inf
    cells[(strange >= 0.02) & (strange < 0.04)] = -np.inf
    cells[(strange >= 0.04) & (strange < 0.07)] = np.nan
    frame = pl.DataFrame(cells, schema=[f"c{k}" for k in range(d)])
    return frame.with_columns(pl.when(pl.col("c0") == 3).then(None).otherwise(pl.col("c0")).alias("c0"))


def slow_distance(values: np.ndarray, objectives: tuple[Objective, ...]) -> list[float]:
    """Slow twin of the default rule on a front [m, d] without accuracy and without negative costs."""
    total = []
    for row in values:
        parts = []
        for x, column, objective in zip(row, values.T, objectives, strict=True):
            ideal, scale = (max(column), max(column) - min(column)) if objective.sense == "max" else (0.0, max(column))
            parts.append(((x - ideal) / (scale or 1.0)) ** 2)
        total.append(sum(parts) ** 0.5)
    return total


def test_fronts_and_picks_equal_an_independent_implementation_on_200_tables() -> None:
    chosen = 0
    for seed in range(200):
        frame = random_frame(seed)
        senses: list[Any] = [("max", "min")[(seed >> k) & 1] for k in range(frame.width)]
        finite = np.isfinite(frame.to_numpy().astype(float)).all(axis=1)
        if not finite.any():
            continue
        selection = select(frame, dict(zip(frame.columns, senses, strict=True)))
        assert selection.left_out.height == int((~finite).sum()), f"seed {seed}"
        rows = np.flatnonzero(finite)
        for choice in selection.choices:
            columns = [o.column for o in choice.objectives]
            values = frame[columns].to_numpy()[rows].astype(float)
            maximised = [o.is_quality for o in choice.objectives]
            front = rows[moocore.is_nondominated(values, maximise=maximised, keep_weakly=True)]
            assert choice.front == tuple(front), f"seed {seed}"
            distance = slow_distance(frame[columns].to_numpy()[front].astype(float), choice.objectives)
            nearest = [int(row) for row, value in zip(front, distance, strict=True) if value <= min(distance) * (1 + 1e-12)]
            assert choice.picks["trade_off"] == tuple(nearest), f"seed {seed}"
            chosen += 1
    assert chosen > 500


@pytest.mark.parametrize(
    ("name", "read", "objectives"),
    [
        ("timm-results-imagenet.csv", pd.read_csv, {"top1": "max", "param_count": "min", "img_size": "min"}),
        (
            "zeus-summary-power-a40.csv",
            pd.read_csv,
            {"time_per_epoch": "min", "average_power": "min", "batch_size": "max"},
        ),
        (
            "ml-energy-gpqa.json",
            lambda path: pd.DataFrame(pd.read_json(path, typ="series")["configurations"]),
            {"output_throughput_tokens_per_sec": "max", "energy_per_token_joules": "min", "median_itl_ms": "min"},
        ),
    ],
)
def test_fronts_of_real_archives_equal_an_independent_implementation(
    name: str,
    read: Callable[[Path], pd.DataFrame],
    objectives: dict[str, Any],
    shared_archive: Callable[[str], Path],
    ecosel: Any,
) -> None:
    import json

    path = shared_archive(name)
    table = read(path)
    table = table[list(objectives)].replace(",", "", regex=True).astype(float)
    options = [part for column, sense in objectives.items() for part in (f"--{sense}imize", column)]
    document = json.loads(ecosel("select", path, *options, "--format", "json").out)
    assert document["archive"]["used"] == int(table.notna().all(axis=1).sum()) > 100
    for selection in document["groups"][0]["selections"]:
        columns = [objective["column"] for objective in selection["objectives"]]
        used = table.dropna()
        mask = moocore.is_nondominated(
            used[columns].to_numpy(), maximise=[objectives[column] == "max" for column in columns], keep_weakly=True
        )
        assert selection["front"] == used.index[mask].tolist()


def pick_set(frame: pl.DataFrame, scale: Any) -> list[set[str]]:
    selection = select(frame, {"q": "max", "a": "min", "b": "min"}, labels=["name"], scale=scale)
    return [{str(selection.label(row)) for row in choice.picks["trade_off"]} for choice in selection.choices]


models = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=25).map(
    lambda rows: pl.DataFrame(rows, schema=["q", "a", "b"], orient="row").with_columns(
        pl.Series("name", [f"m{k}" for k in range(len(rows))]), pl.col("q", "a", "b").cast(pl.Float64)
    )
)


@given(models, st.sampled_from(["max", "range", "archive-range", "none"]), st.randoms())
def test_row_order_never_changes_a_pick(frame: pl.DataFrame, scale: str, random: Any) -> None:
    order = list(range(frame.height))
    random.shuffle(order)
    assert pick_set(frame, scale) == pick_set(frame[order], scale)


@given(models, st.sampled_from(["max", "range", "none"]), st.data())
def test_an_added_dominated_row_never_changes_a_pick(frame: pl.DataFrame, scale: str, data: st.DataObject) -> None:
    of = frame.row(data.draw(st.integers(0, frame.height - 1)), named=True)
    worse = data.draw(st.tuples(*[st.integers(1, 50)] * 3))
    # strictly worse in each objective, so dominated in every pair too
    row = pl.DataFrame({"q": [of["q"] - worse[0]], "a": [of["a"] + worse[1]], "b": [of["b"] + worse[2]], "name": ["added"]})
    assert pick_set(frame, scale) == pick_set(pl.concat([frame, row]), scale)


@given(
    models,
    st.sampled_from(["max", "range", "archive-range"]),
    st.sampled_from([1e-9, 0.3, 7.0, 1e12]),
    st.sampled_from("qab"),
)
def test_a_change_of_units_never_changes_a_pick(frame: pl.DataFrame, scale: str, factor: float, column: str) -> None:
    assert pick_set(frame, scale) == pick_set(frame.with_columns(pl.col(column) * factor), scale)


def test_a_dominated_row_can_change_a_pick_under_archive_range() -> None:
    # the twin of the property above: it holds because of the scale, not because nothing could change a pick
    frame = pl.DataFrame({"q": [0.0, 9.0, 10.0], "a": [1.0, 6.0, 10.0], "b": [1.0, 1.0, 1.0], "name": ["m0", "m1", "m2"]})
    added = pl.DataFrame({"q": [-1000.0], "a": [10.5], "b": [2.0], "name": ["added"]})
    assert pick_set(frame, "archive-range") != pick_set(pl.concat([frame, added]), "archive-range")


def test_ties_are_all_picked_in_row_order() -> None:
    frame = pl.DataFrame({"q": [0.5, 0.0, 1.0, 0.5], "c": [1.0, 0.0, 2.0, 1.0]})
    choice = select(frame, {"q": "max", "c": "min"}, ideal={"q": 1.0}).choices[0]
    assert choice.picks["trade_off"] == (0, 3)
    assert choice.front == (0, 1, 2, 3)


def test_top_lists_the_nearest_in_order() -> None:
    frame = pl.DataFrame({"q": [1.0, 2.0, 3.0, 4.0], "c": [1.0, 2.0, 3.0, 4.0]})
    choice = select(frame, {"q": "max", "c": "min"}, top=3).choices[0]
    near = [choice.at(row) for row in choice.nearest]
    assert len(near) == 3
    assert choice.distance[near].tolist() == sorted(choice.distance)[:3]


def test_integers_beyond_the_floats_are_distinguished() -> None:
    frame = pl.DataFrame({"q": [1, 1], "c": [2**60 + 1, 2**60]})
    assert select(frame, {"q": "max", "c": "min"}).choices[0].front == (1,)


def test_without_a_quality_the_first_named_cost_takes_its_place() -> None:
    frame = pl.DataFrame({"loss": [1.0, 2.0], "t": [2.0, 1.0], "p": [1.0, 1.0]})
    pairs = [[o.column for o in c.objectives] for c in select(frame, {"loss": "min", "t": "min", "p": "min"}).choices]
    assert pairs == [["loss", "t"], ["loss", "p"], ["loss", "t", "p"]]


def test_a_joint_selection_of_one_objective_is_its_best_row() -> None:
    assert select(pl.DataFrame({"t": [2.0, 1.0, 1.0]}), {"t": "min"}).choices[0].picks["trade_off"] == (1, 2)


def test_canonical_columns_are_objectives_without_being_named() -> None:
    selection = select(pl.read_csv(sample("young2019.csv")))
    assert [o.column for o in selection.objectives] == ["accuracy", *METRICS]


@pytest.mark.parametrize("nothing", [pl.lit(None, dtype=pl.Float64), pl.lit(float("nan")), pl.lit("N/A")])
def test_a_canonical_column_without_any_value_is_not_an_objective(nothing: pl.Expr) -> None:
    frame = pl.read_csv(sample("young2019.csv")).with_columns(nothing.alias("energy_per_inference_j"))
    selection = select(frame)
    assert selection.models.height == 10
    assert selection.remarks == ("energy_per_inference_j has no values and is not an objective",)


def test_accuracy_in_percent_has_the_ideal_100() -> None:
    fractions = pl.DataFrame({"accuracy": [0.8, 0.9, 0.5], "t": [3.0, 9.0, 1.0]})
    percent = fractions.with_columns(pl.col("accuracy") * 100)
    first, second = (select(frame, {"accuracy": "max", "t": "min"}).choices[0] for frame in (fractions, percent))
    assert second.ideal["accuracy"] == 100
    assert second.distance.tolist() == pytest.approx(first.distance.tolist())


def test_one_accuracy_above_1_among_fractions_is_refused_unless_its_ideal_is_given() -> None:
    frame = pl.DataFrame({"accuracy": [0.9, 1.02, 0.5], "t": [3.0, 9.0, 1.0]})
    with pytest.raises(ArchiveError, match=r"1\.02 in row 1 among fractions"):
        select(frame, {"accuracy": "max", "t": "min"})
    assert select(frame, {"accuracy": "max", "t": "min"}, ideal={"accuracy": 2.0}).choices[0].ideal["accuracy"] == 2


def test_the_preset_keeps_its_unit_of_accuracy_whatever_the_ideal() -> None:
    frame = pl.read_csv(sample("young2019.csv"))
    choice = select(frame, preset="paper", ideal={"accuracy": 0.9}).choices[0]
    assert (choice.ideal["accuracy"], choice.scale["accuracy"]) == (0.9, 1.0)


def test_missing_measurement_errors_are_remarked() -> None:
    frame = pl.DataFrame({"accuracy": [0.9, 0.8], "parameters": [2, 1], "accuracy_std": [0.1, None], "accuracy_low": [0.8, 0.7]})
    assert select(frame).remarks == (
        "accuracy_std is missing in 1 of 2 rows, which count as exact",
        "accuracy_std is used, not accuracy_low",
    )


def test_unfinished_rows_of_our_own_archives_are_left_out() -> None:
    frame = pl.DataFrame({"accuracy": [0.9, 0.8], "parameters": [1, 2], "status": ["stopped", "ok"]})
    selection = select(frame)
    assert (tuple(selection.choices[0].front), selection.origin.unfinished) == ((1,), 1)
    foreign = frame.with_columns(pl.Series("status", ["FINISHED", "ok"]))
    assert select(foreign).choices[0].front == (0,)


def test_groups_choose_apart_and_a_missing_key_is_a_group() -> None:
    frame = pl.DataFrame({"g": ["x", None, "x", None], "q": [1.0, 2.0, 3.0, 4.0], "c": [1.0, 1.0, 1.0, 1.0]})
    selection = select(frame, {"q": "max", "c": "min"}, by=["g"], joint=False)
    assert [(group.key, tuple(group.choices[0].front)) for group in selection.groups] == [
        ({"g": "x"}, (2,)),
        ({"g": None}, (3,)),
    ]


@pytest.mark.parametrize(
    "convert", [lambda f: f.to_pandas(), lambda f: f.to_arrow(), lambda f: f.lazy(), lambda f: pa.table(f.to_arrow())]
)
def test_frames_of_other_libraries_give_the_same_selection(convert: Callable[[pl.DataFrame], Any]) -> None:
    frame = pl.read_csv(sample("young2019.csv"))
    assert select(convert(frame)).to_dict() == select(frame).to_dict()


def test_a_selection_cannot_be_changed() -> None:
    selection = select(pl.read_csv(sample("young2019.csv")))
    choice = selection.choices[0]
    with pytest.raises(AttributeError):
        selection.rows = 3  # type: ignore[misc]
    for mapping in (choice.ideal, choice.scale, choice.weights, selection.rule.weights, selection.rule.ideal):
        with pytest.raises(TypeError):
            mapping["accuracy"] = 5.0  # type: ignore[index]
    with pytest.raises(ValueError, match="read-only"):
        choice.values[0, 0] = 9.0


def test_a_selection_shows_its_table_in_a_notebook_and_escapes_names() -> None:
    frame = pl.DataFrame({"model": ["<script>alert(1)</script>"], "accuracy": [0.5], "parameters": [1]})
    page = select(frame, labels=["model"])._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objectives": {}}, "no objective is named"),
        ({"objectives": {"nosuch": "max"}}, "no column 'nosuch'"),
        ({"objectives": {"accuracy": "up"}}, "sense of 'accuracy' is 'up'"),
        ({"objectives": [Objective("accuracy", "max")] * 2}, "'accuracy' is named twice"),
        ({"top": 0}, "top is 0"),
        ({"pairs": False, "joint": False}, "neither the joint selection nor the pairs"),
        ({"labels": ["nosuch"]}, "no column 'nosuch'"),
        ({"weights": {"parameters": 0.0, "accuracy": 0.0}}, "all weights of accuracy, parameters are 0"),
    ],
)
def test_a_wrong_argument_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        select(pl.read_csv(sample("young2019.csv")), **arguments)


@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        ("accuracy_low", [0.5, 0.95], "column 'accuracy_low': 0.95 in row 1"),
        ("accuracy_high", [0.5, 0.95], "column 'accuracy_high': 0.5 in row 0"),
        ("parameters_std", [-1.0, 0.0], "column 'parameters_std': -1 in row 0"),
    ],
)
def test_an_interval_beside_its_value_is_refused(column: str, cells: list[float], message: str) -> None:
    frame = pl.DataFrame({"accuracy": [0.8, 0.9], "parameters": [1, 2], column: cells})
    with pytest.raises(ArchiveError, match=message):
        select(frame)


def test_no_row_with_a_value_everywhere_names_the_column_that_lacks_most() -> None:
    frame = pl.DataFrame({"q": [1.0, 2.0], "c": [None, float("nan")]})
    with pytest.raises(ArchiveError, match="'c' is missing in 2 of 2 rows"):
        select(frame, {"q": "max", "c": "min"})


@pytest.mark.parametrize("dtype", [pl.Int8, pl.Int32, pl.UInt8, pl.UInt64, pl.Int64])
def test_an_integer_column_of_any_width_is_an_objective(dtype: Any) -> None:
    frame = pl.DataFrame({"accuracy": [0.5, 0.6, 0.4], "parameters": pl.Series([3, 4, 4], dtype=dtype)})
    assert select(frame).choices[0].front == (0, 1)


def test_more_groups_than_anybody_reads_are_refused() -> None:
    models = pl.DataFrame({"name": range(3000), "acc": 1.0, "ms": 2.0})
    with pytest.raises(ArchiveError, match=r"--by name makes 3,000 groups; at most 2,000"):
        select(models, {"acc": "max", "ms": "min"}, by=["name"])
