"""Expressions over columns: which of their texts are numbers."""

from __future__ import annotations

import polars as pl

from ecosel.readers.derived.expressions import Expression


def test_a_column_whose_first_cells_are_empty_or_text_is_read_as_a_whole() -> None:
    late = pl.DataFrame({"acc": [""] * 150 + ["0.4", "0.6"], "name": ["a"] * 151 + ["0.6"], "ms": [None] * 150 + ["3 ms", "2 s"]})
    assert Expression("--where", "acc > 0.5").condition(late).to_list() == [False] * 151 + [True]
    assert Expression("--where", "acc > 0.5 AND name <> 'a'").condition(late).sum() == 1
    assert Expression("--where", "ms > 1").condition(late).sum() == 1  # in s, the larger of the two units
    assert Expression("--derive", "name").on(late)[151] == "0.6"
