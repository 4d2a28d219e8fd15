"""What a stranger's file may take: each bound ends in one line that names it, where it was met, and the option that raises it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from ecosel.errors import ArchiveError
from ecosel.readers import open_archive
from ecosel.readers.bounds import Bounds, parse_size
from tests.ecosel.readers.test_formats import zstd

SMALL = Bounds(max_size=10_000_000)  # 200,000 rows, 1,000 columns, cells of 10 kB, 0.1 s
ROW = b"1,2\n"


def refused(path: Path, bounds: Bounds = SMALL) -> str:
    def read() -> None:
        archive = open_archive([str(path)], bounds=bounds)
        archive.read(archive.columns)

    with pytest.raises(ArchiveError) as error:
        read()
    assert "\n" not in str(error.value)
    assert "raise --max-size" in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(("name", "pack"), [("m.csv.gz", gzip.compress), ("m.csv.zst", zstd)])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"acc,cost\n" + b"0" * 30_000_000, "longer than 10 kB"),
        (b"acc,cost\n" + ROW * 210_000, "more than 200,000 rows"),
        (b"acc,cost\n" + b"1," + b"0" * 900 + b"\n" + (b"1," + b"0" * 998 + b"\n") * 30_000, "unpacks to more than 200 times"),
    ],
)
def test_unpacking_stops_in_the_stream(
    name: str, pack: Callable[[bytes], bytes], content: bytes, reason: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(pack(content))
    assert reason in refused(tmp_path / name)


def test_a_text_of_many_short_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"acc,cost\n" + ROW * 210_000)
    assert "more than 200,000 rows" in refused(tmp_path / "m.csv")


def test_rows_too_short_for_the_memory_that_they_take_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"acc,cost\n" + b"9,1\n" * 30_000)
    assert "its 30,001 rows need too much memory for its size" in refused(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_bytes(b"acc,cost\n" + b"0.9134567890123456,0.12345678901234\n" * 30_000)
    assert open_archive([str(tmp_path / "m.csv")], bounds=SMALL).read(["acc", "cost"]).height == 30_000


def test_a_wide_header_is_refused(tmp_path: Path) -> None:
    header = ",".join(f"c{k}" for k in range(2_000))
    (tmp_path / "m.csv").write_text(f"{header}\n{header.replace('c', '')}\n")
    assert "more than 1,000 columns" in refused(tmp_path / "m.csv")


def view(path: Path, sql: str) -> Path:
    database = sqlite3.connect(path)
    database.execute(f"CREATE VIEW archive AS {sql}")
    database.close()
    return path


@pytest.mark.parametrize(
    ("sql", "reasons"),
    [
        ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n AS acc, n AS cost FROM t", ("rows", "takes")),
        (
            "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t LIMIT 1000000000)"
            " SELECT max(n) AS acc, 1 AS cost FROM t",
            ("takes more than 0.1 s",),
        ),
        ("SELECT zeroblob(1000000000) AS acc, 1 AS cost", ("longer than 10 kB",)),
    ],
)
def test_a_query_of_a_strangers_database_ends(sql: str, reasons: tuple[str, ...], tmp_path: Path) -> None:
    began = time.monotonic()
    message = refused(view(tmp_path / "runs.db", sql))
    assert any(reason in message for reason in reasons)
    assert time.monotonic() - began < 10


def test_records_that_all_have_other_names_are_refused(tmp_path: Path) -> None:
    records = [{f"k{row}_{k}": k for k in range(300)} for row in range(50)]
    (tmp_path / "m.json").write_text(json.dumps(records))
    assert "more than 1,000 columns" in refused(tmp_path / "m.json")


def one_value_for_many() -> dict[str, str]:
    """Return short documents that stand for many values, by the form that says so."""
    rows, names = 3000, 200
    return {
        "beside": json.dumps({"results": [{"acc": 1}] * rows, **{f"b{k}": k for k in range(names)}}),
        "columns": json.dumps({f"c{k}": {str(700 * k + j): j for j in range(40)} for k in range(70)}),
        "smac": json.dumps({"configs": {"1": {f"h{k}": k for k in range(names)}}, "data": [{"config_id": 1}] * rows}),
        "nested": "[" + '{"x":{' * 1 + '{"k":'.join([f'"{"n" * 400}":'] * 90) + '{"l":1' + "}" * 90 + "}}]",
        "text": json.dumps({"results": [{"acc": 1}] * rows, "note": "x" * 9000}),
    }


@pytest.mark.parametrize("form", one_value_for_many())
def test_a_value_that_stands_once_for_many_records_does_not_fill_the_memory(form: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(one_value_for_many()[form])
    refused(tmp_path / "m.json", Bounds(max_size=10_000_000))


def test_a_view_of_long_texts_does_not_fill_the_memory(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "m.db")) as database:
        database.execute("CREATE VIEW archive AS WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t)"
                         " SELECT n AS acc, hex(zeroblob(4000)) AS ms FROM t")  # fmt: skip
    assert "its texts are longer than" in refused(tmp_path / "m.db", Bounds(max_size=10_000_000, seconds=1000))


def test_of_a_folder_no_more_is_read_than_is_allowed(tmp_path: Path) -> None:
    def made(name: str, content: bytes = b"", size: int = 0) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        if size:
            os.truncate(file, size)
        return file

    result = b'{"acc": 1, "ms": 2}\n'
    long = made("ray/t1/result.json", result, 50_000_000)  # sparse
    long.open("ab").write(b"\n" + result)
    os.mkfifo(made("ray/t2/result.json", result).parent / "error.txt")  # would be waited for
    archive = open_archive([str(tmp_path / "ray")], bounds=SMALL)
    assert (archive.read(["acc"])["acc"].to_list(), archive.unfinished) == ([1], 1)
    made("ray/experiment_state-1.json", b"", 50_000_000)
    assert "its files hold more than 10 MB" in refused(tmp_path / "ray")
    made("ray2/t1/result.json", b"", 50_000_000)
    assert "t1/result.json has a line of more than 100 kB" in refused(tmp_path / "ray2")
    made("runs/0/r/meta.yaml", b"run_id: r\n")
    made("runs/0/r/params/p", b"", 50_000_000)
    assert "its files hold more than 10 MB" in refused(tmp_path / "runs")
    for k in range(30):
        made(f"many/0/r/params/p{k}", b"1")
    made("many/0/r/meta.yaml", b"run_id: r\n")
    assert "more than 20 files of it would be read" in refused(tmp_path / "many", Bounds(max_size=100_000))
    assert "it holds more than 25 files" in refused(tmp_path / "many", Bounds(max_size=25_000))


def test_of_sparse_records_only_the_wanted_columns_are_built(tmp_path: Path) -> None:
    records = [{"acc": row, f"k{row % 900}": 1} for row in range(5_000)]
    (tmp_path / "m.json").write_text(json.dumps(records))
    archive = open_archive([str(tmp_path / "m.json")], bounds=SMALL)
    assert archive.read(["acc"])["acc"].to_list() == list(range(5_000))
    assert "5,000 records of 901 names" in refused(tmp_path / "m.json")


def test_a_few_bytes_of_parquet_cannot_declare_any_number_of_rows(tmp_path: Path) -> None:
    pl.select(acc=pl.repeat(1.0, 300_000), cost=pl.repeat(2.0, 300_000)).write_parquet(tmp_path / "m.parquet")
    assert (tmp_path / "m.parquet").stat().st_size < 50_000
    assert "more than 200,000 rows" in refused(tmp_path / "m.parquet")


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical])
def test_a_text_of_parquet_cannot_be_the_cell_of_any_number_of_rows(dtype: type[pl.DataType], tmp_path: Path) -> None:
    cells = pl.Series("ms", ["x" * 9000]).cast(dtype).new_from_index(0, 2000)
    pl.DataFrame([cells, pl.Series("acc", range(2000))]).write_parquet(tmp_path / "m.parquet")
    assert "its texts are longer than 200 times its size" in refused(tmp_path / "m.parquet")


def test_a_columnar_file_that_describes_itself_at_length_is_refused(tmp_path: Path) -> None:
    for name, tail in (("m.parquet", b"PAR1"), ("m.arrow", b"ARROW1")):
        (tmp_path / name).write_bytes(tail + bytes(300_000) + (300_000).to_bytes(4, "little") + tail)
        assert "description of its columns is longer than 250 kB" in refused(tmp_path / name)


class Endless(io.RawIOBase):
    """A pipe that repeats a line for ever, after a head."""

    def __init__(self, line: bytes, head: bytes = b"") -> None:
        self._line, self._left = line * (1 + (1 << 16) // len(line)), head

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = (self._left or self._line)[: len(buffer)]
        self._left = (self._left or self._line)[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize(
    ("pipe", "reason"),
    [
        (Endless(b"y\n"), "more than 200,000 rows"),
        (Endless(b'{"acc": 1}\n'), "more than 200,000 rows"),
        (Endless(b" "), "longer than 10 kB"),
        (Endless(b"\0", b"PAR1"), "more than 10 MB come through it"),
        (Endless(gzip.compress(ROW * 100)), "more than 200,000 rows"),
    ],
)
def test_a_pipe_that_never_ends_is_refused(pipe: Endless, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(pipe)))
    with pytest.raises(ArchiveError, match="raise --max-size") as error:
        open_archive(["-"], bounds=SMALL)
    assert str(error.value).startswith("standard input: ")
    assert reason in str(error.value)


def test_a_named_pipe_is_read_once_somebody_writes_and_refused_if_nobody_does(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p")
    writer = threading.Thread(target=(tmp_path / "p").write_bytes, args=(b"acc,cost\n" + ROW * 50_000,))
    writer.start()
    assert open_archive([str(tmp_path / "p")]).read(["acc"]).height == 50_000
    writer.join()
    with pytest.raises(ArchiveError, match="is a pipe to which nothing writes"):
        open_archive([str(tmp_path / "p")], bounds=Bounds(seconds=0.05))


def test_max_size_raises_them_all(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "m.csv.gz").write_bytes(gzip.compress(b"acc,cost\n" + b"0.9134567890123456,0.12345678901234\n" * 30_000))
    ask = ("select", tmp_path / "m.csv.gz", "--maximize", "acc", "--minimize", "cost", "--format", "csv")
    short = ecosel(*ask, "--max-size", "1MB")
    assert (short.status, short.out, short.err.count("\n")) == (1, "", 1)
    assert "raise --max-size (now 1 MB)" in short.err
    assert ecosel(*ask, "--max-size", "2 MB").status == 0


@pytest.mark.parametrize(("text", "size"), [("500MB", 500_000_000), ("4 GiB", 4_000_000_000), ("1e9", 10**9), ("2k", 2000)])
def test_a_size_is_read_as_people_write_it(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0", "1 parsec"])
def test_anything_but_a_size_is_wrong_usage(text: str) -> None:
    with pytest.raises(ValueError, match="name a size"):
        parse_size(text)


def test_the_streams_of_all_packers_are_counted(tmp_path: Path) -> None:
    content = b"acc,cost\n" + bytes(3_000_000)
    for pack in (gzip.compress, zstd, bz2.compress, lzma.compress):
        with pytest.raises(ArchiveError, match="longer than 10 kB"):
            SMALL.check_text("m", pack(content), compressed=True)


def test_parts_without_number_that_unpack_to_nothing_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecosel.readers.packing._MOST_PARTS", 100)
    for name, pack in (
        ("m.csv.gz", gzip.compress),
        ("m.csv.zst", zstd),
        ("m.csv.bz2", bz2.compress),
        ("m.csv.xz", lzma.compress),
    ):
        (tmp_path / name).write_bytes(pack(b"acc,cost\n1,2\n") + pack(b"") * 100)
        with pytest.raises(ArchiveError, match="more than 100 compressed parts; unpack it first"):
            open_archive([str(tmp_path / name)])


@pytest.mark.parametrize("run", [" " * 200_000, "1" * 200_000 + "x", "." * 200_000, "[" + " " * 200_000 + "x"])
def test_a_long_run_of_one_character_is_looked_at_once(run: str, tmp_path: Path) -> None:
    begin = time.process_time()
    for text in (f"model,acc{run}b,ms\na,1,2\n", f"model,acc,ms\n,{run},\na,1,2\n", f"#model,{run},ms\n\na,1,2\n"):
        (tmp_path / "m.csv").write_text(text)
        open_archive([str(tmp_path / "m.csv")]).read([])
    (tmp_path / "m.txt").write_text(f"model acc ms\n{'-' * 200_000}x 1 2\n{' ' * 200_000}x 1 2\n")
    assert open_archive([str(tmp_path / "m.txt")]).read(["ms"])["ms"].to_list() == [2, 2]
    assert time.process_time() - begin < 10


@pytest.mark.parametrize("cell", ["[" * 100_000, "*a " * 30_000, "`" + "a_" * 50_000])
def test_signs_without_an_end_in_markdown_are_not_looked_for_again_and_again(cell: str, tmp_path: Path) -> None:
    (tmp_path / "m.md").write_text(f"| acc | ms |\n|---|---|\n| 1 | {cell} |\n")
    begin = time.process_time()
    assert open_archive([str(tmp_path / "m.md")]).read(["acc"])["acc"].to_list() == ["1"]
    assert time.process_time() - begin < 5
