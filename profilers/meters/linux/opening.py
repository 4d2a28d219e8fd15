"""Open the meters of this room by their specs, and find the default meter of a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from profilers.errors import MeterError
from profilers.meters.linux import battery, hwmon, jetson, pmic, scmi
from profilers.meters.linux.rails import Missing, RailMeter, Supply

ROOT = Path("/")

# GPUs with a meter here but not in NVML; ecosel devices lists them beside the processor.
_GPUS = ("amdgpu", "xe", "i915")


def open_hwmon(rest: str, device: str) -> RailMeter:
    return RailMeter(hwmon.supply(rest, ROOT))


def open_scmi(rest: str, device: str) -> RailMeter:
    return RailMeter(_alone("scmi", rest, lambda: scmi.supply(ROOT)))


def open_battery(rest: str, device: str) -> RailMeter:
    return RailMeter(_alone("battery", rest, lambda: battery.supply(ROOT)))


def open_pmic(rest: str, device: str) -> RailMeter:
    return RailMeter(_alone("pmic", rest, pmic.supply))


def _alone(kind: str, rest: str, supply: Callable[[], Supply]) -> Supply:
    if rest:
        raise ValueError(f"{kind}:{rest}: {kind} takes no argument")
    return supply()


def default_meter(device: str) -> RailMeter | tuple[str, ...]:
    """Open the first meter of this room that serves a device, or state why those found do not.

    On a Jetson, the module's monitors serve the processor and the GPU. A battery comes last, as it reads the whole machine.
    """
    ways: list[Callable[[], RailMeter]] = []
    if jetson.is_tegra(ROOT):
        ways += [lambda: open_hwmon("ina238", device), lambda: open_hwmon("ina3221", device)]
    if device == "cpu":
        ways += [lambda: open_scmi("", device), lambda: open_pmic("", device), lambda: open_battery("", device)]
    reasons = []
    for way in ways:
        try:
            return way()
        except Missing:
            continue
        except MeterError as error:
            reasons.append(str(error))
    return tuple(reasons)


def gpus() -> Iterator[tuple[str, str]]:
    """Yield the spec and a name for each GPU whose power a hwmon chip reports."""
    for chip in hwmon.chips(ROOT):
        if chip.name in _GPUS and any(True for _ in hwmon.channels(chip)):
            yield f"hwmon:{chip.name}@{chip.address}", f"{chip.name} GPU at {chip.address}"
