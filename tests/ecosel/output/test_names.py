"""Names: none stands for two models, and what is damaged is marked."""

from __future__ import annotations

import polars as pl
import pytest

from ecosel.output.characters import printable, shortened
from ecosel.output.names import names_of
from ecosel.readers.table import ROW


def test_models_of_one_name_are_told_apart_by_the_columns_that_differ() -> None:
    rows = pl.DataFrame(
        {
            ROW: [0, 1, 2, 3],
            "model": ["a", "a", "a", "b"],
            "gpu": ["B200", "B200", "H100", "H100"],
            "max_num_seqs": [8, 16, 8, 8],
            "latency": [1.23456, 2.34567, 3.45678, 4.56789],
            "note": ["x"] * 4,
        }
    )
    named = names_of(rows.select(ROW, "model"), ["model"], rows, besides=["latency"])
    assert named == ["a · B200 · max_num_seqs 8", "a · B200 · max_num_seqs 16", "a · H100 · max_num_seqs 8", "b"]
    assert names_of(rows.select(ROW), [], rows.select(ROW, "latency")) == ["row 0", "row 1", "row 2", "row 3"]


def test_measured_numbers_tell_nobody_apart() -> None:
    rows = pl.DataFrame({ROW: [0, 1], "model": ["a", "a"], "seconds": [1.234567, 2.345678]})
    assert names_of(rows.select(ROW, "model"), ["model"], rows) == ["a", "a"]


def test_a_bare_number_gets_its_kind() -> None:
    frame = pl.DataFrame({ROW: [0, 1], "candidate_id": ["31", "x4"]})
    assert names_of(frame, ["candidate_id"]) == ["candidate 31", "x4"]
    frame = frame.with_columns(pl.Series("test_accuracy", [0.8444444444444444, None]))
    assert names_of(frame, ["candidate_id", "test_accuracy"]) == ["candidate 31 / test accuracy 0.844444", "x4"]


@pytest.mark.parametrize("name", ["👩‍👩‍👧‍👦", "می‌خواهم", "क्‍ष", "👍🏽‍a"])
def test_joiners_in_names_survive(name: str) -> None:
    assert printable(name) == shortened(name, 40) == name


def test_joiners_that_join_nothing_are_marked() -> None:
    assert printable("a\u200d") == "a\ufffd"
    assert printable("\u200da\u200d b\u202ec") == "\ufffda\ufffd b\ufffdc"
    assert shortened("👩‍👩‍👧‍👦", 3) == "👩…"
