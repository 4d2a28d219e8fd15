"""Delimited text as people have it: decimal commas, short rows, blanks, titles and comments around the table."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecosel.errors import ArchiveError
from ecosel.readers import open_archive
from ecosel.readers.kinds import SAMPLE_BYTES
from ecosel.readers.table import ROW

PACKED: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress}


@pytest.fixture(params=[1000, 0], ids=["", "wide"])
def as_wide(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read each table also as those of thousands of columns are read."""
    monkeypatch.setattr("ecosel.readers.text.delimited._WIDE", request.param)


def read(folder: Path, text: str, *, packed: str = "", name: str = "t.csv", **options: Any) -> dict[str, list[Any]]:
    file = folder / f"{name}{packed}"
    file.write_bytes(PACKED[packed](text.encode()))
    archive = open_archive([str(file)], **options)
    return archive.read(archive.columns, labels=["m"] if "m" in archive.columns else []).drop(ROW).to_dict(as_series=False)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        # the first column shows what the marks of the second mean
        ([("0,81", "950"), ("0,90", "1.200"), ("0,93", "12.000")], [950, 1200, 12000]),
        ([("0,81", "1.234,56"), ("0,90", "7.000.000")], [1234.56, 7e6]),
        ([("81", "7.000.000"), ("90", "950")], [7_000_000, 950]),
        ([("0,81", "1 234,5"), ("0,90", "1\u00a0234,5"), ("0,9", "1\u202f234")], [1234.5, 1234.5, 1234]),
        ([("0,81", "1'234"), ("0,90", "1’234,5")], [1234, 1234.5]),
        ([("81", "1'234'567"), ("90", "5")], ["1'234'567", "5"]),  # read as numbers where they are objectives
        ([("0.81", "1.200"), ("0.90", "12.000")], [1.2, 12]),
        ([("0.81", "1,200"), ("0.90", "7,000,000.5")], [1200, 7000000.5]),
        ([("0,81", "-1.200"), ("0,90", "+3,5")], [-1200, 3.5]),
        ([("0,81", "1,5e-3"), ("0,90", "2e3")], [0.0015, 2000]),
        ([("0,81", "n/a"), ("0,90", "1.200")], ["n/a", "1200"]),
        ([("0,81", "v1.200"), ("0,90", "v1.300")], ["v1.200", "v1.300"]),
        ([("0,81", "12,5 %"), ("0,90", "7 %")], ["12.5 %", "7 %"]),
    ],
)
@pytest.mark.parametrize("packed", PACKED)
def test_marks_mean_what_the_file_shows(
    tmp_path: Path, separator: str, cells: list[tuple[str, str]], numbers: list[Any], packed: str
) -> None:
    text = "".join(separator.join(row) + "\n" for row in [("acc", "ms"), *cells])
    assert read(tmp_path, text, packed=packed)["ms"] == numbers


@pytest.mark.parametrize(("decimal", "numbers"), [("point", [1.2, 1.3]), ("comma", [1200, 1300])])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_column_that_can_be_read_both_ways_stops_until_the_user_says(
    tmp_path: Path, separator: str, decimal: Any, numbers: list[float]
) -> None:
    text = "acc;ms\n81;1.200\n90;1.300\n".replace(";", separator)
    with pytest.raises(
        ArchiveError, match=r"'ms': does the point in '1.200' group digits\? it can be 1.200 or 1200; say which with --decimal"
    ):
        read(tmp_path, text)
    assert read(tmp_path, text, decimal=decimal)["ms"] == numbers


def test_a_decimal_comma_in_quotes_or_json_is_read_where_the_user_says(tmp_path: Path) -> None:
    assert read(tmp_path, 'acc,ms\n"0,81","1.200"\n', decimal="comma") == {"acc": [0.81], "ms": [1200]}
    (tmp_path / "t.json").write_text('[{"acc": "0,81", "name": "1,5"}]')
    archive = open_archive([str(tmp_path / "t.json")], decimal="comma")
    assert archive.read(["acc", "name"], labels=["name"]).row(0) == (0, "0.81", "1,5")


def test_one_column_with_both_marks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"is the comma in '0,81' a decimal mark\? other cells have a point"):
        read(tmp_path, "acc;ms\n0,81;1\n0.9;2\n")


