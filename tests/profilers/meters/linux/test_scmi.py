"""SCMI power zones: microwatts, zones inside zones, and zones that the firmware does not monitor."""

from __future__ import annotations

import pytest

from profilers.errors import MeterError
from profilers.meters.linux import scmi
from tests.profilers.meters.linux.conftest import Machine

ZONES = "sys/class/powercap"


def zone(machine: Machine, name: str, called: str, power_uw: object) -> None:
    machine.write(f"{ZONES}/{name}/name", called)
    machine.write(f"{ZONES}/{name}/power_uw", power_uw)
    if isinstance(power_uw, int):
        machine.moves(f"{ZONES}/{name}/power_uw", 1_000, every_s=0.1)


def test_the_outermost_zones_are_added_and_those_inside_are_not(machine: Machine) -> None:
    zone(machine, "arm-scmi:0", "soc", 6_000_000)
    zone(machine, "arm-scmi:0:0", "cpu", 4_000_000)
    zone(machine, "arm-scmi:1", "gpu", 3_000_000)
    meter = machine.open(scmi.supply(machine.root))
    assert meter.read().average_power_w == pytest.approx(9, abs=0.01)
    assert meter.scope == "SCMI power of soc + gpu"
    able = meter.capabilities()
    assert (able.power, able.average_power, able.energy) == (False, True, False)
    assert able.averaging_window_s is None
    assert "the firmware averages over an unknown time" in able.notes


def test_what_stands_for_a_zone_without_monitoring_are_the_zones_inside(machine: Machine) -> None:
    zone(machine, "arm-scmi:0", "soc", "")
    zone(machine, "arm-scmi:0:0", "big", 4_000_000)
    zone(machine, "arm-scmi:0:1", "little", 1_000_000)
    zone(machine, "arm-scmi:0:2", "npu", "")
    meter = machine.open(scmi.supply(machine.root))
    assert meter.read().average_power_w == pytest.approx(5, abs=0.01)
    assert meter.scope == "SCMI power of big + little; not metered: npu"


def test_firmware_that_monitors_nothing_is_not_a_meter(machine: Machine) -> None:
    zone(machine, "arm-scmi:0", "soc", "")
    with pytest.raises(MeterError, match=r"cannot be read \(soc\): the firmware does not monitor power"):
        scmi.supply(machine.root)


def test_a_machine_without_zones_says_so(machine: Machine) -> None:
    machine.write(f"{ZONES}/intel-rapl:0/power_uw", 5)
    with pytest.raises(MeterError, match="no SCMI power zones on this machine"):
        scmi.supply(machine.root)
