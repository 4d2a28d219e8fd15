"""A recorded trace is played as it was recorded, and ends where it ended."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from profilers.errors import MeterError
from profilers.meters.replay import ReplayMeter


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def parquet(folder: Path, **columns: list[float | None]) -> Path:
    path = folder / "trace.parquet"
    pl.DataFrame(columns).write_parquet(path)
    return path


def test_a_reading_is_the_last_sample_at_or_before_its_moment(tmp_path: Path) -> None:
    clock = Clock()
    path = parquet(
        tmp_path, time_s=[50.0, 50.1, 50.3, 50.4], power_w=[75.0, None, 300.0, 300.0], energy_j=[10.0, 17.5, 40.0, 70.0]
    )
    meter = ReplayMeter(path, clock=clock)
    seen = []
    for played_s in (0.0, 0.05, 0.15, 0.25, 0.31):
        clock.now_s = 1000.0 + played_s
        reading = meter.read()
        seen.append((reading.power_w, reading.energy_j, reading.average_power_w))
        assert reading.time_s == clock.now_s
    assert seen == [(75, 10, None), (75, 10, None), (None, 17.5, None), (None, 17.5, None), (300, 40, None)]
    assert meter.capabilities().average_power is False


def test_past_its_end_a_trace_has_no_numbers(tmp_path: Path) -> None:
    clock = Clock()
    meter = ReplayMeter(parquet(tmp_path, time_s=[0.0, 2.0], power_w=[75.0, 75.0]), clock=clock)
    clock.now_s += 2.001
    with pytest.raises(MeterError, match=r"ended after 2.000 s; use a longer one"):
        meter.read()


def test_csv_is_played_too(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("# a board\ntime_s,power_w\n0,75\n1,300\n")
    clock = Clock()
    meter = ReplayMeter(path, clock=clock)
    clock.now_s += 1
    assert meter.read().power_w == 300


def test_zero_watts_nan_and_a_falling_counter_are_not_numbers(tmp_path: Path) -> None:
    clock = Clock()
    nan = float("nan")
    path = parquet(
        tmp_path,
        time_s=[0.0, 1.0, 2.0],
        power_w=[0.0, nan, 75.0],
        average_power_w=[-1.0, 70.0, float("inf")],
        energy_j=[5.0, 9.0, 4.0],
    )
    meter = ReplayMeter(path, clock=clock)
    first = meter.read()
    assert (first.power_w, first.average_power_w) == (None, None)
    assert first.warnings == ("power-unbelievable: the trace says 0 W", "power-unbelievable: the trace says -1 W")
    clock.now_s += 1
    assert meter.read().power_w is None
    clock.now_s += 1
    last = meter.read()
    assert (last.power_w, last.energy_j) == (75, None)
    assert last.warnings[-1] == "counter-backward: the energy counter fell from 9.000 to 4.000 J"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time_s,power_w\n0,75\n0,80\n", "has time_s 0.0 in row 1; times must increase"),
        ("time_s,power_w\n0,75\n,80\n", "has time_s None in row 1; times must increase"),
        ("time_s,power_w\n0,75\n", "is not a recording: it needs two rows"),
        ("time_s,volts\n0,75\n1,75\n", "is not a recording: it needs two rows and power_w, average_power_w or energy_j"),
        ("time,power_w\n0,75\n1,75\n", r"has no column time_s \(it has time, power_w\)"),
        ("time_s,power_w\n0,hot\n1,75\n", "cannot be read"),
        ("", "cannot be read"),
        ("PAR1 and no more", "cannot be read"),
    ],
)
def test_anything_but_a_trace_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(MeterError, match=message) as error:
        ReplayMeter(path)
    assert "\n" not in str(error.value)


def test_a_missing_trace_is_named(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=r"none\.parquet cannot be read"):
        ReplayMeter(tmp_path / "none.parquet")


def test_a_recording_without_end_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("profilers.meters.replay._MOST_SAMPLES", 3)
    whole = "time_s,power_w\n0,1\n1,1\n"
    (tmp_path / "a.csv").write_text(whole)
    ReplayMeter(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text(whole + "2,1\n")
    (tmp_path / "b.csv").write_bytes(gzip.compress(whole.encode()))
    cases = {"a.csv": "more than 3 rows", "b.csv": "is compressed; unpack it first"}
    cases[parquet(tmp_path, time_s=[0.0, 1, 2, 3], power_w=[1.0] * 4).name] = "declares 4 rows; at most 3 are read"
    for name, says in cases.items():
        with pytest.raises(MeterError, match=says):
            ReplayMeter(tmp_path / name)
