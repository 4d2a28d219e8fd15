"""A machine without meters says why, and a spec that is none is wrong usage."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from profilers.errors import MeterError
from profilers.meters import GROUP, OURS, NoMeter, find_meter
from tests.conftest import ROOT


def test_a_device_without_a_meter_says_what_else_can_be_done() -> None:
    found = find_meter(None, "mps")
    assert found == NoMeter("no meter is known for device mps; --meter constant:WATTS assumes a power")


def test_a_cpu_has_rapl_or_the_reason_why_not() -> None:
    found = find_meter(None, "cpu")
    if isinstance(found, NoMeter):  # or where there is no RAPL, a meter of an edge board
        assert found.reason.endswith("; --meter constant:WATTS assumes a power")
        with pytest.raises(MeterError) as error:  # asked for by name, the same reason ends the command
            find_meter("rapl", "cpu")
        assert found.reason.startswith(str(error.value))
    else:
        assert found.name in ("rapl", "scmi", "pmic", "battery", "hwmon")
        found.close()


@pytest.mark.parametrize("device", ["cpu", "cuda:0", "mps"])
def test_a_declared_constant_serves_every_device(device: str) -> None:
    found = find_meter("constant:65", device)
    assert not isinstance(found, NoMeter)
    assert (found.name, found.read().power_w) == ("constant:65", 65)


def test_a_recorded_trace_is_found_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "a:b.csv").write_text("time_s,power_w\n0,75\n60,75\n")
    found = find_meter(f"replay:{tmp_path}/a:b.csv", "cpu")
    assert not isinstance(found, NoMeter)
    assert (found.name, found.scope, found.read().power_w) == ("replay", "the recorded trace a:b.csv", 75)


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "watts",
        "constant",
        "constant:",
        "constant:hot",
        "constant:0",
        "constant:nan",
        "replay",
        "replay:",
        "rapl:0",
        "nvml:",
        "NVML",
        "hwmon",
        "hwmon:",
        "hwmon:/VDD_IN",
        "scmi:0",
        "battery:BAT0",
        "pmic:",
    ],
)
def test_anything_but_a_meter_is_wrong_usage(spec: str) -> None:
    with pytest.raises(ValueError, match=r"is not a meter|needs a recorded trace|watts|name a chip|takes no argument"):
        find_meter(spec, "cuda:0")


def test_the_meters_here_are_entry_points_as_those_of_other_packages_are() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["ecosel.meters"]
    assert declared == OURS
    for value in OURS.values():
        assert callable(EntryPoint("a meter", value, GROUP).load())


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package with a meter of its own, and one that is broken."""
    (tmp_path / "fruit.py").write_text(
        "from profilers.meters.constant import ConstantMeter\n"
        "def open_meter(rest, device):\n    return ConstantMeter(float(rest or 7))\n"
    )
    installed = tmp_path / "fruit-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: fruit\nVersion: 1\n")
    (installed / "entry_points.txt").write_text(
        "[ecosel.meters]\nfruit = fruit:open_meter\nrotten = fruit:gone\nrapl = fruit:open_meter\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return installed


def test_a_meter_of_another_package_is_found_by_its_name(other_package: Path) -> None:
    found = find_meter("fruit:12", "cpu")
    assert not isinstance(found, NoMeter)
    assert found.read().power_w == 12
    with pytest.raises(ValueError, match=r"'pear' is not a meter; there are fruit, rotten, nvml, "):
        find_meter("pear", "cpu")
    with pytest.raises(MeterError, match=r"the meter rotten \(fruit:gone\) cannot be loaded: .*; reinstall its package"):
        find_meter("rotten", "cpu")


def test_another_package_cannot_take_the_place_of_a_meter_here(other_package: Path) -> None:
    with pytest.raises(ValueError, match="is not a meter; write rapl"):
        find_meter("rapl:7", "cpu")


def test_two_packages_with_one_name_are_refused(other_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = tmp_path / "more" / "tree-1.dist-info"
    second.mkdir(parents=True)
    (second / "METADATA").write_text("Metadata-Version: 2.1\nName: tree\nVersion: 1\n")
    (second / "entry_points.txt").write_text("[ecosel.meters]\nfruit = tree:open_meter\n")
    monkeypatch.syspath_prepend(second.parent)
    with pytest.raises(MeterError, match="several packages provide a meter fruit: "):
        find_meter("fruit", "cpu")


def test_rapl_is_read_below_another_folder_that_is_named(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=f"no RAPL on this machine .{tmp_path} has no package counter"):
        find_meter(f"rapl:{tmp_path}", "cpu")
