"""A machine without meters says why, and a spec that is none is wrong usage."""

from __future__ import annotations

from pathlib import Path

import pytest

from profilers.errors import MeterError
from profilers.meters import NoMeter, find_meter


def test_a_device_without_a_meter_says_what_else_can_be_done() -> None:
    found = find_meter(None, "mps")
    assert found == NoMeter("no meter is known for the device mps; --meter constant:WATTS assumes a power")


def test_a_cpu_has_rapl_or_the_reason_why_not() -> None:
    found = find_meter(None, "cpu")
    if isinstance(found, NoMeter):
        assert found.reason.endswith("; --meter constant:WATTS assumes a power")
        with pytest.raises(MeterError) as error:  # asked for by name, the same reason ends the command
            find_meter("rapl", "cpu")
        assert found.reason.startswith(str(error.value))
    else:
        assert found.name == "rapl"
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
    ],
)
def test_what_is_no_meter_is_wrong_usage(spec: str) -> None:
    with pytest.raises(ValueError, match=r"is no meter|watts"):
        find_meter(spec, "cuda:0")
