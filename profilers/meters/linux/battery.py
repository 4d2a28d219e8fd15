"""Use the batteries of a laptop as a meter, which reads only while they discharge: /sys/class/power_supply → watts.

power_now is µW, current_now µA, voltage_now µV; drivers differ in the sign of a battery's current, so the sign is ignored.
"""

from __future__ import annotations

from pathlib import Path

from profilers.errors import MeterError
from profilers.meters.linux.rails import Missing, Rail, Supply, number_in, word_in

# Firmware updates the reading of a battery every second to half a minute.
_PATIENCE_S = 45.0


def supply(root: Path) -> Supply:
    """Add up the batteries that power the machine; raise MeterError unless they do so now."""
    batteries = [folder for folder in sorted((root / "sys/class/power_supply").glob("*")) if _feeds_the_machine(folder)]
    if not batteries:
        raise Missing("this machine has no battery")
    _discharging(batteries)
    return Supply(
        name="battery",
        uuid="battery",
        scope=f"the whole machine with its screen, from {' + '.join(folder.name for folder in batteries)}",
        rails=(Rail("batteries", power_w=lambda: _watts(batteries)),),
        notes=("a battery is a meter only while it discharges: keep the mains unplugged",),
        patience_s=_PATIENCE_S,
    )


def _feeds_the_machine(folder: Path) -> bool:
    """Tell whether a supply is a battery of the machine, not the mains or a battery of a mouse or phone."""
    if word_in(folder / "type") != "Battery" or word_in(folder / "scope") == "Device":
        return False
    return word_in(folder / "present") != "0"


def _discharging(batteries: list[Path]) -> list[Path]:
    """Return the discharging batteries: one of two may rest, but none may charge."""
    status = {folder: word_in(folder / "status") or "Unknown" for folder in batteries}
    giving = [folder for folder, word in status.items() if word == "Discharging"]
    if not giving or "Charging" in status.values():
        told = ", ".join(f"{folder.name} is {word}" for folder, word in status.items())
        raise MeterError(f"the battery is a meter only while it discharges ({told}); unplug the mains")
    return giving


def _watts(batteries: list[Path]) -> float:
    return sum(_power_uw(folder) for folder in _discharging(batteries)) / 1e6


def _power_uw(folder: Path) -> float:
    if (folder / "power_now").exists():
        return abs(number_in(folder / "power_now"))
    if (folder / "current_now").exists() and (folder / "voltage_now").exists():
        return abs(number_in(folder / "current_now")) * number_in(folder / "voltage_now") / 1e6  # µA · µV = pW
    raise MeterError(f"{folder} reports neither its power nor its current and voltage")
