"""Workbooks and DuckDB databases, written by the real libraries."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import openpyxl
import pytest

from ecosel.errors import ArchiveError
from ecosel.readers import open_archive
from ecosel.readers.bounds import Bounds
from ecosel.readers.table import ROW
from tests.conftest import ROOT


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    book = openpyxl.Workbook()
    book.active.title = "results"
    for row in [["Benchmark"], [], ["model", "acc", "ms"], ["a", 0.9, 5], ["b", "n/a", 2], [None, None, None], ["c", 0.7, None]]:
        book.active.append(row)
    other = book.create_sheet("speed")
    for row in [["model", "ms"], ["a", 1.5]]:
        other.append(row)
    book.save(tmp_path / "t.xlsx")
    return tmp_path / "t.xlsx"


def test_the_first_sheet_is_read_or_the_one_that_is_named(workbook: Path) -> None:
    archive = open_archive([str(workbook)])
    assert archive.read(["model", "acc", "ms"]).drop(ROW).rows() == [("a", "0.9", 5), ("b", "n/a", 2), ("c", "0.7", None)]
    assert archive.remarks == ("reading sheet 'results'; others: speed",)
    assert open_archive([str(workbook)], table="speed").read(["model", "ms"]).row(0) == (0, "a", 1.5)
    with pytest.raises(ArchiveError, match="no sheet 'x'; it has: results, speed"):
        open_archive([str(workbook)], table="x")


def test_a_workbook_without_its_reader_says_what_to_install(workbook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(ArchiveError, match=r"needs python-calamine: pip install 'ecosel\[xlsx\]'"):
        open_archive([str(workbook)])


def test_a_column_of_duckdb_keeps_a_name_with_zero_bytes() -> None:
    archive = open_archive([str(ROOT / "tests/fuzz/corpus/duckdb/zero-bytes-in-a-name")])
    assert archive.read(archive.columns).columns == ["ecosel:row", "model", "a\0\0\0\0acy", "ms"]


def test_a_duckdb_table_is_read_and_reaches_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.csv").write_text("x\n1\n")
    with duckdb.connect(str(tmp_path / "t.duckdb")) as database:
        database.execute("CREATE TABLE models (model TEXT, acc DECIMAL(4, 2), ms INTEGER)")
        database.execute("INSERT INTO models VALUES ('a', 0.90, 5), ('b', 0.80, NULL)")
    assert open_archive([str(tmp_path / "t.duckdb")]).read(["model", "acc", "ms"]).rows() == [
        (0, "a", 0.9, 5),
        (1, "b", 0.8, None),
    ]
    with duckdb.connect(str(tmp_path / "t.duckdb")) as database:
        database.execute(f"CREATE VIEW stolen AS SELECT * FROM read_csv('{tmp_path / 'secret.csv'}')")
    with pytest.raises(ArchiveError, match="holds several tables; name one with --table: models, stolen"):
        open_archive([str(tmp_path / "t.duckdb")])
    with pytest.raises(ArchiveError, match=r"cannot read .*t\.duckdb"):
        open_archive([str(tmp_path / "t.duckdb")], table="stolen")
    assert open_archive([f"duckdb:///{tmp_path / 't.duckdb'}"], table="models").columns == ("model", "acc", "ms")
    for missing, named in (("pyarrow", "pyarrow"), ("duckdb", "duckdb and pyarrow")):
        monkeypatch.setitem(sys.modules, missing, None)
        with pytest.raises(ArchiveError, match=rf"needs {named}: pip install 'ecosel\[duckdb\]'"):
            open_archive([str(tmp_path / "t.duckdb")])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("mysql://host/x", "is a database server; copy the study or table into a file first"),
        ("https://host/x.csv", "is not on this machine; download it first"),
        ("sqlite:///nowhere.db", "there is no file nowhere.db"),
    ],
)
def test_addresses_get_a_true_sentence(path: str, words: str) -> None:
    with pytest.raises(ArchiveError, match=words):
        open_archive([path])


def test_the_time_that_a_query_may_take_begins_once_writers_let_it_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, guarded = tmp_path / "models.db", []
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE models (accuracy); INSERT INTO models VALUES (0.5)")

    def guard(*arguments: object) -> None:
        with closing(sqlite3.connect(path, timeout=0)) as writer, pytest.raises(sqlite3.OperationalError, match="is locked"):
            writer.execute("BEGIN EXCLUSIVE")
        guarded.append(arguments)

    monkeypatch.setattr(Bounds, "guard", guard)
    assert open_archive([str(path)]).read(["accuracy"])["accuracy"].to_list() == [0.5]
    assert len(guarded) == 2
