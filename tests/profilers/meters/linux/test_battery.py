"""Batteries: units, signs, and that they count only while they discharge."""

from __future__ import annotations

import pytest

from profilers.errors import MeterError
from profilers.meters.linux import battery
from profilers.meters.linux.rails import RailMeter
from tests.profilers.meters.linux.conftest import Machine


def put(machine: Machine, name: str = "BAT0", *, status: str = "Discharging", moving: str = "power_now", **files: object) -> str:
    folder = f"sys/class/power_supply/{name}"
    for file, content in ({"type": "Battery", "status": status} | files).items():
        machine.write(f"{folder}/{file}", content)
    if moving in files:
        machine.moves(f"{folder}/{moving}", 10_000, every_s=1.0)
    return folder


def opened(machine: Machine) -> RailMeter:
    return machine.open(battery.supply(machine.root))


def test_power_is_microwatts_and_the_scope_is_the_whole_machine(machine: Machine) -> None:
    put(machine, power_now=12_500_000)
    machine.write("sys/class/power_supply/AC/type", "Mains")
    meter = opened(machine)
    assert meter.read().power_w == pytest.approx(12.5, abs=0.02)
    assert meter.scope == "the whole machine with its screen, from BAT0"
    assert meter.capabilities().update_period_s == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_sign_of_a_driver_is_left_out(machine: Machine, sign: int) -> None:
    put(machine, power_now=sign * 12_500_000)
    assert opened(machine).read().power_w == pytest.approx(12.5, abs=0.02)


def test_current_and_voltage_stand_in_for_power(machine: Machine) -> None:
    put(machine, current_now=-1_000_000, voltage_now=11_400_000, moving="current_now")
    assert opened(machine).read().power_w == pytest.approx(11.4, abs=0.2)


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_on_the_mains_a_battery_is_not_a_meter(machine: Machine, status: str) -> None:
    put(machine, status=status, power_now=9_000_000)
    with pytest.raises(MeterError, match=rf"only while it discharges \(BAT0 is {status}\); unplug the mains"):
        opened(machine)


def test_a_reading_after_the_mains_came_back_is_none(machine: Machine) -> None:
    folder = put(machine, power_now=9_000_000)
    meter = opened(machine)
    machine.write(f"{folder}/status", "Charging")
    with pytest.raises(MeterError, match="BAT0 is Charging"):
        meter.read()


def test_one_of_two_batteries_may_rest_but_none_may_charge(machine: Machine) -> None:
    put(machine, "BAT0", status="Not charging", power_now=0)
    put(machine, "BAT1", power_now=8_000_000)
    meter = opened(machine)
    assert meter.read().power_w == pytest.approx(8, abs=0.02)
    machine.write("sys/class/power_supply/BAT0/status", "Charging")
    with pytest.raises(MeterError, match="BAT0 is Charging, BAT1 is Discharging"):
        meter.read()


def test_the_battery_of_a_mouse_is_not_the_machines(machine: Machine) -> None:
    put(machine, "hidpp_battery_0", scope="Device", power_now=9_000_000)
    put(machine, "BAT1", present=0, power_now=9_000_000)
    with pytest.raises(MeterError, match="this machine has no battery"):
        opened(machine)


def test_a_battery_without_power_and_current_says_so(machine: Machine) -> None:
    put(machine, energy_now=50_000_000)
    with pytest.raises(MeterError, match="reports neither its power nor its current and voltage"):
        opened(machine)
