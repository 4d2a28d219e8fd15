"""The PMIC of a Raspberry Pi 5, by a command that says what the real one is reported to say."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from profilers.errors import MeterError
from profilers.meters.linux import pmic
from profilers.meters.linux.opening import open_pmic
from tests.profilers.meters.linux.conftest import Machine

# Currents and voltages in the order of the firmware, and two voltages that have no current.
RAILS = (
    "3V7_WL_SW",
    "3V3_SYS",
    "1V8_SYS",
    "DDR_VDD2",
    "DDR_VDDQ",
    "1V1_SYS",
    "0V8_SW",
    "VDD_CORE",
    "3V3_DAC",
    "3V3_ADC",
    "0V8_AON",
    "HDMI",
)
LINES = [f"{name:>12}_A current({number})=0.{number + 1:02}000000A" for number, name in enumerate(RAILS)]
LINES += [f"{name:>12}_V volt({number + 12})=1.50000000V" for number, name in enumerate(RAILS)]
LINES += ["     EXT5V_V volt(24)=5.14000000V", "      BATT_V volt(25)=0.00000000V"]
TOTAL_W = 1.5 * sum(range(1, 13)) / 100

Script = Callable[[str], None]


def answers(lines: list[str], folder: Path) -> str:
    """Return a script that says the lines, with a current that changes at every call."""
    (folder / "count").write_text("0")
    file = folder / "lines"
    file.write_text("\n".join(lines) + "\n")
    count = f"n=$(cat {folder}/count); n=$(( (n + 1) % 10 )); echo $n > {folder}/count"
    return f'{count}; sed "s/0.12000000A/0.1200000${{n}}A/" {file}'


def test_twelve_rails_are_paired_by_name_and_added(machine: Machine, script: Script, tmp_path: Path) -> None:
    script(answers([*reversed(LINES)], tmp_path))
    meter = open_pmic("", "cpu")
    assert meter.read().power_w == pytest.approx(TOTAL_W, abs=1e-5)
    assert meter.scope == "sum of 12 PMIC rails; the 5 V input and the USB ports are not metered, nor are BATT, EXT5V"
    assert meter.name == "pmic"


def test_a_rail_that_is_missing_later_is_not_a_smaller_sum(machine: Machine, script: Script, tmp_path: Path) -> None:
    script(answers(LINES, tmp_path))
    meter = open_pmic("", "cpu")
    script(answers(LINES[1:], tmp_path))
    with pytest.raises(MeterError, match="did not list 3V7_WL_SW"):
        meter.read()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("echo 'error=1 error_msg=\"Command not registered\"'", 'failed: error=1 error_msg="Command not registered"'),  # a Pi 4
        (
            "echo VCHI initialization failed >&2; exit 255",
            "failed: VCHI initialization failed; it may need the group video, or root",
        ),
        ("echo EXT5V_V 'volt(24)=5.14V'", "lists no rail with a current and a voltage; a Raspberry Pi 5 has twelve"),
        ("echo 3V3_SYS_A 'current(1)=--A'; echo 3V3_SYS_V 'volt(9)=3V'", "lists no rail with a current and a voltage"),
    ],
)
def test_a_command_without_readings_is_not_a_meter(script: Script, lines: str, words: str) -> None:
    script(lines)
    with pytest.raises(MeterError, match=re.escape(words)):
        pmic.supply()


def test_a_command_that_hangs_is_left(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pmic, "_TIMEOUT_S", 0.1)
    script("exec sleep 60")
    with pytest.raises(MeterError, match=r"gave no answer within 0.1 s"):
        pmic.supply()


def test_a_machine_without_the_command_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MeterError, match="the command vcgencmd is not installed"):
        pmic.supply()
