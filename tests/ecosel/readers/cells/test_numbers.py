"""Messy cells become the numbers a person reads in them, or stop with the cell and its row."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ecosel.errors import ArchiveError
from ecosel.readers import ROW, open_archive
from ecosel.readers.cells.numbers import looks_numeric, numbers


def read(*cells: object, **options: object) -> list[float | None]:
    series = pl.Series("x", cells, strict=False, **options)  # type: ignore[arg-type]
    return numbers(series, rows=pl.Series(range(len(cells)))).to_list()


@pytest.mark.parametrize(
    "cell", ["", " ", "-", "N/A", "n/a", "NA", "NaN", "nan", "null", "None", "inf", "-inf", "Infinity", "?", "—"]
)
def test_words_for_no_value_are_missing(cell: str) -> None:
    assert read("1", cell) == [1, None]


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1,014.45", 1014.45), ("25,506,331", 25506331), ("25 506 331", 25506331), (" 3.39 ", 3.39), ("1e-3", 1e-3), ("+5", 5), (".5", 0.5),
     ("-1,000", -1000), ("1'000.5", 1000.5), ("5.", 5), ("007", 7), ("1E5", 1e5)],
)  # fmt: skip
def test_numbers_as_people_write_them_are_read(cell: str, value: float) -> None:
    assert read(cell) == [value]


def test_a_percent_sign_divides_by_100() -> None:
    assert read("80.24%", "81.82 %", "-") == pytest.approx([0.8024, 0.8182, None])


def test_nan_and_infinity_of_a_float_column_are_missing() -> None:
    assert read(1.0, float("nan"), float("inf"), float("-inf"), None) == [1, None, None, None, None]


def test_integers_keep_their_last_digit() -> None:
    assert read("9007199254740993") == [9007199254740993]


def test_truth_values_count_as_0_and_1() -> None:
    assert read(True, False, None) == [1, 0, None]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["01:30", "00:45"], "write a duration with hours, minutes and seconds, as in 0:01:30"),
        (["1", "acc: 58.55"], "column 'x': 'acc: 58.55' in row 1 is not a number"),
        (["1.5", "58,55"], "decimal commas"),
        (["1.5", "0,802"], "decimal commas"),
        (["80%", "0.8"], "only some cells carry a percent sign"),
        (["0x10"], "'0x10' in row 0"),
        (["1_00"], "'1_00' in row 0"),
        (["1,01,450"], "row 0"),
        (["12" + "y" * 200], r"\.\.\. in row 0"),
    ],
)
def test_a_cell_that_is_not_a_number_stops_with_its_row(cells: list[str], message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        read(*cells)


def test_cells_of_another_type_stop_with_their_type() -> None:
    with pytest.raises(ArchiveError, match="type List"):
        read([1, 2])


def test_the_number_of_unreadable_cells_is_reported() -> None:
    with pytest.raises(ArchiveError, match="2 such cells"):
        read("a", "1", "b")


def test_only_columns_of_numbers_look_numeric() -> None:
    assert looks_numeric(pl.Series(["1", "N/A"]))
    assert not looks_numeric(pl.Series(["1", "x"]))
    assert not looks_numeric(pl.Series(["", "-"]))


@pytest.mark.parametrize(
    ("content", "numbers_read"),
    [
        ("acc;cost\n1,014;5\nN/A;3\n", [1.014, None]),
        ("acc;cost\n50,125%;1\n60,250%;2\n", [0.50125, 0.6025]),
        ("acc;cost\n1,014;1\n25,506,331;2\n", [1014, 25506331]),
        ("acc;cost\n0,5;1\n0,7;2\n", [0.5, 0.7]),
        ("acc;cost\n" + "1,014;5\n" * 1500 + "N/A;3\n", [1.014] * 1500 + [None]),
        ('acc,cost\n"1,014",5\n', [1014]),
        ("acc\tcost\n58,55\t5\n61,2\t7\n", [58.55, 61.2]),
    ],
)
def test_a_comma_means_what_the_file_says(content: str, numbers_read: list[float | None], tmp_path: Path) -> None:
    file = tmp_path / "c.txt"
    file.write_text(content)
    frame = open_archive([str(file)]).read(["acc"])
    assert numbers(frame["acc"], rows=frame[ROW]).to_list() == pytest.approx(numbers_read)
