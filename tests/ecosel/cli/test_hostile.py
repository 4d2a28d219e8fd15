"""Files that cannot be used end in exit 1 or 2 and one clear line; nothing is written."""

from __future__ import annotations

import gzip
import io
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

GOOD = "model,acc,cost\na,0.9,10\nb,0.8,5\n"
ROWS = pl.read_csv(GOOD.encode())


def parquet() -> bytes:
    buffer = io.BytesIO()
    ROWS.write_parquet(buffer)
    return buffer.getvalue()


def arrow() -> bytes:
    buffer = io.BytesIO()
    ROWS.write_ipc(buffer)
    return buffer.getvalue()


def sqlite(*statements: str) -> bytes:
    database = sqlite3.connect(":memory:")
    for statement in statements:
        database.execute(statement)
    database.commit()
    return database.serialize()


def workbook() -> bytes:
    book = openpyxl.Workbook()
    for row in [ROWS.columns, *ROWS.rows()]:
        book.active.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


TABLE = "CREATE TABLE runs_table (model TEXT, acc REAL, cost REAL)"
WIDE = ",".join(f"c{k}" for k in range(10_000)) + "\n" + ",".join("x" for _ in range(10_000)) + "\n"

# name of the file, its content, exit status, what the line says
FILES: dict[str, tuple[str, bytes | str, int, str]] = {
    "empty": ("a.csv", "", 1, "is empty"),
    "only line ends": ("a.csv", "\n\n\n", 1, "is empty"),
    "header only": ("a.csv", "model,acc,cost\n", 1, "no row is left to choose from"),
    "row too long": ("a.csv", GOOD + "c,0.7,1,014\n", 1, "row 2 has 4 cells, but the header has 3"),
    "unread column too long": ("a.csv", "acc,cost,model\n1,2,a\n3,4,b,c\n", 1, "row 1 has 4 cells"),
    "quote not closed": ("a.csv", 'model,acc,cost\n"a,0.9,10\nb,0.8,5\n', 1, "quote"),
    "text in a number": ("a.csv", "model,acc,cost\na,acc: 58.55,3\n", 1, "'acc: 58.55' in row 0"),
    "late text in a number": ("a.csv", "model,acc,cost\n" + "a,0.5,3\n" * 3000 + "a,oops,3\n", 1, "'oops' in row 3000"),
    "all NaN": ("a.csv", "model,acc,cost\na,NaN,3\nb,nan,4\n", 1, "'acc' is missing in 2 of 2 rows"),
    "column twice": ("a.csv", "acc,acc,cost\n1,2,3\n", 1, "'acc' appears more than once in the header"),
    "unknown column": ("a.csv", "model,accuracy,cost\na,0.9,10\n", 2, "did you mean 'accuracy'"),
    "10,000 columns": ("a.csv", WIDE, 2, "and 9988 more"),
    "a header of commas": ("a.csv", "," * 200_000, 1, "more than 100,000 columns; if this is intended, raise --max-size"),
    "a table of bars": ("a.md", "|-" * 200_000 + "\n" + "|-" * 200_000, 1, "more than 100,000 columns"),
    "a long cell": ("a.csv", GOOD + f"c,{'[' * 200_000},3\n", 1, "... in row 2 is not a number"),
    "a long quoted cell": ("a.csv", GOOD + f'\n"c","{"[" * 200_000}",3\n', 1, "... in row 2 is not a number"),
    "a long name": ("a.csv", f"model,acc{'.' * 200_000},cost\na,1,2\n", 2, "no column 'acc'; did you mean 'acc..."),
    "blank lines without end": ("a.csv", GOOD + "\n" * 2_000_010, 1, "has more than 1,000,000 blank lines"),
    "binary": ("a.csv", bytes(range(256)) * 20, 1, "is a binary file"),
    "latin-1": ("a.csv", GOOD.replace("a,", "ä,").encode("latin-1"), 1, "not UTF-8"),
    "half of a character of utf-16": ("a.csv", GOOD.encode("utf-16")[:-1], 1, "begins as UTF-16 text and is none"),
    "picture": ("a.csv", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, 1, "is a binary file"),
    "text called Parquet": ("a.parquet", GOOD, 1, "the name promises Parquet, the content is text"),
    "Parquet called CSV": ("a.csv", parquet(), 1, "the name promises text, the content is Parquet"),
    "text called database": ("a.db", GOOD, 1, "the name promises SQLite"),
    "truncated Parquet": ("a.parquet", parquet()[:-20], 1, "cannot read"),
    "Parquet of four bytes": ("a.parquet", b"PAR1", 1, "cannot read"),
    "truncated Arrow": ("a.arrow", arrow()[:-30], 1, "cannot read"),
    "truncated SQLite": ("a.db", sqlite(TABLE)[:1500], 1, "cannot read"),
    "SQLite magic only": ("a.db", b"SQLite format 3\0" + b"\xff" * 200, 1, "cannot read"),
    "database without tables": ("a.db", sqlite("CREATE TABLE t (x)", "DROP TABLE t"), 1, "holds no table"),
    "database with two tables": (
        "a.db",
        sqlite(TABLE, "CREATE TABLE t (x)"),
        1,
        "name one with --table: runs_table, t",
    ),
    "text in a database": (
        "a.db",
        sqlite(TABLE, "INSERT INTO runs_table VALUES ('a', 'high', 3)"),
        1,
        "'high' in row 0",
    ),
    "truncated gzip": ("a.csv.gz", gzip.compress((GOOD * 500).encode())[:-30], 1, "cannot read"),
    "gzip of nothing": ("a.csv.gz", gzip.compress(b""), 1, "is empty"),
    "broken zstd": ("a.csv.zst", b"\x28\xb5\x2f\xfd" + b"junk" * 9, 1, "cannot read"),
    "gzip of Parquet": ("a.gz", gzip.compress(parquet()), 1, "is compressed Parquet; unpack it first"),
    "JSON cut off": ("a.json", '[{"acc": 1, "cost": 2}', 1, "is not valid JSON"),
    "JSON number": ("a.json", "[1, 2, 3]", 1, "record 0 is a number"),
    "JSON without records": ("a.json", '{"a": {"b": 1}}', 1, "no list of records"),
    "JSON with two lists": ("a.json", '{"x": [{"acc": 1}], "y": [{"acc": 1}]}', 1, "several keys hold records (x, y)"),
    "JSON empty list": ("a.json", "[]", 1, "has no columns"),
    "NDJSON with a bad line": ("a.ndjson", '{"acc": 1, "cost": 1}\n{"acc": oops}\n', 1, "line 2 is not valid JSON"),
    "nested JSON": ("a.json", "[" * 100_000, 1, "the JSON is not a table"),
    "nested cells": ("a.json", '[{"acc": [1], "cost": 2}]', 1, "'[1]' in row 0"),
    "damaged workbook": ("a.xlsx", workbook()[:-200], 1, "cannot read"),
    "zip file": ("a.zip", b"PK\x03\x04" + bytes(60), 1, "File is not a zip file"),
    "DuckDB that is none": ("a.duckdb", bytes(8) + b"DUCK" + bytes(100), 1, "cannot read"),
    "web page": ("a.csv", "<!DOCTYPE html>\n<html>", 1, "is a web page"),
    "pointer of Git LFS": ("a.csv", "version https://git-lfs.github.com/spec/v1\noid sha256:1\n", 1, "git lfs pull"),
    "pickle": ("a.csv", b"\x80\x04\x95" + b"\0" * 40, 1, "is a pickle"),
    "carriage returns alone": ("a.csv", GOOD.replace("\n", "\r"), 1, "bare carriage returns"),
    "quote inside a cell": ("a.csv", 'acc,cost\n5" x,2\n1,2\n', 1, "quote"),
    "reserved name": ("a.csv", "acc,cost,ecosel:row\n1,2,3\n", 1, "reserved for ecosel"),
    "ambiguous comma": ("a.tsv", "acc\tcost\n1,802\t5\n1,905\t7\n", 1, "is the comma in '1,802' a decimal mark"),
    "comma and point": ("a.csv", "acc;cost\n1,014;5\n2.5;3\n", 1, "is the comma in '1,014' a decimal mark"),
    "integer of 5,000 digits": ("a.json", '[{"acc": ' + "9" * 5000 + ', "cost": 1}]', 1, "the JSON is not a table"),
    "half of a character": ("a.json", '[{"acc": 1, "cost": 1, "name": "\\ud800"}]', 1, "half a character"),
    "one line nested deeply": ("a.ndjson", '{"acc": 1, "cost": 2}\n{"x": ' + "[" * 100_000 + "\n", 1, "line 2"),
    "study that does not fit together": (
        "a.db",
        sqlite(
            "CREATE TABLE studies (study_id, study_name)",
            "CREATE TABLE study_directions (study_id, direction, objective)",
            "CREATE TABLE study_system_attributes (study_id, key, value_json)",
            "CREATE TABLE trials (trial_id, number, study_id, state)",
            "CREATE TABLE trial_values (trial_id, objective, value, value_type)",
            "INSERT INTO studies VALUES (1, 's')",
            "INSERT INTO study_directions VALUES (1, 'MINIMIZE', 0)",
            "INSERT INTO trials VALUES (1, 0, 1, 'COMPLETE')",
            "INSERT INTO trial_values VALUES (1, 5, 1.0, 'FINITE')",
        ),
        1,
        "are inconsistent",
    ),
    "Optuna journal": ("a.log", '{"op_code": 0}\n{"op_code": 4}\n', 1, "the operations of the journal are inconsistent"),
}


