"""The knee of a front, and its hypervolume."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from ecosel.choosing.scoring import knee
from ecosel.dominance import hypervolume
from ecosel.output.sentences import hypervolume_of
from ecosel.selection import select

MODELS = pl.DataFrame({"m": list("abcd"), "acc": [0.9, 0.8, 0.7, 0.85], "ms": [50, 3, 1, 9]})


def test_the_knee_is_farthest_from_the_line_through_the_ends() -> None:
    # by hand, in ranges: a (1, 0), b (2/49, .5), c (0, 1), d (8/49, .25); 1 - x - y is 0, .459, 0, .587
    assert knee(np.array([[50, -0.9], [3, -0.8], [1, -0.7], [9, -0.85]])).tolist() == [3]
    assert knee(np.array([[1.0, 5.0], [2.0, 2.0], [2.0, 2.0], [5.0, 1.0]])).tolist() == [1, 2]


@pytest.mark.parametrize("front", [[[0, 1], [1, 0]], [[0.0, 1.0], [0.6, 0.6], [1.0, 0.0]], [[0, 2], [1, 1], [2, 0]], [[3, 3]]])
def test_a_front_that_does_not_bend_towards_the_ideal_has_none(front: Any) -> None:
    assert knee(np.array(front, dtype=float)).tolist() == []


def test_units_and_other_objectives_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    front = rng.dirichlet(np.ones(3), 40) ** 2
    at = knee(front)
    assert len(at) == 1
    assert knee(front * [1e-9, 1.0, 1e12]).tolist() == at.tolist()


def test_the_knee_stands_beside_the_trade_off_and_is_the_answer() -> None:
    selection = select(MODELS, {"acc": "max", "ms": "min"}, labels=["m"], pick="knee", weights={"ms": 50.0})
    choice = selection.choices[0]
    assert [tuple(rows) for rows in (choice.picks["knee"], choice.answer, choice.picks["trade_off"])] == [(3,), (3,), (2,)]
    text = " ".join(str(selection).split())
    assert (
        "It is the knee of the front, farthest from the plane through its ends (Das 1999). By weighted distance the choice would be c."
        in text
    )
    assert "> the choice ~ best trade-off" in text
    flat = select(MODELS[[0, 2]], {"acc": "max", "ms": "min"}, pick="knee")
    assert flat.choices[0].role == "trade_off"
    assert flat.remarks[-1] == "the front of acc, ms has no knee; its best trade-off is the choice"


def test_a_knee_keeps_limits() -> None:
    selection = select(MODELS, {"acc": "max", "ms": "min"}, pick="knee", limits=["ms <= 5"])
    assert (tuple(selection.choices[0].front), tuple(selection.choices[0].answer)) == ((1, 2), (1,))
    with pytest.raises(ValueError, match="pick is 'knee'; it must be 'distance' or 'knee', and without within"):
        select(MODELS, {"acc": "max", "ms": "min"}, pick="knee", within="1%")


def test_the_hypervolume_is_a_share_of_the_box_from_the_ideal_to_the_worst() -> None:
    choice = select(
        pl.DataFrame({"q": [4.0, 2.0, 0.0], "c": [4.0, 1.0, 4.0]}), {"q": "max", "c": "min"}, ideal={"q": 4.0}
    ).choices[0]
    # by hand: the box is 4 by 4; (0, 4) lies on its edge and adds nothing, (2, 1) dominates 2 by 3
    assert hypervolume_of(choice)[0] == pytest.approx(6 / 16)
    document = select(MODELS, {"acc": "max", "ms": "min"}).to_dict()["groups"][0]["selections"][0]["hypervolume"]
    assert document["reference"] == {"acc": 0.7, "ms": 50.0}
    costs = np.array([[0, 1], [0.5, 0.06], [1, 0.02], [0.25, 0.18]])
    assert document["value"] == pytest.approx(hypervolume(costs, [1, 1]))


def test_where_there_is_no_hypervolume_the_reason_stands() -> None:
    frame = MODELS.with_columns(a=pl.lit(1), b=pl.col("ms"))
    four = select(frame, {"acc": "max", "ms": "min", "a": "min", "b": "min"}).choices
    assert hypervolume_of(four[-1]) == (None, "it is computed for two or three objectives")
    assert hypervolume_of(four[1])[0] == 0.0  # the ideal of a is 0, all are 1: they lie on the edge
    same = select(frame, {"acc": "max", "a": "min"}, ideal={"a": 1.0}).choices[0]
    assert hypervolume_of(same) == (None, "all models are equal in a")


def test_the_table_shows_it_on_request(tmp_path: Any, ecosel: Any) -> None:
    MODELS.write_csv(tmp_path / "t.csv")
    options = ("select", tmp_path / "t.csv", "--maximize", "acc", "--minimize", "ms")
    assert " hypervolume: 0.6" in ecosel(*options, "--hypervolume").out
    assert "hypervolume" not in ecosel(*options).out