@pytest.mark.usefixtures("as_wide")
@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b,c,d,e\n1,2,3,4,5\n1,2,3,4\n", "row 1 has 4 cells, but the header has 5"),
        ("a;b;c\n1;2\n1;2;3\n", "row 0 has 2 cells, but the header has 3"),
        ("a\tb\tc\n1\t2\t3\n\n1\n\n", "row 2 has 1 cell, but the header has 3"),
        ('a,b,c\n"x, ""y""",2,3\n"z\nz",5\n', "row 1 has 2 cells, but the header has 3"),
        ("a,b\n1,2\n3,4,5\n", "row 1 has 3 cells, but the header has 2"),
        ("title\na,b,c\n1,2,3\n4,5\n", "row 1 has 2 cells, but the header has 3"),
    ],
)
def test_a_row_of_another_length_is_named(tmp_path: Path, text: str, words: str, packed: str) -> None:
    with pytest.raises(ArchiveError, match=words):
        read(tmp_path, text, packed=packed)


@pytest.mark.usefixtures("as_wide")
@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize(
    "text",
    [
        "a,b,c\n1,2,3\n\n4,5,6\n\n\n",
        "a,b,c\r\n1,2,3\r\n4,5,6\r\n\r\n",
        "sep=,\na,b,c\n1,2,3\n4,5,6\n",
        "SEP=;\na;b;c\n1;2;3\n4;5;6",
        "Results of 2024\n\na,b,c\n1,2,3\n4,5,6\n",
        "# made by a tool, version 3\na,b,c\n1,2,3\n# half way\n4,5,6\n",
        "#a,b,c\n1,2,3\n4,5,6\n",
        "# a,b,c\n1,2,3\n4,5,6\n",
        "\n\na,b,c\n1,2,3\n4,5,6\n",
        " a , b,\tc \n1, 2 ,3\n 4,5,6 \n",
    ],
)
def test_lines_around_the_table_are_not_rows(tmp_path: Path, text: str, packed: str) -> None:
    frame = read(tmp_path, text, packed=packed)
    assert {name: [int(cell) for cell in cells] for name, cells in frame.items()} == {"a": [1, 4], "b": [2, 5], "c": [3, 6]}


@pytest.mark.usefixtures("as_wide")
def test_an_empty_last_cell_is_a_missing_value_and_a_row_of_separators_a_row(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b,c\n1,2,\n,,\n4,5,6\n")["c"] == [None, None, 6]
    assert read(tmp_path, 'a,b,c\n"1, 2",2,\n\n4,5,6\n')["b"] == [2, 5]


def test_a_number_sign_that_begins_a_cell_is_not_a_comment(tmp_path: Path) -> None:
    assert read(tmp_path, "rank,acc\n#1,2\n#2,3\n")["rank"] == ["#1", "#2"]
    assert read(tmp_path, "#,model,acc\n1,x,2\n2,y,3\n")["#"] == [1, 2]


def test_text_is_stripped_of_blanks_at_its_ends_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('[{" m ": " tiny ", "acc": 1}, {" m ": "big\u00a0", "acc": 2}]')
    for frame in (read(tmp_path, "m , acc\ntiny  ,1\n  big ,2\n"), read(tmp_path, "m|acc\n tiny|1\nbig |2\n")):
        assert frame == {"m": ["tiny", "big"], "acc": [1, 2]}
    archive = open_archive([str(tmp_path / "t.json")])
    assert archive.read(["m", "acc"]).rows() == [(0, "tiny", 1), (1, "big", 2)]


def test_names_that_differ_only_in_blanks_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a, a,b\n1,2,3\n")
    assert open_archive([str(tmp_path / "t.csv")]).columns == ("a", " a", "b")


@pytest.mark.parametrize(("suffix", "pack"), [(".bz2", bz2.compress), (".xz", lzma.compress)])
def test_other_compressions_are_read(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / f"t.csv{suffix}").write_bytes(pack(b"a,b\n1,2\n"))
    assert open_archive([str(tmp_path / f"t.csv{suffix}")]).read(["a", "b"]).row(0) == (0, 1, 2)
    (tmp_path / f"t.csv{suffix}").write_bytes(pack(b"a,b\n1,2\n")[:-8])
    with pytest.raises(ArchiveError, match="cannot read"):
        open_archive([str(tmp_path / f"t.csv{suffix}")])


def test_a_header_longer_than_the_first_look_at_a_file_is_read_whole(tmp_path: Path) -> None:
    names = ["model", *(f"c{k}" for k in range(12_000))]
    wide = tmp_path / "wide.csv"
    wide.write_text(
        ";".join(names) + "\n" + ";".join(["a", *["0,5"] * 12_000]) + "\n" + ";".join(["b", *["1,5"] * 12_000]) + "\n"
    )
    assert wide.read_text().index("\n") > SAMPLE_BYTES
    archive = open_archive([str(wide)])
    frame = archive.read(archive.columns, labels=["model"])
    assert frame.columns[1:] == names
    assert frame["c11999"].to_list() == [0.5, 1.5]
