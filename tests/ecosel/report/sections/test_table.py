"""The table: intervals as they were stated, roles beside the names."""

from __future__ import annotations

import re

import polars as pl

from ecosel.report.sections.table import table_section
from ecosel.report.view.view import group_views
from tests.ecosel.report.archives import archive
from tests.ecosel.report.conftest import selected


def cells_of(frame: pl.DataFrame) -> str:
    selection, _ = selected(frame, labels=["model"], objectives={"accuracy": "max", "parameters": "min"})
    return re.sub(r"<[^>]+>", " ", table_section(selection, group_views(selection)).html)


def test_an_interval_of_unequal_sides_is_written_with_both() -> None:
    frame = archive(1).with_columns(pl.lit(0.5).alias("accuracy"))
    even = frame.with_columns(pl.lit(0.4).alias("accuracy_low"), pl.lit(0.6).alias("accuracy_high"))
    uneven = frame.with_columns(pl.lit(0.49).alias("accuracy_low"), pl.lit(0.8).alias("accuracy_high"))
    assert "0.5 ± 0.1 " in cells_of(even)
    assert "0.5 −0.01 +0.3 " in cells_of(uneven)
    assert "±" not in cells_of(frame).split("Click a heading")[1]


def test_what_a_model_is_best_at_stands_before_the_numbers() -> None:
    text = cells_of(archive(1))
    assert text.index("best at") < text.index("accuracy ↑")
