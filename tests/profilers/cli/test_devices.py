"""`ecosel devices` on boards of a stand-in NVML, and on this machine as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from profilers.meters.calibration import read_calibration
from tests.conftest import ROOT, Outcome, environment
from tests.profilers.conftest import run_child

Standin = Callable[..., dict[str, str]]

A, B = "GPU-11111111-aaaa", "GPU-22222222-bbbb"
TWO = f"""clock step 0.05
board {A}
name NVIDIA A30
power 100.5
temperature 33
process 17
process 18
board {B}
name NVIDIA A30
power 200
reasons 36
cc 8 0
fail field:186:0 3
"""


# Torch would be asked for the order of boards and for a load, and takes seconds to import.
NO_TORCH = "import sys\nsys.modules['torch'] = None\n"


@pytest.fixture
def uuid() -> Iterator[str]:
    """A UUID that no other run of these tests has, since its lock is one of the whole machine."""
    name = f"GPU-test-{os.getpid()}"
    yield name
    Path(f"/tmp/ecosel-board-{name}.lock").unlink(missing_ok=True)


def ran(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ecosel", "devices", *arguments], env=env, capture_output=True, text=True, timeout=60
    )


def test_devices_are_shown_as_cuda_counts_them_and_hidden_boards_too(nvml_standin: Standin) -> None:
    done = ran(nvml_standin(TWO, CUDA_VISIBLE_DEVICES=B))
    assert (done.returncode, done.stderr) == (0, "")
    text = done.stdout[: done.stdout.index("cpu ")]
    assert (
        text
        == f"""\
cuda:0  NVIDIA A30  {B}
        meter   nvml: instant power, average power, energy counter of board {B} (NVIDIA A30)
        now     200.0 W, 40 °C, 1980 MHz, limited by power-cap, sw-thermal
        note    nvmlDeviceGetPowerUsage is instant on this board
nvml:0  NVIDIA A30  {A}
        meter   nvml: average power, energy counter of board {A} (NVIDIA A30)
        hidden  hidden from CUDA in this environment
        now     100.5 W, 33 °C, 1980 MHz, 2 other processes
        note    no instant power: instant power: Not Supported (field 186); instant power of the module: Not Supported (field 186)
"""
    )
    assert done.stdout.endswith(f"\nNVIDIA driver: 570.124.06\nCUDA_VISIBLE_DEVICES={B}\n")


def test_json_says_the_same_with_null_for_what_is_not_known(nvml_standin: Standin) -> None:
    env = nvml_standin(TWO + "mig MIG-7\nmigmode 1\n", CUDA_VISIBLE_DEVICES="MIG-7")
    answer = json.loads(ran(env, "--format", "json").stdout)
    assert answer["nvidia_driver"] == "570.124.06"
    assert answer["environment"] == {"CUDA_VISIBLE_DEVICES": "MIG-7", "CUDA_DEVICE_ORDER": None}
    first, second, cpu = answer["devices"]
    assert (first["device"], first["board"], first["mig"], first["meter"]) == ("cuda:0", B, "MIG-7", "nvml")
    assert first["scope"] == f"board {B} (NVIDIA A30), shared by 1 MIG instance"
    assert (first["reading"]["power_w"], first["conditions"]["other_processes"], first["probe"]) == (200, 0, None)
    assert (second["device"], second["reason"]) == ("nvml:0", "hidden from CUDA in this environment")
    assert cpu["device"] == "cpu"
    assert (cpu["meter"] is None) == (cpu["reason"] is not None)


def test_a_board_without_a_meter_is_shown_with_the_reason(nvml_standin: Standin) -> None:
    fields = "".join(f"fail field:{f}:{s} 3\n" for f in (83, 185, 186, 191) for s in (0, 1))
    calls = "fail nvmlDeviceGetPowerUsage 4\nfail nvmlDeviceGetTotalEnergyConsumption 3\n"
    done = ran(nvml_standin(f"clock step 0.05\nboard {A}\nname Tesla M10\n{fields}{calls}"))
    assert done.returncode == 0
    assert (
        f"cuda:0  Tesla M10  {A}\n        meter   none: board {A} (Tesla M10) reports neither power nor energy: " in done.stdout
    )
    assert "nvmlDeviceGetPowerUsage: Insufficient Permissions (nvmlDeviceGetPowerUsage)" in done.stdout
    assert "; --meter constant:WATTS assumes a power\n" in done.stdout


def test_boards_whose_order_cannot_be_told_are_shown_by_nvmls_index(nvml_standin: Standin) -> None:
    env = nvml_standin(TWO.replace("name NVIDIA A30", "name NVIDIA T4", 1))
    answer = run_child(env, f"{NO_TORCH}from ecosel.cli import main\nmain(['devices', '--format', 'json'])")
    assert [one["device"] for one in answer["devices"]] == ["nvml:0", "nvml:1", "cpu"]
    assert "set CUDA_DEVICE_ORDER=PCI_BUS_ID" in answer["devices"][0]["reason"]
    assert answer["devices"][0]["meter"] == "nvml"


PROBE = f"""{NO_TORCH}
import dataclasses, json, sys
from profilers.cli.devices import _as_text, survey
from profilers.meters.locks import board_lock
from profilers.meters.nvml.boards import machine
found = list(survey(machine(), 1.5))
print(json.dumps([[dataclasses.asdict(one) for one in found], _as_text(found, "570", None)]))
"""


def test_a_probe_finds_the_period_of_a_board_whose_power_changes(nvml_standin: Standin, uuid: str) -> None:
    # the real clock, since the probe polls; 20 ms updates of a power that swings by itself
    steps = "step 0 90\nstep 0.017 140\nstep 0.041 75\nstep 0.06 300\nrepeat 0.073\n"
    env = nvml_standin(f"clock real\nboard {uuid}\nperiod 0.02\nwindow 0.02\ntick 0.02\n{steps}")
    for _ in range(5):  # a busy machine polls too late to see every update
        found, text = run_child(env, PROBE)
        probe = found[0]["probe"]
        if all(probe[name]["update_period_s"] for name in ("power", "energy")):
            break
    assert probe["power"]["update_period_s"]["value"] == pytest.approx(0.02, rel=0.05)
    assert probe["energy"]["update_period_s"]["value"] == pytest.approx(0.02, rel=0.05)
    assert probe["power"]["averaging_window_s"] is None
    assert found[0]["probe_reason"] == "no load could be run: a load needs torch; install ecosel[torch]"
    assert "power   updates every " in text
    assert "; averaging window: no load was switched\n" in text


def test_a_board_that_is_being_measured_is_not_probed(nvml_standin: Standin, uuid: str) -> None:
    found, text = run_child(
        nvml_standin(f"clock step 0.05\nboard {uuid}\n"),
        PROBE.replace("found =", f"lock = board_lock({uuid!r})\nlock.__enter__()\nfound ="),
    )
    assert found[0]["probe"] is None
    assert found[0]["probe_reason"].startswith(f"not probed: board {uuid} is being measured by process ")
    assert f"note    not probed: board {uuid}" in text


def test_a_machine_without_boards_says_something_useful(ecosel: Callable[..., Outcome]) -> None:
    done = ecosel("devices")
    assert (done.status, done.err) == (0, "")
    assert "cpu" in done.out
    assert "NVIDIA driver: " in done.out
    answer: Any = json.loads(ecosel("devices", "--format", "json").out)
    assert answer["devices"][-1]["device"] == "cpu"


def test_wrong_usage_gives_one_line(ecosel: Callable[..., Outcome]) -> None:
    done = ecosel("devices", "--format", "xml")
    assert done.status == 2
    assert done.err.count("\n") == 1


def test_an_error_of_profilers_gives_one_line_and_status_1() -> None:
    code = """
