"""One table gives one selection, whatever its format, the order of its rows and the form of its cells."""

from __future__ import annotations

import gzip
import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import openpyxl
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ecosel.readers import open_archive
from ecosel.selection import select

Rows = list[tuple[str, float, float]]
Writer = Callable[[Path, Rows, Callable[[float], str]], None]
NAMES = ("model", "acc", "ms")


def delimited(mark: str, *, comma: bool = False) -> Writer:
    def write(path: Path, rows: Rows, form: Callable[[float], str]) -> None:
        cells = [[name, *(form(number).replace(".", "," if comma else ".") for number in numbers)] for name, *numbers in rows]
        path.write_text("\n".join(mark.join(row) for row in [NAMES, *cells]) + "\n")

    return write


def packed(path: Path, rows: Rows, form: Callable[[float], str]) -> None:
    delimited(",")(path, rows, form)
    path.write_bytes(gzip.compress(path.read_bytes()))


def as_json(path: Path, rows: Rows, form: Callable[[float], str]) -> None:
    path.write_text(json.dumps([dict(zip(NAMES, row, strict=True)) for row in rows]))


def as_lines(path: Path, rows: Rows, form: Callable[[float], str]) -> None:
    path.write_text("\n".join(json.dumps({"model": name, "acc": form(acc), "ms": ms}) for name, acc, ms in rows))


def as_parquet(path: Path, rows: Rows, form: Callable[[float], str]) -> None:
    pl.DataFrame(rows, NAMES, orient="row").write_parquet(path)


def as_database(path: Path, rows: Rows, form: Callable[[float], str]) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE models (model TEXT, acc, ms REAL)")
        database.executemany("INSERT INTO models VALUES (?, ?, ?)", rows)
        database.commit()


def as_workbook(path: Path, rows: Rows, form: Callable[[float], str]) -> None:
    book = openpyxl.Workbook()
    for row in [NAMES, *rows]:
        book.active.append(row)
    book.save(path)


WRITERS: dict[str, Writer] = {
    "m.csv": delimited(","), "m-semicolon.csv": delimited(";"), "m-comma.csv": delimited(";", comma=True),
    "m.tsv": delimited("\t"), "m-pipe.csv": delimited("|"), "m.csv.gz": packed, "m.json": as_json, "m.ndjson": as_lines,
    "m.parquet": as_parquet, "m.db": as_database, "m.xlsx": as_workbook,
}  # fmt: skip
FORMS: dict[str, Callable[[float], str]] = {
    "plain": str, "exponent": lambda number: f"{number:.4e}", "spaces": lambda number: f"  {number} ",
    "zeros": lambda number: f"{number:.6f}", "plus": lambda number: f"+{number}",
}  # fmt: skip
# to four digits, so that every form holds them exactly, and two after the point, so that it groups no thousands
NUMBERS = st.integers(1, 9999).map(lambda whole: whole / 100)
TABLES = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=8, unique=True).map(
    lambda numbers: [(f"m{k}", *both) for k, both in enumerate(numbers)]
)


def chosen(path: Path) -> tuple[set[str], set[str]]:
    frame = open_archive([str(path)]).read(NAMES, labels=("model",))
    selection = select(frame, {"acc": "max", "ms": "min"}, labels=["model"])
    names = selection.models["model"].to_list()
    choice = selection.groups[0].choices[0]
    return {names[row] for row in choice.front}, {names[row] for row in choice.answer}


@settings(max_examples=12)
@given(TABLES, st.sampled_from(list(WRITERS)), st.sampled_from(list(FORMS)), st.randoms(use_true_random=False))
def test_a_table_in_any_form_gives_the_same_selection(rows: Rows, name: str, form: str, order: random.Random) -> None:
    with TemporaryDirectory() as folder:
        as_parquet(Path(folder) / "reference.parquet", rows, str)
        expected = chosen(Path(folder) / "reference.parquet")
        shuffled = list(rows)
        order.shuffle(shuffled)
        WRITERS[name](Path(folder) / name, shuffled, FORMS[form])
        assert chosen(Path(folder) / name) == expected
