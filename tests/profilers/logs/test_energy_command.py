"""`ecosel energy` on logs in their real forms, of a recording whose energy an external meter knows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from profilers.errors import MeterError, ProfilerError
from profilers.logs.power_log import read_log
from profilers.meters.calibration import read_calibration
from profilers.results import archive as archive_module
from tests.benchmarks.boards import SHIPPED

Ecosel = Callable[..., Any]
START_S, END_S, METER_J = 1.51269, 7.4826, 1172.04  # of expected.json
GAIN, OFFSET_W = 0.9587, 0.39
READINGS = pl.read_parquet(SHIPPED / "a100_step.parquet")
ZERO = datetime(2023, 7, 7, 12, 34, 56, 789000)


def stamp(time_s: float) -> str:
    return (ZERO + timedelta(seconds=time_s)).strftime("%Y/%m/%d %H:%M:%S.%f")[:-3]


def rows(form: str) -> list[str]:
    return [
        form.format(stamp=at, day=at[:10].replace("/", "-"), clock=at[11:], t=t, w=w, kw=w / 1e3, mw=w * 1e3)
        for (t, w), at in ((row, stamp(row[0])) for row in READINGS.iter_rows())
    ]


def log(folder: Path, form: str, *, head: str | None = None, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([*([head] if head else []), *rows(form)]) + "\n")
    return path


def corrected(window: dict[str, Any], key: str = "energy_j") -> float:
    return float((window[key] - OFFSET_W * (window["end_s"] - window["start_s"])) / GAIN)


def first(outcome: Any) -> dict[str, Any]:
    assert outcome.status == 0, outcome.err
    return dict(json.loads(outcome.out)["windows"][0])


FORMS = {
    "units": ("timestamp, name, power.draw [W]", "{stamp}, NVIDIA A100-PCIE-40GB, {w:.2f} W"),
    "instant beside average": (
        "timestamp, name, power.draw.average [W], power.draw.instant [W]", "{stamp}, NVIDIA A100-PCIE-40GB, [N/A], {w:.2f} W",
    ),
    "instant not supported": (
        "timestamp, power.draw.instant [W], power.draw [W]", "{stamp}, [Not Supported], {w:.2f} W",
    ),
    "nounits": ("timestamp, power.draw [W]", "{stamp}, {w:.2f}"),
    "noheader": (None, "{stamp}, {w:.2f} W"),
    "noheader, nounits": (None, "{stamp}, 0, {w:.2f}"),
    "trailing spaces": ("timestamp, power.draw [W] ", "{stamp}, {w:.2f} W   "),
    "wall, seconds": ("time,power", "{t:.3f},{w:.3f}"),
    "wall, ISO times, kW": ("time,power_kw", "{stamp},{kw:.6f}"),
    "what a wrapper printed before": ("+-----+\n| NVIDIA-SMI 535.54 |\ntimestamp, power.draw [W]", "{stamp}, {w:.2f} W"),
    "wall, decimal commas": ("time;voltage;power", "{t:.3f};230,1;{w:.0f},00"),
    "wall, day and time": ("Date,Time,Watts", "{day},{clock},{w:.3f}"),
    "wall, mW": ("time_s,power (mW)", "{t:.3f},{mw:.1f}"),
}  # fmt: skip


@pytest.mark.parametrize(("head", "form"), FORMS.values(), ids=FORMS)
def test_a_log_in_any_real_form_gives_the_meters_joules_after_gain(
    tmp_path: Path, ecosel: Ecosel, head: str | None, form: str
) -> None:
    window = first(
        ecosel(
            "energy",
            log(tmp_path, form, head=head),
            "--start",
            START_S,
            "--end",
            END_S,
            "--inferences",
            "1000",
            "--format",
            "json",
        )
    )
    assert list(window) == [
        "label", "start_s", "end_s", "inferences", "energy_j", "energy_j_low", "energy_j_high", "energy_per_inference_j",
        "naive_energy_j", "warnings",
    ]  # fmt: skip
    assert corrected(window) == pytest.approx(METER_J, rel=0.003)
    assert window["energy_per_inference_j"] == window["energy_j"] / 1000
    assert window["inferences"] == 1000
    if window["energy_j_low"] is not None:
        assert corrected(window, "energy_j_low") < METER_J < corrected(window, "energy_j_high")


def test_time_stamps_are_taken_as_the_log_has_them(tmp_path: Path, ecosel: Ecosel) -> None:
    head, form = FORMS["units"]
    path = log(tmp_path, form, head=head)
    by_stamp = first(ecosel("energy", path, "--start", stamp(1.513), "--end", stamp(7.483), "--format", "json"))
    by_second = first(ecosel("energy", path, "--start", 1.513, "--end", 7.483, "--format", "json"))
    assert by_stamp["energy_j"] == pytest.approx(by_second["energy_j"], rel=1e-6)
    assert by_stamp["energy_per_inference_j"] is None


def test_a_trace_and_windows_of_a_file_become_rows_of_an_archive(tmp_path: Path, ecosel: Ecosel) -> None:
    windows = tmp_path / "windows.csv"
    windows.write_text(f"start,end,label,inferences\n{START_S},{END_S},load,500\n9.4826,13.9826,idle,\n")
    archive = tmp_path / "runs.db"
    outcome = ecosel("energy", SHIPPED / "a100_step.parquet", "--windows", windows, "--archive", archive, "--format", "json")
    load, idle = json.loads(outcome.out)["windows"]
    assert (load["label"], idle["label"], idle["energy_per_inference_j"]) == ("load", "idle", None)
    assert corrected(load) == pytest.approx(METER_J, rel=0.003)
    assert corrected(idle) == pytest.approx(278.88, rel=0.005)
    with sqlite3.connect(archive) as opened:
        found = opened.execute(
            "SELECT candidate_id, energy_per_inference_j, energy_source, energy_gain_error, energy_offset_error_w, energy_meter "
            "FROM profile"
        ).fetchall()
    meter = f"log {SHIPPED / 'a100_step.parquet'}"
    assert found == [("load", load["energy_j"] / 500, "log", 0.07, 22.0, meter), ("idle", None, "log", 0.07, 22.0, meter)]


def test_an_archive_that_takes_no_row_does_not_cost_the_answer(
    tmp_path: Path, ecosel: Ecosel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise ProfilerError("cannot append to runs.db: database or disk is full")

    monkeypatch.setattr(archive_module, "append", full)
    options = ("--start", START_S, "--end", END_S, "--archive", tmp_path / "runs.db")
    outcome = ecosel("energy", SHIPPED / "a100_step.parquet", *options)
    assert (outcome.status, outcome.err) == (1, "ecosel: cannot append to runs.db: database or disk is full\n")
    assert " J" in outcome.out


def test_several_boards_are_asked_for(tmp_path: Path, ecosel: Ecosel) -> None:
    path = tmp_path / "two.csv"
    lines = [f"{line}\n{line.replace(', 0,', ', 1,').replace('A100', 'A100')}" for line in rows("{stamp}, 0, GPU-1, {w:.2f} W")]
    path.write_text("timestamp, index, uuid, power.draw [W]\n" + "\n".join(lines) + "\n")
    asked = ecosel("energy", path, "--start", START_S, "--end", END_S)
    assert (asked.status, asked.err.count("\n")) == (1, 1)
    assert "2 GPUs (0, 1); name one with --gpu" in asked.err
    assert first(ecosel("energy", path, "--start", START_S, "--end", END_S, "--gpu", "1", "--format", "json"))["energy_j"] > 1000
    assert ecosel("energy", path, "--start", START_S, "--end", END_S, "--gpu", "7").status == 1


def test_a_calibration_corrects_gain_and_offset(tmp_path: Path, ecosel: Ecosel) -> None:
    file = tmp_path / "board.json"
    file.write_text(json.dumps({"gain": GAIN, "offset_w": OFFSET_W, "gain_error": 0.002, "offset_error_w": 0.5}))
    window = first(
        ecosel(
            "energy", SHIPPED / "a100_step.parquet", "--start", START_S, "--end", END_S, "--calibration", file, "--format", "json"
        )
    )
    assert window["energy_j"] == pytest.approx(METER_J, rel=0.003)
    left = read_log(SHIPPED / "a100_step.parquet").calibrated(read_calibration(file))
    assert (left.gain_error, left.offset_error_w) == pytest.approx((0.002 / GAIN, 0.5 / GAIN))


BAD = {
    "backwards": (lambda lines: [*lines[:300], *lines[100:]], "goes back"),
    "garbage": (lambda lines: [*lines[:300], lines[300].replace(" W", "x W"), *lines[301:]], "line 302: "),
    "short row": (lambda lines: [*lines[:300], "2023/07/07 12:35:00.000", *lines[300:]], "line 302 has 1 cells"),
    "gap": (lambda lines: [*lines[:200], *lines[300:]], "without a reading"),
    "too short": (lambda lines: lines[:300], "outside the log"),
    "begins late": (lambda lines: lines[200:], ""),
    "two boards without a number": (
        lambda lines: [x for k in range(0, len(lines), 10) for x in (lines[k], lines[k + 1])],
        "in turn",
    ),
    "no power": (lambda lines: [line.rsplit(",", 1)[0] + ", [N/A]" for line in lines], "not available in any row"),
}


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD)
def test_a_log_that_does_not_tell_is_refused_in_one_line(
    tmp_path: Path, ecosel: Ecosel, change: Callable[[list[str]], list[str]], words: str
) -> None:
    path = tmp_path / "bad.csv"
    lines = change(rows("{stamp}, {w:.2f} W"))
    path.write_text("timestamp, power.draw [W]\n" + "\n".join(lines) + "\n")
    outcome = ecosel("energy", path, "--start", stamp(START_S), "--end", stamp(END_S), "--format", "json")
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (1, "", 1), outcome.err
    assert words in outcome.err


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("start,end\n1,3\n2,4\n", "overlap"),
        ("start,end\n3,2\n", "at or before its start"),
        ("start,end\n1,300\n", "outside the log"),
        ("begin,end\n1,3\n", "no columns start and end"),
        ("start,end,inferences\n2,5,many\n", "'many' is not a number of inferences"),
        ("start,end\nnoon,3\n", "'noon' is not a time"),
        ("start,end\n2.0,2.1\n", "too short"),
    ],
)
def test_windows_that_cannot_be_told_are_refused_in_one_line(tmp_path: Path, ecosel: Ecosel, table: str, words: str) -> None:
    file = tmp_path / "windows.csv"
    file.write_text(table)
    outcome = ecosel("energy", SHIPPED / "a100_step.parquet", "--windows", file)
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (1, "", 1), outcome.err
    assert words in outcome.err


def test_a_last_line_that_was_cut_off_is_left_out_with_a_word(tmp_path: Path, ecosel: Ecosel) -> None:
    path = log(tmp_path, "{stamp}, {w:.2f} W", head="timestamp, power.draw [W]")
    path.write_text(path.read_text() + "2023/07/07 12:35")
    window = first(ecosel("energy", path, "--start", START_S, "--end", END_S, "--format", "json"))
    assert any("is incomplete" in warning for warning in window["warnings"])


OTHERS = (
    "# gpu    pwr  gtemp     sm\n# Idx      W      C      %\n    0     56     45     98\n",
    "#Date       Time        gpu    pwr\n#YYYYMMDD   HH:MM:SS    Idx      W\n 20240501   12:00:00     0   56\n",
    "0, pwrDraw      , 1714564800000000, 56\n",
    "==============NVSMI LOG==============\n\nTimestamp         : Wed May  1 12:00:00 2024\n",
    "Wed May  1 12:00:00 2024\n+-----+\n| NVIDIA-SMI 535.54.03 |\n",
)


@pytest.mark.parametrize("text", OTHERS)
def test_output_of_other_nvidia_smi_commands_is_recognised(tmp_path: Path, text: str) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(MeterError, match="the output of another nvidia-smi command; log with nvidia-smi --query-gpu="):
        read_log(tmp_path / "log.csv")


def test_zones_are_stated_by_the_log_and_the_window_or_by_neither(tmp_path: Path) -> None:
    text = "time,power\n" + "".join(f"2024-05-01T12:00:0{k}+02:00,100\n" for k in range(9))
    (tmp_path / "zoned.csv").write_text(text)
    (tmp_path / "local.csv").write_text(text.replace("+02:00", ""))
    zoned, local = read_log(tmp_path / "zoned.csv"), read_log(tmp_path / "local.csv")
    assert zoned.at("2024-05-01 10:00:03Z") == zoned.at("1714557603") == local.at("2024-05-01 12:00:03") == 3
    with pytest.raises(MeterError, match="state their zone: state one"):
        zoned.at("2024-05-01 12:00:03")
    with pytest.raises(MeterError, match="state no zone: leave it out"):
        local.at("2024-05-01 12:00:03Z")


def test_boards_of_several_names_in_one_log_must_be_numbered(tmp_path: Path) -> None:
    lines = [f"2024/05/01 12:00:0{k}.000, {name}, 60 W\n" for k in range(9) for name in ("NVIDIA A100", "Tesla K40m")]
    (tmp_path / "log.csv").write_text("timestamp, name, power.draw [W]\n" + "".join(lines))
    with pytest.raises(MeterError, match="several GPUs"):
        read_log(tmp_path / "log.csv")


def test_usage_is_reported(ecosel: Ecosel) -> None:
    assert ecosel("energy", "log.csv").status == 2
    assert ecosel("energy", "absent.csv", "--start", "0", "--end", "1").status == 1


@pytest.mark.parametrize(
    ("head", "line", "told"),
    [
        ("time_ms,power", "{ms:.0f},{w}", 100.0),
        ("time_s,voltage,power_factor,power_w", "{s},230,0.98,{w}", 100.0),
        ("time_s,power_limit_w,power_va,power", "{s},250,120,{w}", 100.0),
        ("time,power", "{ms:.0f},{w}", "are the times in the column time seconds? name it time_s, or time_ms"),
        ("timestamp,power_w", "{epoch:.0f},{w}", "name it time_s, or time_ms"),
        ("timestamp,power.limit [W]", "2024/03/05 10:00:{s:06.3f},250.00 W", "no columns of time and power"),
        ("time_s,power_a,power_b", "{s},50,{w}", "several columns of power (power_a, power_b)"),
    ],
)
def test_the_power_is_what_is_drawn_and_times_are_seconds(tmp_path: Path, head: str, line: str, told: float | str) -> None:
    file = tmp_path / "meter.csv"
    rows = [line.format(s=ms / 1000, ms=ms, epoch=1.7e12 + ms, w=100) for ms in range(0, 8000, 100)]
    file.write_text("\n".join([head, *rows]) + "\n")
    if isinstance(told, float):
        read = read_log(file)
        assert read.time_s[-1] == pytest.approx(7.9)
        assert set(read.power_w) == {told}
        return
    with pytest.raises(MeterError) as refused:
        read_log(file)
    assert told in str(refused.value)