import click
from ecosel import cli
from profilers.errors import MeterError
@click.command()
def fails():
    raise MeterError("the board is lost;\\nrestart it")
cli.fails = fails
cli.COMMANDS["fails"] = ("ecosel.cli:fails", "")
cli.main(["fails"])
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "ecosel: the board is lost; restart it\n")


def test_a_calibration_is_fitted_to_pairs_of_meter_and_board(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("meter_w,board_w\n69.2,51.9\n100,84.2\n200,188.9\n387,384.8\n")
    outcome = ecosel("devices", "--calibrate", pairs)
    fitted = json.loads(outcome.out)
    assert fitted["gain"] == pytest.approx(1.0475, abs=0.001)
    assert fitted["offset_w"] == pytest.approx(-20.57, abs=0.2)
    assert 0 < fitted["gain_error"] < 0.01
    file = tmp_path / "board.json"
    file.write_text(outcome.out)
    assert read_calibration(file).watts(384.8) == pytest.approx(387, abs=0.5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("meter_w,board_w\n69.2,51.9\n", "at least three points at two different values; here are 1 at 1"),
        ("meter_w,board_w\n100,96\n100,97\n100,95\n", "here are 3 at 1"),
        ("meter_w,board_w\n100,96\n\n200,inf\n300,288\n", "line 4: both cells must be watts above 0, such as 96.5, not '200' and 'inf'"),
        ("meter_w,board_w\n100,96 W\n200,192\n", "line 2: both cells must be watts above 0, such as 96.5, not '100' and '96 W'"),
        ("meter_w,board_w\n100,96\n200\n", "line 3: both cells must be watts above 0, such as 96.5, not '200' and nothing"),
        ("meter_w;board_w\n62,5;59,8\n", "with commas; it has meter_w;board_w"),
        ("meter_w,board_w\n100,90\n200,210\n300,250\n250,300\n", "less certain than that of a board without a calibration (± 7%)"),
        ("meter_w,board_w\n100,960\n200,1920\n300,2880\n", "a gain of 9.6 ± 0 is implausible"),
    ],
)  # fmt: skip
def test_readings_that_do_not_calibrate_are_refused_in_one_line(
    tmp_path: Path, ecosel: Callable[..., Any], text: str, told: str
) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(text)
    refused = ecosel("devices", "--calibrate", pairs)
    assert (refused.status, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert told in refused.err
