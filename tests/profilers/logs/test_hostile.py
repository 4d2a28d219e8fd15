"""Logs of strangers are read or refused in one line: long cells, days that are none, rows without end."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from profilers.errors import MeterError
from profilers.logs import power_log
from profilers.logs.power_log import read_log

WHOLE = "time_s,power_w\n0,1\n1,2\n2,3\n"
CASES = {
    "a cell of 1 MB": ("time_s,power_w\n0," + "1" * 1_000_000 + "\n", "line 2 cannot be read"),
    "a day that is none": ("timestamp,power.draw [W]\n2024/99/99 10:00:00,1 W\n", "'2024/99/99 10:00:00' is not a time stamp"),
    "lines without end": (WHOLE + "\n" * 50, "has 54 lines"),
    "lines of old": (WHOLE.replace("\n", "\r") + "\r" * 50, "has 54 lines"),
}


def refused(path: Path) -> str:
    with pytest.raises(MeterError) as error:
        read_log(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_log_is_refused_in_one_line(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power_log, "_MOST_ROWS", 50)
    content, says = CASES[case]
    (tmp_path / "log.csv").write_text(content)
    assert says in refused(tmp_path / "log.csv")


def test_a_log_larger_than_any_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log.csv").write_text(WHOLE)
    assert len(read_log(tmp_path / "log.csv").time_s) == 3
    monkeypatch.setattr(power_log, "_MOST_BYTES", 20)
    assert "it holds more than 20 bytes" in refused(tmp_path / "log.csv")


def test_samples_that_a_trace_declares_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power_log, "MOST_SAMPLES", 3)
    pl.DataFrame({"time_s": [0.0, 1, 2, 3], "power_w": [1.0] * 4}).write_parquet(tmp_path / "log.parquet")
    assert "declares 4 rows" in refused(tmp_path / "log.parquet")
