"""hwmon chips of Jetsons and GPUs: one machine for each board, and one for each trap."""

from __future__ import annotations

import pytest

from profilers.errors import MeterError
from profilers.meters.base import PowerMeter
from profilers.meters.linux import hwmon
from profilers.meters.linux.rails import UNSEEN
from tests.profilers.meters.linux.conftest import Machine


def power_w(meter: PowerMeter) -> float:
    reading = meter.read()
    assert reading.power_w is not None, reading.warnings
    return reading.power_w


def test_orin_nano_is_read_at_its_input_and_its_parts_are_not_added(machine: Machine) -> None:
    machine.ina3221(3, "1-0040", {1: ("VDD_IN", 5040, 2000), 2: ("VDD_CPU_GPU_CV", 5040, 700), 3: ("VDD_SOC", 5040, 500)})
    meter = machine.hwmon("ina3221")
    assert power_w(meter) == pytest.approx(5.040 * 2.000, abs=0.006)
    assert meter.scope == "board input VDD_IN (ina3221 at 1-0040)"
    able = meter.capabilities()
    assert (able.power, able.average_power, able.energy) == (True, False, False)
    assert (able.update_period_s, able.averaging_window_s, able.notes) == (0.024, 0.024, (UNSEEN,))
    assert meter.uuid == "hwmon-ina3221-1-0040"


def test_a_rail_is_read_alone_where_it_is_named(machine: Machine) -> None:
    machine.ina3221(3, "1-0040", {1: ("VDD_IN", 5040, 2000), 2: ("VDD_CPU_GPU_CV", 5000, 700), 3: ("VDD_SOC", 5040, 500)})
    meter = machine.hwmon("ina3221/VDD_CPU_GPU_CV")
    assert power_w(meter) == pytest.approx(3.5, abs=0.006)
    assert meter.scope == "VDD_CPU_GPU_CV (ina3221 at 1-0040)"


def test_nano_is_read_at_the_5_v_input(machine: Machine) -> None:
    machine.ina3221(0, "6-0040", {1: ("POM_5V_IN", 4900, 600), 2: ("POM_5V_GPU", 4900, 100), 3: ("POM_5V_CPU", 4900, 200)})
    assert power_w(machine.hwmon("ina3221")) == pytest.approx(4.9 * 0.6, abs=0.006)


def test_agx_orin_is_the_sum_of_its_rails_and_unmetered_parts_are_named(machine: Machine) -> None:
    machine.ina3221(
        3, "1-0040", {1: ("VDD_GPU_SOC", 19_000, 400), 2: ("VDD_CPU_CV", 19_000, 100), 3: ("VIN_SYS_5V0", 5_000, 900)}
    )
    machine.ina3221(4, "1-0041", {1: ("NC", 0, 0), 2: ("VDDQ_VDD2_1V8AO", 5_000, 80), 3: ("NC", 0, 0)})
    meter = machine.hwmon("ina3221")
    # VDDQ_VDD2_1V8AO is drawn from VIN_SYS_5V0: adding it would count it twice
    assert power_w(meter) == pytest.approx(19 * 0.4 + 19 * 0.1 + 5 * 0.9, abs=0.05)
    assert meter.scope == (
        "sum of 3 rails (VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0); the board's input and its carrier are not metered (ina3221 at 1-0040)"
    )


def test_agx_xavier_is_the_sum_over_both_chips(machine: Machine) -> None:
    machine.ina3221(1, "1-0040", {1: ("GPU", 19_000, 100), 2: ("CPU", 19_000, 100), 3: ("SOC", 19_000, 100)})
    machine.ina3221(2, "1-0041", {1: ("CV", 19_000, 0), 2: ("VDDRQ", 19_000, 50), 3: ("SYS5V", 5_000, 500)}, update_ms=40)
    meter = machine.hwmon("ina3221")
    assert power_w(meter) == pytest.approx(19 * 0.35 + 2.5, abs=0.2)
    assert meter.scope.startswith("sum of 6 rails (GPU + CPU + SOC + CV + VDDRQ + SYS5V); the board's input")
    assert meter.capabilities().averaging_window_s == 0.04  # the slower chip's


