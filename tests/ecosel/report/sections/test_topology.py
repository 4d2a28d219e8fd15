"""Topologies: what a cell may hold, and how a layer is written."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from ecosel.report.sections.topology import read_topology, stacks
from ecosel.report.view.view import group_views
from tests.ecosel.report.archives import LAYERS, archive, evolved
from tests.ecosel.report.conftest import selected


def test_an_archive_without_topologies_has_no_such_section() -> None:
    for frame in (archive(9), archive(9).with_columns(pl.lit(None, dtype=pl.String).alias("topology"))):
        selection, rows = selected(frame)
        assert stacks(rows, group_views(selection)) == []


def test_each_lettered_model_is_drawn() -> None:
    selection, rows = selected(evolved(), labels=["candidate_id"])
    views = group_views(selection)
    (drawn,) = stacks(rows, views)
    assert len(drawn) == len(views[0].letters)
    layers = drawn[0].layers
    assert (layers[0].words, layers[0].shape) == ("kernel 20×3, stride 1×2, 32 channels", "32×8×8")
    assert [layer.words for layer in layers[1:]] == ["relu", "max, kernel 2×2", "rate 0.25", "10 units"]


@pytest.mark.parametrize("cell", [LAYERS, json.dumps(LAYERS)])
def test_text_and_lists_are_read(cell: Any) -> None:
    assert [layer["op"] for layer in read_topology(cell)] == ["convolution", "activation", "pooling", "dropout", "inner product"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [(None, "holds no topology"), ("{", "not JSON"), ("[" * 100_000, "not JSON"), ("{}", "not a list of layers"),
     ('[{"kernel": 3}]', "not a list"), ('[{"op": 3}]', "not a list"), (json.dumps([{"op": "x"}] * 201), "201 layers")],
)  # fmt: skip
def test_a_cell_that_is_not_a_topology_says_so_in_place_of_a_drawing(cell: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_topology(cell)
    selection, rows = selected(evolved().with_columns(pl.lit(cell, dtype=pl.String).alias("topology")))
    drawn = stacks(rows, group_views(selection))
    assert drawn == [] if cell is None else message in drawn[0][0].reason


def test_values_nested_deeply_are_shown_down_to_the_third_level() -> None:
    from ecosel.report.sections.topology import _shape

    nested: Any = 1
    for _ in range(5000):
        nested = [nested]
    assert _shape(nested) == "…"
    assert _shape([[2, 3], {"a_b": [4]}]) == "2×3×a b 4"