def no_files_but(folder: Path, kept: Path) -> None:
    assert sorted(folder.iterdir()) == [kept]


@pytest.mark.parametrize("case", FILES)
def test_a_hostile_file_ends_in_one_clear_line(case: str, tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    name, content, status, says = FILES[case]
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    for output in ([], ["-o", tmp_path / "out.json", "--front", tmp_path / "front.csv"]):
        outcome = ecosel("select", file, "--maximize", "acc", "--minimize", "cost", *output)
        assert (outcome.status, outcome.out) == (status, "")
        assert outcome.err.count("\n") == 1, outcome.err
        assert outcome.err.startswith("ecosel: ")
        assert len(outcome.err) < 2100
        assert says in outcome.err
    no_files_but(tmp_path, file)


USAGE: dict[str, tuple[list[str], int, str]] = {
    "negative weight": (["--weight", "acc=-1"], 2, "weight of 'acc' is -1.0"),
    "NaN weight": (["--weight", "acc=nan"], 2, "weight of 'acc' is nan"),
    "weight that is no number": (["--weight", "acc=much"], 2, "'much' is not a number"),
    "weight without a column": (["--weight", "2"], 2, "must have the form COL=W"),
    "weight of no objective": (["--weight", "model=2"], 2, "not an objective"),
    "all weights zero": (["--weight", "acc=0", "--weight", "cost=0"], 2, "at least one must be positive"),
    "ideal worse than a model": (["--ideal", "acc=0.5"], 2, "ideal must be at least as good"),
    "unknown scale": (["--scale", "median"], 2, "'median' is not one of"),
    "preset for foreign columns": (["--preset", "paper"], 2, "it has no unit for acc, cost"),
    "where that does not parse": (["--where", "acc >"], 2, "--where 'acc >'"),
    "where that is no condition": (["--where", "acc + 1"], 2, "true or false"),
    "where with an unknown column": (["--where", "speed > 1"], 2, "no column 'speed'"),
    "where that reads a file": (["--where", "acc IN (SELECT a FROM read_csv('/etc/passwd'))"], 2, "not a query"),
    "derive that reads a file": (["--derive", "x = (select max(a) from read_csv('x.csv'))"], 2, "not a query"),
    "derive that calls a reader": (["--derive", "x = read_csv('x.csv')"], 2, "not a query"),
    "derive without a name": (["--derive", "acc + 1"], 2, "must have the form NAME = EXPR"),
    "derive with two statements": (["--derive", "x = 1; drop table y"], 2, "--derive x"),
    "filter that leaves nothing": (["--where", "acc > 5"], 1, "no row is left"),
    "top 0": (["--top", "0"], 2, "top is 0"),
    "nothing wanted": (["--no-joint", "--no-pairs"], 2, "there is nothing to choose"),
    "table of a text file": (["--table", "x"], 1, "this is text"),
    "study of a text file": (["--study", "x"], 1, "this is text"),
    "front of unknown kind": (["--front", "x.docx"], 2, "must end in .csv"),
    "output into no folder": (["-o", "/nonexistent/folder/x.json"], 1, "cannot write /nonexistent/folder/x.json: No such file"),
    "unknown option": (["--maximise", "acc"], 2, "--maximise"),
    "expression too long": (["--where", "acc" + "+1" * 2000], 2, "at most 2,000 are allowed"),
    "expression that panics": (["--where", "greatest()"], 2, "--where 'greatest()'"),
    "where that counts": (["--where", "count(*)"], 2, "true or false"),
    "the same name derived twice": (["--derive", "x = acc", "--derive", "x = cost"], 2, "is given twice"),
    "reserved name derived": (["--derive", "ecosel:row = 0"], 2, "reserved for ecosel"),
    "negative seed": (["--seed", "-1"], 2, "--seed"),
    "two outputs of one name": (["-o", "x.csv", "--front", "x.csv"], 2, "named for two outputs"),
    "front without a name": (["--front", ""], 2, "must end in .csv"),
    "unknown group": (["--by", "gpu"], 2, "no column 'gpu'"),
    "same objective twice": (["--minimize", "acc"], 2, "'acc' is named twice"),
}


@pytest.mark.parametrize("case", USAGE)
def test_a_wrong_option_ends_in_one_clear_line(case: str, tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    options, status, says = USAGE[case]
    file = tmp_path / "a.csv"
    file.write_text(GOOD)
    outcome = ecosel("select", file, "--maximize", "acc", "--minimize", "cost", *options)
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (status, "", 1), outcome.err
    assert says in outcome.err
    no_files_but(tmp_path, file)


def test_the_good_table_that_the_cases_are_variations_of_is_read(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    file = tmp_path / "a.csv"
    file.write_text(GOOD)
    assert ecosel("select", file, "--maximize", "acc", "--minimize", "cost").status == 0


def test_the_archive_is_not_overwritten(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    file, link = tmp_path / "a.csv", tmp_path / "link.csv"
    file.write_text(GOOD)
    link.symlink_to(file)
    for option in ("-o", "--front"):
        for name in (file, link):
            outcome = ecosel("select", file, "--maximize", "acc", "--minimize", "cost", option, name)
            assert (outcome.status, file.read_text()) == (2, GOOD)
            assert "is the archive itself" in outcome.err


def test_an_archive_that_a_glob_or_a_folder_names_is_not_overwritten(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "a1.csv").write_text(GOOD)
    (tmp_path / "exp" / "t").mkdir(parents=True)
    (tmp_path / "exp" / "t" / "result.json").write_text('{"acc": 1, "cost": 2}\n')
    for archive, output in (
        (tmp_path / "a*.csv", tmp_path / "a1.csv"),
        (tmp_path / "exp", tmp_path / "exp" / "t" / "result.json"),
    ):
        before = output.read_text()
        outcome = ecosel("select", archive, "--maximize", "acc", "--minimize", "cost", "-o", output)
        assert (outcome.status, output.read_text()) == (2, before)


def test_nothing_is_written_where_one_of_two_outputs_cannot_be(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "a.csv").write_text(GOOD)
    outcome = ecosel(
        "select",
        tmp_path / "a.csv",
        "--maximize",
        "acc",
        "--minimize",
        "cost",
        "-o",
        tmp_path / "a.csv",
        "--front",
        tmp_path / "f.csv",
    )
    assert outcome.status == 2
    no_files_but(tmp_path, tmp_path / "a.csv")


def test_closed_streams_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD)
    for command, says in (
        ("select - --maximize acc <&-", "standard input"),
        (f"select {tmp_path}/a.csv --maximize acc >&-", "standard output"),
    ):
        outcome = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m ecosel {command}"], capture_output=True, text=True, check=False
        )
        assert (outcome.returncode, outcome.stderr.count("\n"), says in outcome.stderr) == (1, 1, True), outcome.stderr


def test_a_missing_file_is_reported(ecosel: Callable[..., Any]) -> None:
    outcome = ecosel("select", "nowhere.csv", "--maximize", "acc")
    assert (outcome.status, outcome.err) == (1, "ecosel: there is no file nowhere.csv\n")


def test_a_glob_without_a_file_is_reported(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    outcome = ecosel("select", tmp_path / "*.csv", "--maximize", "acc")
    assert outcome.status == 1
    assert "no file matches" in outcome.err


def test_a_folder_that_is_not_a_ray_result_is_reported(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    outcome = ecosel("select", tmp_path, "--maximize", "acc")
    assert outcome.status == 1
    assert "without Ray Tune results" in outcome.err


def test_a_file_without_an_objective_of_others_is_reported(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "a.csv").write_text(GOOD)
    (tmp_path / "b.csv").write_text("model,acc\na,1\n")
    outcome = ecosel("select", tmp_path / "*.csv", "--maximize", "acc", "--minimize", "cost")
    assert (outcome.status, outcome.out) == (1, "")
    assert f"{tmp_path / 'b.csv'} has no column 'cost'; every file must have the objectives" in outcome.err