def test_thor_has_power_in_microwatts_and_a_counter(machine: Machine) -> None:
    folder = machine.chip(
        2, "ina238", "1-0044",
        {"in0_input": 5, "in1_input": 20_000, "curr1_input": 1_250, "power1_input": 25_000_000, "energy1_input": 7_000_000},
    )  # fmt: skip
    machine.moves(f"{folder}/power1_input", 20_000)
    machine.moves(f"{folder}/energy1_input", 125_000)
    meter = machine.hwmon("ina238")
    before = meter.read()
    machine.pause(1.0)
    after = meter.read()
    assert before.power_w == pytest.approx(25, abs=0.03)  # 25,000 W where it is taken for milliwatts
    assert before.energy_j is not None
    assert after.energy_j is not None
    assert after.energy_j - before.energy_j == pytest.approx(25.0)
    assert meter.capabilities().energy


def test_a_usb_c_supply_is_not_a_rail(machine: Machine) -> None:
    machine.chip(0, "ucsi_source_psy_1_00081".replace("_", "-"), "1-0008", {"in0_input": 5000, "curr1_input": 3000})
    with pytest.raises(MeterError, match="is the power that a USB-C supply offers, not the power drawn"):
        machine.hwmon("ucsi-source-psy-1-00081")
    with pytest.raises(MeterError, match="those that do: none"):
        machine.hwmon("ina3221")


def test_a_channel_that_is_off_or_not_connected_is_not_offered(machine: Machine) -> None:
    folder = machine.ina3221(0, "1-0040", {1: ("A", 5000, 100), 2: ("NC", 5000, 100), 3: ("B", 5000, 100)})
    machine.write(f"{folder}/in3_enable", 0)
    (chip,) = hwmon.chips(machine.root)
    assert [channel.name for channel in hwmon.channels(chip)] == ["A"]


def test_rails_of_an_unknown_board_are_not_added_up(machine: Machine) -> None:
    machine.ina3221(0, "1-0040", {1: ("INPUT", 12_000, 100), 2: ("CORE", 1_000, 500)})
    with pytest.raises(
        MeterError, match="has INPUT, CORE, and it is unknown which of them include others; name one, such as hwmon:ina3221/INPUT"
    ):
        machine.hwmon("ina3221")
    assert power_w(machine.hwmon("ina3221/CORE")) == pytest.approx(0.5, abs=0.002)
    with pytest.raises(MeterError, match="ina3221 has no VDD_IN; it has INPUT, CORE"):
        machine.hwmon("ina3221/VDD_IN")


def test_an_amd_gpu_may_have_both_powers_or_one(machine: Machine) -> None:
    folder = machine.chip(
        5, "amdgpu", "0000:03:00.0", {"in0_label": "vddgfx", "power1_average": 120_000_000, "power1_label": "PPT"}
    )
    machine.moves(f"{folder}/power1_average", 250_000, every_s=0.05)
    meter = machine.hwmon("amdgpu")
    reading, able = meter.read(), meter.capabilities()
    assert reading.average_power_w == pytest.approx(120, abs=0.3)
    assert (reading.power_w, able.power, able.average_power) == (None, False, True)
    assert meter.scope == "the GPU's board (amdgpu at 0000:03:00.0)"
    assert able.notes[0] == "updates about every 0.05 s, as observed when it was opened"
    assert "the driver reports no averaging window" in able.notes
    machine.write(f"{folder}/power1_input", 140_000_000)
    machine.moves(f"{folder}/power1_input", 250_000)
    both = machine.hwmon("amdgpu").read()
    assert both.power_w == pytest.approx(140, abs=0.3)
    assert both.average_power_w == pytest.approx(120, abs=0.3)


def test_an_apu_is_described_as_including_its_cpu(machine: Machine) -> None:
    folder = machine.chip(5, "amdgpu", "0000:c1:00.0", {"in0_label": "vddgfx", "in1_label": "vddnb", "power1_input": 15_000_000})
    machine.moves(f"{folder}/power1_input", 1_000)
    assert machine.hwmon("amdgpu").scope == "the APU, including its CPU (amdgpu at 0000:c1:00.0)"


@pytest.mark.parametrize("absent", [65_535, 65_535_000, 65_535_000_000])
def test_a_field_that_stands_for_absent_is_not_power(machine: Machine, absent: int) -> None:
    folder = machine.chip(5, "amdgpu", "0000:03:00.0", {"power1_input": absent})
    with pytest.raises(MeterError, match="means no reading"):
        machine.hwmon("amdgpu")
    machine.write(f"{folder}/power1_input", 30_000_000)
    machine.moves(f"{folder}/power1_input", 1_000)
    meter = machine.hwmon("amdgpu")
    machine.write(f"{folder}/power1_input", absent)
    with pytest.raises(MeterError, match="means no reading"):
        meter.read()


