"""Parquet and Arrow files whose parser would be busy for hours are refused in time."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from ecosel.errors import ArchiveError
from ecosel.readers import open_archive
from ecosel.readers.bounds import Bounds
from ecosel.readers.patience import Patience
from tests.endless import keep_busy

# in a process of its own, which the parser ends with
READ = """
import sys
from ecosel.errors import ArchiveError
from ecosel.readers import open_archive
from ecosel.readers.bounds import Bounds
try:
    open_archive([sys.argv[1]], bounds=Bounds(seconds=0.3))
except ArchiveError as error:
    sys.exit(str(error))
"""


def test_metadata_that_take_minutes_to_parse_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "m.parquet"
    pl.DataFrame({"acc": [0.9], "ms": [1]}).write_parquet(file)
    keep_busy(file)
    run = subprocess.run([sys.executable, "-c", READ, str(file)], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr == f"{file}: reading it takes more than 0.3 s; if this is intended, raise --max-size (now 1 GB)\n"


def test_all_calls_share_the_time_and_pass_on_what_they_raise() -> None:
    patience = Patience("a", 0, Bounds(seconds=1000))
    assert patience.call(lambda: 5) == 5
    assert 999 < patience.left < 1000
    with pytest.raises(KeyError, match="7"):
        patience.call(lambda: dict[int, int]()[7])
    patience.left = 0.0
    with pytest.raises(ArchiveError, match="a: reading it takes more than 1000 s"):
        patience.call(threading.Event().wait)


ROWS = 300_000  # of a few bytes, packed


@pytest.mark.parametrize("kind", ["rows", "dictionary"])
@pytest.mark.parametrize("writer", [pa.ipc.new_stream, pa.ipc.new_file])
def test_rows_that_an_arrow_file_declares_are_counted_before_they_are_unpacked(
    writer: Callable[..., Any], kind: str, tmp_path: Path
) -> None:
    if kind == "rows":
        table = pa.table({"acc": [0.0] * ROWS, "ms": [0.0] * ROWS})
    else:
        table = pa.table({"acc": [1.0], "ms": pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.array([""] * ROWS))})
    file = tmp_path / "m.arrow"
    with writer(str(file), table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as written:
        written.write_table(table)
    assert file.stat().st_size < 30_000
    with pytest.raises(ArchiveError, match=r"it has more than 200,000 rows; .*raise --max-size"):
        open_archive([str(file)], bounds=Bounds(10_000_000))
    archive = open_archive([str(file)])
    assert archive.columns == ("acc", "ms")
    assert archive.read(["acc"])["acc"].head(1).to_list() == table["acc"][:1].to_pylist()


def test_a_damaged_stream_is_refused_in_a_line(tmp_path: Path) -> None:
    pl.DataFrame({"acc": [0.9, 0.8], "ms": [1, 2]}).write_ipc_stream(tmp_path / "m.arrow")
    whole = (tmp_path / "m.arrow").read_bytes()
    assert open_archive([str(tmp_path / "m.arrow")]).read(["ms", "acc"]).rows() == [(0, 1, 0.9), (1, 2, 0.8)]
    for cut in range(8, 200, 9):
        (tmp_path / "m.arrow").write_bytes(whole[:cut] + b"\xf7" * 40 + whole[cut + 40 :])
        with suppress(ArchiveError):  # any other error would be a traceback
            open_archive([str(tmp_path / "m.arrow")]).read(["acc"])


@pytest.mark.parametrize(
    ("dtype", "far"),
    [
        (pl.Date, 2**31 - 1),
        (pl.Date, -(2**31)),
        (pl.Datetime("ms"), 2**62),
        (pl.Datetime("us", "Asia/Tokyo"), -(2**62)),
        (pl.Datetime("us"), 253_402_300_800_000_000),  # the year 10000
        (pl.Duration("ms"), 2**62),
    ],
)
def test_dates_and_times_out_of_range_count_as_missing(dtype: pl.DataType, far: int, tmp_path: Path) -> None:
    cells = pl.Series("when", [far, 5, None], dtype=pl.Int32 if dtype == pl.Date else pl.Int64)
    pl.DataFrame([cells.cast(dtype), pl.Series("acc", [0.9, 0.8, 0.7])]).write_parquet(tmp_path / "m.parquet")
    read = open_archive([str(tmp_path / "m.parquet")]).read(["when", "acc"])
    assert read["when"].is_null().to_list() == [True, False, True]
    assert read["when"].to_list()[1] is not None
    assert read["acc"].to_list() == [0.9, 0.8, 0.7]
