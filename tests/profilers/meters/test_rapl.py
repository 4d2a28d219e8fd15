"""RAPL read from files laid out as the kernel lays them out."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from profilers.errors import MeterError
from profilers.meters.rapl import RaplMeter
from tests.profilers.conftest import as_nobody

RANGE_UJ = 262_143_328_850  # of a Xeon


class Sysfs:
    """A powercap tree whose counters are set by hand, and a clock and a pause that move them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now_s = 100.0
        self.moving: set[str] = set()

    def zone(self, zone: str, name: str, energy_uj: int, *, moves: bool = True) -> None:
        folder = self.root / zone
        folder.mkdir()
        (folder / "name").write_text(name + "\n")
        (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
        self.set(zone, energy_uj)
        if moves:
            self.moving.add(zone)

    def set(self, zone: str, energy_uj: int) -> None:
        (self.root / zone / "energy_uj").write_text(f"{energy_uj}\n")

    def get(self, zone: str) -> int:
        return int((self.root / zone / "energy_uj").read_text())

    def pause(self, seconds: float) -> None:
        """Let 1 W flow."""
        self.now_s += seconds
        for zone in self.moving:
            self.set(zone, self.get(zone) + round(seconds * 1e6))

    def open(self) -> RaplMeter:
        return RaplMeter(self.root, clock=lambda: self.now_s, pause=self.pause)


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


def test_packages_and_their_dram_add_up_and_psys_does_not(sysfs: Sysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 1_000_000)
    sysfs.zone("intel-rapl:0:0", "core", 77_000_000)
    sysfs.zone("intel-rapl:0:1", "dram", 2_000_000)
    sysfs.zone("intel-rapl:1", "package-1", 3_000_000)
    sysfs.zone("intel-rapl:2", "psys", 500_000_000)
    sysfs.zone("intel-rapl-mmio:0", "package-0", 900_000_000)
    meter = sysfs.open()
    assert meter.scope == "package-0 + package-0 dram + package-1"
    before = meter.read()
    sysfs.set("intel-rapl:0", sysfs.get("intel-rapl:0") + 50_000_000)
    sysfs.set("intel-rapl:0:1", sysfs.get("intel-rapl:0:1") + 5_000_000)
    sysfs.set("intel-rapl:1", sysfs.get("intel-rapl:1") + 20_000_000)
    after = meter.read()
    assert before.energy_j is not None
    assert after.energy_j is not None
    assert after.energy_j - before.energy_j == pytest.approx(75.0, abs=1e-9)
    assert (after.power_w, after.average_power_w, after.warnings) == (None, None, ())
    assert (meter.capabilities().power, meter.capabilities().energy, meter.capabilities().notes) == (False, True, ())


def test_a_counter_that_starts_again_loses_nothing(sysfs: Sysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0", RANGE_UJ - 30_000_000)
    meter = sysfs.open()
    before = meter.read().energy_j
    left_uj = RANGE_UJ - sysfs.get("intel-rapl:0")
    sysfs.now_s += 1.0
    sysfs.set("intel-rapl:0", 12_000_000)
    after = meter.read().energy_j
    assert before is not None
    assert after is not None
    assert after - before == pytest.approx(left_uj / 1e6 + 12.0, abs=1e-6)


def test_a_fall_that_no_turn_explains_ends_the_numbers(sysfs: Sysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 200_000_000_000)
    meter = sysfs.open()
    sysfs.now_s += 0.1
    sysfs.set("intel-rapl:0", 100_000_000_000)
    reading = meter.read()
    assert reading.energy_j is None
    assert re.fullmatch(r"counter-backward: package-0 fell from \d+ to 100000000000 uJ", reading.warnings[0])
    sysfs.set("intel-rapl:0", 250_000_000_000)
    assert meter.read().energy_j is None


def test_a_gap_that_may_hide_a_turn_ends_the_numbers(sysfs: Sysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 1_000_000)
    meter = sysfs.open()
    sysfs.now_s += 600
    sysfs.set("intel-rapl:0", 9_000_000)
    reading = meter.read()
    assert reading.energy_j is None
    assert reading.warnings == ("counter-wrapped: package-0 was not read for 600 s and may have wrapped unnoticed",)


def test_a_package_that_stands_still_is_not_a_meter(sysfs: Sysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 0, moves=False)
    with pytest.raises(MeterError, match="does not move; this may be a virtual machine"):
        sysfs.open()


def test_dram_that_stands_still_is_left_out_and_reported(sysfs: Sysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 5_000_000)
    sysfs.zone("intel-rapl:0:0", "dram", 0, moves=False)
    meter = sysfs.open()
    assert meter.scope == "package-0"
    assert meter.capabilities().notes == ("the energy excludes package-0 dram: its counter does not move",)


def test_a_counter_that_stops_later_is_a_named_warning(sysfs: Sysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 5_000_000)
    meter = sysfs.open()
    assert meter.capabilities().notes == ("the energy excludes DRAM: RAPL has no counter for it here",)
    assert meter.read().energy_j is not None
    sysfs.now_s += 10
    assert meter.read().warnings == ("counter-frozen: the energy counter has not moved for 10.0 s",)


@pytest.mark.parametrize("content", ["", "n/a\n"])
def test_a_counter_without_a_number_is_a_meter_error(sysfs: Sysfs, content: str) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 5_000_000)
    meter = sysfs.open()
    (sysfs.root / "intel-rapl:0" / "energy_uj").write_text(content)
    with pytest.raises(MeterError, match="rapl-error: package-0 cannot be read"):
        meter.read()


def test_a_machine_without_rapl_says_so(sysfs: Sysfs) -> None:
    with pytest.raises(MeterError, match=re.escape(f"no RAPL on this machine ({sysfs.root} has no package counter)")):
        sysfs.open()


def test_counters_that_only_root_may_read_say_what_to_do(folder_of_all: Path) -> None:
    sysfs = Sysfs(folder_of_all)
    sysfs.zone("intel-rapl:0", "package-0", 5_000_000)
    (sysfs.root / "intel-rapl:0" / "energy_uj").chmod(0o200 if os.getuid() else 0o400)

    def refusal() -> str:
        try:
            sysfs.open()
        except MeterError as error:
            return str(error)
        return "it was read"

    assert as_nobody(refusal) == (
        f"the RAPL counter {sysfs.root}/intel-rapl:0/energy_uj can be read only by root; "
        f"allow it until the next reboot with: sudo chmod a+r {sysfs.root}/intel-rapl:*/energy_uj"
    )


def test_dram_that_only_root_may_read_is_left_out_and_reported(folder_of_all: Path) -> None:
    sysfs = Sysfs(folder_of_all)
    sysfs.zone("intel-rapl:0", "package-0", 5_000_000, moves=True)
    sysfs.zone("intel-rapl:0:0", "dram", 5_000_000, moves=False)
    (sysfs.root / "intel-rapl:0:0" / "energy_uj").chmod(0o200 if os.getuid() else 0o400)
    (sysfs.root / "intel-rapl:0" / "energy_uj").chmod(0o666)
    said = as_nobody(lambda: " ".join(sysfs.open().capabilities().notes))
    assert said == "the energy excludes package-0 dram: only root can read its counter"
