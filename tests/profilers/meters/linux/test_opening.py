"""Which of the room's meters a device has by itself, and what `ecosel devices` says of them."""

from __future__ import annotations

import pytest

from profilers.cli.devices import _as_text, survey
from profilers.meters import NoMeter, find_meter
from profilers.meters.linux.opening import default_meter
from profilers.meters.linux.rails import UNSEEN, RailMeter
from tests.profilers.meters.linux.conftest import Machine


@pytest.fixture(autouse=True)
def no_other_meter(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("profilers.meters.rapl.ROOT", machine.root / "sys/class/powercap")


def orin_nano(machine: Machine) -> None:
    machine.write("proc/device-tree/compatible", "nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0")
    machine.ina3221(3, "1-0040", {1: ("VDD_IN", 5040, 2000), 2: ("VDD_CPU_GPU_CV", 5040, 700), 3: ("VDD_SOC", 5040, 500)})


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_a_jetson_has_its_monitor_for_the_processor_and_the_gpu(machine: Machine, device: str) -> None:
    orin_nano(machine)
    found = default_meter(device)
    assert isinstance(found, RailMeter)
    assert found.scope == "board input VDD_IN (ina3221 at 1-0040)"


def test_the_same_chip_on_another_board_is_not_taken_unasked(machine: Machine) -> None:
    orin_nano(machine)
    machine.write("proc/device-tree/compatible", "fsl,imx8mp\0")
    assert default_meter("cpu") == ()


def test_a_laptop_that_discharges_is_measured_by_its_battery_and_one_that_charges_says_why_not(machine: Machine) -> None:
    for file, content in (("type", "Battery"), ("status", "Discharging"), ("power_now", 9_000_000)):
        machine.write(f"sys/class/power_supply/BAT0/{file}", content)
    machine.moves("sys/class/power_supply/BAT0/power_now", 1_000, every_s=2.0)
    found = find_meter(None, "cpu")
    assert not isinstance(found, NoMeter)
    assert found.name == "battery"
    machine.write("sys/class/power_supply/BAT0/status", "Charging")
    none = find_meter(None, "cpu")
    assert isinstance(none, NoMeter)
    assert none.reason.endswith(
        "has no package counter); the battery is a meter only while it discharges (BAT0 is Charging); unplug the mains; "
        "--meter constant:WATTS assumes a power"
    )


def test_devices_label_meters_never_verified_on_hardware(machine: Machine) -> None:
    orin_nano(machine)
    gpu = machine.chip(9, "amdgpu", "0000:03:00.0", {"power1_average": 30_000_000})
    machine.moves(f"{gpu}/power1_average", 1_000)
    found = list(survey(None, None))
    text = _as_text(found, None, "no driver")
    assert [one.device for one in found] == ["hwmon:amdgpu@0000:03:00.0", "cpu"]
    assert "meter   hwmon: average power of the GPU's board (amdgpu at 0000:03:00.0)" in text
    assert "meter   hwmon: instant power of board input VDD_IN (ina3221 at 1-0040)" in text
    assert text.count(f"note    {UNSEEN}") == 2


def test_a_meter_that_was_asked_for_by_name_is_opened_by_the_same_door(machine: Machine) -> None:
    orin_nano(machine)
    found = find_meter("hwmon:ina3221/VDD_SOC", "cpu")
    assert not isinstance(found, NoMeter)
    assert found.read().power_w == pytest.approx(5.04 * 0.5, abs=0.006)
    for kind in ("scmi", "battery", "pmic"):
        with pytest.raises(ValueError, match=f"{kind} takes no argument"):
            find_meter(f"{kind}:0", "cpu")