def test_a_second_die_that_reads_0_is_not_a_meter(machine: Machine) -> None:
    machine.chip(6, "amdgpu", "0000:83:00.0", {"power1_average": 0})
    with pytest.raises(MeterError, match="reads 0 W, which is impossible"):
        machine.hwmon("amdgpu")


def test_two_boards_of_one_driver_are_told_apart_by_their_address(machine: Machine) -> None:
    for number, address, watts in ((2, "0000:03:00.0", 50), (1, "0000:83:00.0", 70)):
        folder = machine.chip(number, "amdgpu", address, {"power1_input": watts * 1_000_000})
        machine.moves(f"{folder}/power1_input", 1_000)
    with pytest.raises(MeterError, match=r"name one of hwmon:amdgpu@0000:83:00.0, hwmon:amdgpu@0000:03:00.0"):
        machine.hwmon("amdgpu")
    assert power_w(machine.hwmon("amdgpu@0000:03:00.0")) == pytest.approx(50, abs=0.01)
    with pytest.raises(MeterError, match="no such chip reports power here; those that do: amdgpu"):
        machine.hwmon("amdgpu@0000:99:00.0")


def test_intel_counts_the_card_in_microjoules_and_not_its_package_too(machine: Machine) -> None:
    files = {"energy1_label": "card", "energy1_input": 9_000_000, "energy2_label": "pkg", "energy2_input": 5_000_000}
    folder = machine.chip(4, "xe", "0000:03:00.0", files)
    machine.moves(f"{folder}/energy1_input", 500_000)
    machine.moves(f"{folder}/energy2_input", 300_000)
    meter = machine.hwmon("xe")
    before = meter.read()
    machine.pause(0.5)
    after = meter.read()
    assert before.energy_j is not None
    assert after.energy_j is not None
    assert after.energy_j - before.energy_j == pytest.approx(50)
    assert (after.power_w, after.average_power_w) == (None, None)  # a first reading taken for power is millions of watts
    assert meter.scope == "the card (xe at 0000:03:00.0)"


def test_intel_with_the_package_alone_says_so(machine: Machine) -> None:
    folder = machine.chip(4, "xe", "0000:03:00.0", {"energy2_label": "pkg", "energy2_input": 5_000_000})
    machine.moves(f"{folder}/energy2_input", 300_000)
    assert machine.hwmon("xe").scope == "the package, not the whole card (xe at 0000:03:00.0)"


def test_i915_names_no_label(machine: Machine) -> None:
    folder = machine.chip(7, "i915", "0000:03:00.0", {"energy1_input": 5_000_000})
    machine.moves(f"{folder}/energy1_input", 300_000)
    assert machine.hwmon("i915").capabilities().energy


def test_a_counter_that_stands_still_is_not_a_meter(machine: Machine) -> None:
    machine.chip(7, "i915", "0000:03:00.0", {"energy1_input": 5_000_000})
    with pytest.raises(MeterError, match="stood still at 5 J for 2 s"):
        machine.hwmon("i915")


def test_a_driver_that_tells_its_averaging_interval_is_believed(machine: Machine) -> None:
    folder = machine.chip(0, "power_meter", "ACPI000D:00", {"power1_average": 200_000_000, "power1_average_interval": 1000})
    machine.moves(f"{folder}/power1_average", 1_000_000, every_s=0.5)
    able = machine.hwmon("power_meter").capabilities()
    assert (able.average_power, able.averaging_window_s) == (True, 1.0)


def test_a_chip_of_an_old_kernel_keeps_its_files_one_folder_deeper(machine: Machine) -> None:
    machine.write("sys/class/hwmon/hwmon0/device/name", "amdgpu")
    machine.write("sys/class/hwmon/hwmon0/device/power1_input", 30_000_000)
    machine.moves("sys/class/hwmon/hwmon0/device/power1_input", 1_000)
    assert power_w(machine.hwmon("amdgpu")) == pytest.approx(30, abs=0.01)


@pytest.mark.parametrize("which", ["", "/VDD_IN", "ina3221/", "amdgpu@", "@0000:03:00.0"])
def test_a_spec_that_names_no_chip_is_wrong_usage(machine: Machine, which: str) -> None:
    with pytest.raises(ValueError, match="name a chip, such as hwmon:amdgpu"):
        machine.hwmon(which)
