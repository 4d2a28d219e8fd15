"""The table: intervals as they were stated, differences from the most accurate."""

from __future__ import annotations

import polars as pl

from ecosel.report.sections.table import Cell, table_lines
from ecosel.report.view.view import group_views
from tests.ecosel.report.archives import archive
from tests.ecosel.report.conftest import selected


def cells_of(frame: pl.DataFrame) -> list[tuple[Cell, ...]]:
    selection, _ = selected(frame, labels=["model"], objectives={"accuracy": "max", "parameters": "min"})
    return [line.cells for line in table_lines(selection, group_views(selection))]


def test_an_interval_of_unequal_sides_is_written_with_both() -> None:
    frame = archive(1).with_columns(pl.lit(0.5).alias("accuracy"))
    even = frame.with_columns(pl.lit(0.4).alias("accuracy_low"), pl.lit(0.6).alias("accuracy_high"))
    uneven = frame.with_columns(pl.lit(0.49).alias("accuracy_low"), pl.lit(0.8).alias("accuracy_high"))
    assert [cells_of(one)[0][0].interval for one in (even, uneven, frame)] == [" ± 10", " −1 +30", ""]


def test_a_number_stands_with_its_unit_and_its_difference() -> None:
    frame = pl.DataFrame({"model": ["a", "b"], "accuracy": [0.9, 0.88], "parameters": [1000, 250]})
    (first, second) = cells_of(frame)
    assert [cell.text for cell in first] == ["90\u00a0%", "1,000"]
    assert [cell.difference for cell in first] == ["", ""]
    assert [cell.difference for cell in second] == ["−2 points", "−75\u00a0%"]
