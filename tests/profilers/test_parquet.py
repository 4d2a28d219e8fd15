"""Parquet files whose parser would be busy for hours are refused in time, by all that read them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from profilers.parquet import UnreadableParquet, read_parquet
from tests.endless import keep_busy

# in a process of its own, which the parser ends with
READ = """
import sys
from pathlib import Path
import profilers.parquet
from profilers.datasets import load_dataset
from profilers.energy.sampling.trace import read_trace
from profilers.errors import ProfilerError
from profilers.logs.power_log import read_log
from profilers.meters import find_meter
profilers.parquet._PATIENCE_S = 0.2
path = sys.argv[1]
readers = load_dataset, lambda path: find_meter(f"replay:{path}", "cpu"), lambda path: read_trace(Path(path)), lambda p: read_log(Path(p))
for read in readers:
    try:
        read(path)
    except ProfilerError as error:
        print(error)
"""


def test_metadata_that_take_minutes_to_parse_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "train.parquet"
    pl.DataFrame({"image": [b"a"], "label": [0], "time_s": [0.0], "power_w": [1.0]}).write_parquet(file)
    keep_busy(file)
    run = subprocess.run([sys.executable, "-c", READ, str(file)], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [
        f"{file} cannot be read as a Parquet file: reading it takes more than 0.2 s",
        f"the trace {file} cannot be read: reading it takes more than 0.2 s",
        f"{file} is not a trace written by ecosel: reading it takes more than 0.2 s",
        f"{file} cannot be read: reading it takes more than 0.2 s",
    ]


def test_rows_are_counted_before_they_are_read(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1, 2, 3]}).write_parquet(tmp_path / "a.parquet", metadata={"ecosel": "x"})
    frame, beside = read_parquet(tmp_path / "a.parquet", most=3)
    assert (frame["a"].to_list(), beside["ecosel"]) == ([1, 2, 3], "x")
    with pytest.raises(UnreadableParquet, match="it declares 3 rows; at most 2 are read"):
        read_parquet((tmp_path / "a.parquet").read_bytes(), most=2)
