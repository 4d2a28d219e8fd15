"""Limits and nearness to the best: who may be chosen, what binds, and what giving it up gains."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ecosel.choosing.explanation import explain
from ecosel.errors import ArchiveError
from ecosel.limits import Limit
from ecosel.output.documents import as_document, marked_frame
from ecosel.readers.table import ROW
from ecosel.selection import Selection, select

MODELS = pl.DataFrame({"m": list("abcd"), "acc": [0.9, 0.8, 0.7, 0.85], "ms": [50, 3, 1, 9], "mj": ["3", None, "9", "4"]})


def chosen(*limits: str, within: str | None = None) -> Selection:
    return select(MODELS, {"acc": "max", "ms": "min"}, labels=["m"], limits=limits, within=within)


def test_only_models_that_keep_all_limits_are_on_the_front_and_chosen() -> None:
    choice = chosen("ms <= 5", "acc >= 0.75").choices[0]
    assert (tuple(choice.front), tuple(choice.answer), choice.used) == ((1,), (1,), 1)
    assert choice.picks == {"best:acc": (1,), "best:ms": (1,), "trade_off": (1,)}


def test_a_limit_leaves_ideal_and_scale_and_so_the_order_of_the_others() -> None:
    free, limited = chosen().choices[0], chosen("ms <= 20").choices[0]
    assert (free.ideal, free.scale) == (limited.ideal, limited.scale)
    assert free.distance[free.at(3)] == limited.distance[limited.at(3)]


def test_a_limit_that_binds_says_what_would_be_chosen_without_it() -> None:
    selection = chosen("ms <= 5", "acc >= 0.5")
    binding, slack = selection.choices[0].restrictions
    assert (binding.text, binding.kept, tuple(binding.without), binding.values) == ("ms <= 5", 2, (3,), (0.85, 9.0))
    assert (slack.text, slack.kept, tuple(slack.without)) == ("acc >= 0.5", 4, ())
    text = str(selection)
    assert "ms <= 5 binds (2 models meet it): without it the choice would be d: 6.3 %" in text
    assert "acc >= 0.5 does not bind (4 models meet it)." in text


def test_a_limit_may_be_of_a_column_that_is_not_an_objective_and_reads_cleaned_cells() -> None:
    choice = chosen("mj < 4").choices[0]
    assert choice.front == (0,)  # b has no value and so does not keep it
    assert chosen("mj <= 4").choices[0].front == (0, 3)


@pytest.mark.parametrize(
    ("within", "answer"),
    [("0%", 0), ("5.5%", 0), ("6%", 3), ("5 points", 3), ("5", 3), ("12%", 1), ("99%", 2)],  # acc is a fraction: 5 is 0.05
)
def test_within_chooses_the_cheapest_that_is_near_enough_to_the_best(within: str, answer: int) -> None:
    choice = chosen(within=within).choices[0]
    assert choice.answer == choice.picks["within"] == (answer,)
    assert choice.picks["trade_off"] == (3,)
    assert bool(choice.restrictions[0].without) == (answer != 3)


def test_points_of_a_quality_in_percent_are_its_own_unit() -> None:
    percent = MODELS.with_columns(top1=pl.col("acc") * 100)
    assert select(percent, {"top1": "max", "ms": "min"}, within="5").choices[0].answer == (3,)


def test_within_and_limits_hold_together_and_the_best_is_of_those_left() -> None:
    choice = chosen("ms <= 20", within="6%").choices[0]
    assert choice.answer == (1,)  # 0.8 is within 6 % of 0.85
    assert [bound.without for bound in choice.restrictions] == [(3,), (3,)]


def test_within_weighs_all_costs_but_not_the_quality() -> None:
    models = pl.DataFrame({"q": [10.0, 9.95, 9.9, 5.0], "a": [10.0, 2.0, 9.0, 1.0], "b": [10.0, 9.0, 2.0, 1.0]})
    joint = select(models, {"q": "max", "a": "min", "b": "min"}, within="1%", weights={"b": 3.0}).choices[-1]
    assert joint.answer == (2,)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (("acc >= 0.95",), "no model has acc >= 0.95; the best has 0.9"),
        (("ms < 1",), "no model has ms < 1; the best has 1"),
        (("ms <= 2", "acc >= 0.9"), "no model meets all limits: ms <= 2 (1 meet it), acc >= 0.9 (1 meet it)"),
    ],
)
def test_where_nothing_is_left_the_limit_and_the_best_value_are_named(limits: tuple[str, ...], words: str) -> None:
    with pytest.raises(ArchiveError) as refused:
        chosen(*limits)
    assert words in str(refused.value)


def test_a_group_without_a_model_that_keeps_the_limits_is_a_remark() -> None:
    frame = MODELS.with_columns(gpu=pl.Series(["x", "x", "y", "x"]))
    selection = select(frame, {"acc": "max", "ms": "min"}, by=["gpu"], limits=["acc >= 0.75"])
    assert [group.key for group in selection.groups] == [{"gpu": "x"}]
    assert selection.remarks[-1:] == ("gpu = y: no model has acc >= 0.75; the best has 0.7",)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (["ms <= 5", "ms <= 9"], "a limit of ms is given twice: ms <= 5 and ms <= 9"),
        ([Limit("depth", 5)], "no column 'depth'"),
        (["depth <= 5"], "no column 'depth'"),
    ],
)
def test_wrong_limits_are_named(limits: list[str | Limit], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        select(MODELS, {"acc": "max", "ms": "min"}, limits=limits)
    assert select(MODELS, {"acc": "max", "ms": "min"}, limits=["ms >= 2", "ms <= 9"]).choices[0].front == (1, 3)


def test_why_says_which_limit_a_model_breaks() -> None:
    selection = chosen("ms <= 20")
    of_a = explain(selection, 0)[1][0]
    assert (of_a.breaks, of_a.on_front, of_a.is_pick, of_a.dominated_by) == (("ms <= 20",), False, False, ())
    assert explain(selection, 3)[1][0].is_pick


def test_the_document_and_the_marked_front_carry_the_limits() -> None:
    selection = chosen("ms <= 5", within="1%")
    document = as_document(selection)
    assert (document["rule"]["limits"], document["rule"]["within"]) == (["ms <= 5"], "1 %")
    assert document["groups"][0]["selections"][0]["restrictions"][0]["without"] == [0]
    marked = marked_frame(chosen("ms <= 5"), MODELS.with_row_index(ROW))
    assert marked["on_front"].to_list() == [False, True, True, False]
    assert marked["rank"].to_list() == [None, 0, 0, None]


def test_random_archives_agree_with_a_slow_twin() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        q, c = rng.integers(0, 9, 20), rng.integers(1, 9, 20)
        least, most = sorted(q)[8], sorted(c)[13]
        may = [k for k in range(20) if q[k] >= least and c[k] <= most]
        if not may:
            continue
        choice = select(pl.DataFrame({"q": q, "c": c}), {"q": "max", "c": "min"}, limits=[f"q>={least}", f"c<={most}"]).choices[0]
        front = [k for k in may if not any((q[j] >= q[k] and c[j] <= c[k]) and (q[j] > q[k] or c[j] < c[k]) for j in may)]
        assert choice.front == tuple(front), f"seed {seed}"


def test_two_qualities_are_a_pair_too() -> None:
    models = pl.DataFrame({"top1": [80, 75, 70], "img_s": [100, 900, 1000], "params": [5, 6, 7]})
    selection = select(models, {"top1": "max", "img_s": "max", "params": "min"})
    pairs = [tuple(o.column for o in choice.objectives) for choice in selection.choices if choice.kind == "pair"]
    assert pairs == [("top1", "params"), ("img_s", "params"), ("top1", "img_s")]
    assert selection.choices[2].front == (0, 1, 2)
    assert selection.choices[2].ideal == {"top1": 80.0, "img_s": 1000.0}
