"""Who dominates a model, and the weights under which it wins."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ecosel.choosing.explanation import explain, find_row
from ecosel.choosing.scoring import distances
from ecosel.selection import Selection, select

FRAME = pl.DataFrame({
    "name": ["fast", "good", "even", "poor", "even"],
    "q": [0.5, 0.9, 0.7, 0.6, 0.65],
    "c": [1.0, 4.0, 2.0, 3.0, 2.5],
})  # fmt: skip


def selection(frame: pl.DataFrame = FRAME, **arguments: object) -> Selection:
    return select(frame, {"q": "max", "c": "min"}, labels=["name"], joint=False, **arguments)  # type: ignore[arg-type]


def test_a_dominated_model_names_its_dominators_and_is_not_a_choice() -> None:
    _, (told,) = explain(selection(), 3)
    assert not told.on_front
    assert sorted(told.dominated_by) == [2, 4]
    assert told.others[0].values == {"q": 0.7, "c": 2.0}


def test_every_dropped_row_names_all_its_dominators() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(rng.integers(0, 8, (60, 3)).astype(float), schema=["q", "c", "d"]).with_columns(name=pl.lit("m"))
    chosen = select(frame, {"q": "min", "c": "min", "d": "min"}, labels=["name"], pairs=False)
    values = frame["q", "c", "d"].to_numpy()
    for row in range(60):
        _, (told,) = explain(chosen, row)
        better = [k for k in range(60) if (values[k] <= values[row]).all() and (values[k] < values[row]).any()]
        assert sorted(told.dominated_by) == better
        assert told.on_front == (row in chosen.choices[0].front)


def test_neighbours_stand_next_to_the_model_on_the_front() -> None:
    _, (told,) = explain(selection(), 2)
    assert [other.row for other in told.others] == [0, 1]


@pytest.mark.parametrize("d", [2, 3, 4])
def test_the_weighting_told_makes_the_model_the_pick(d: int) -> None:
    columns = [f"c{k}" for k in range(d)]
    found = 0
    for seed in range(6):
        frame = pl.DataFrame(np.random.default_rng(seed).random((25, d)), schema=columns)
        chosen = select(frame, dict.fromkeys(columns, "min"), pairs=False)
        choice = chosen.choices[0]
        for row in choice.front:
            _, (told,) = explain(chosen, row)
            if told.weighting is None:
                assert told.wins == 0
                continue
            again = select(frame, dict.fromkeys(columns, "min"), pairs=False, weights=told.weighting).choices[0]
            assert row in again.picks["trade_off"], f"seed {seed}"
            found += 1
    assert found > 8


def test_a_region_too_small_to_be_sampled_is_searched() -> None:
    # squares of b lie just under the plane through the corners: it wins in a tiny region round equal weights
    third = np.sqrt(1 / 3 - 1e-6)
    frame = pl.DataFrame({"x": [1.0, 0.0, 0.0, third], "y": [0.0, 1.0, 0.0, third], "z": [0.0, 0.0, 1.0, third]})
    chosen = select(frame, {"x": "min", "y": "min", "z": "min"}, pairs=False, scale="none")
    _, (told,) = explain(chosen, 3)
    assert told.weighting is not None
    weights = np.array(list(told.weighting.values()))
    assert np.argmin(distances(frame.to_numpy(), weights)) == 3


def test_a_row_is_found_by_number_by_label_and_by_part_of_a_label() -> None:
    chosen = selection()
    assert [find_row(chosen, name) for name in ("1", "good", "GOOD", "goo")] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("model", "message"),
    [("even", r"'even' fits 2 models; name one by its row: 2 \(even\), 4 \(even\)"), ("9", "row 9 is not among the 5 rows used"),
     ("zzz", r"no model is called 'zzz'; give a row \(0 to 4\) or a value of name")],
)  # fmt: skip
def test_a_model_that_is_not_one_row_is_refused(model: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_row(selection(), model)


def test_a_row_left_out_is_reported_with_the_column_that_lacks_a_value() -> None:
    frame = FRAME.with_columns(pl.when(pl.col("name") == "poor").then(None).otherwise(pl.col("c")).alias("c"))
    with pytest.raises(ValueError, match="row 3 was left out: it has no value in c"):
        find_row(selection(frame), "3")
