"""Use Arm SCMI power zones (/sys/class/powercap/arm-scmi:*), which may be nested, as a meter.

A zone has `power_uw` in microwatts, averaged by the firmware over an unknown time, and no `energy_uj`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from profilers.errors import MeterError
from profilers.meters.linux.rails import Missing, Rail, Read, Supply, number_in, word_in


def supply(root: Path) -> Supply:
    """Take each outermost zone that can be read; in place of one that cannot, take the zones inside it."""
    powercap = root / "sys/class/powercap"
    zones = {folder.name: folder for folder in sorted(powercap.glob("arm-scmi:*"))}
    if not zones:
        raise Missing(f"no SCMI power zones on this machine ({powercap} has no arm-scmi)")
    tops = [name for name in zones if name.rpartition(":")[0] not in zones]
    silent: list[str] = []
    chosen = [zone for name in tops for zone in _readable(zones, name, silent)]
    if not chosen:
        raise MeterError(f"the SCMI power zones cannot be read ({', '.join(silent)}): the firmware does not monitor power")
    names = [_called(zones[zone]) for zone in chosen]
    missing = f"; not metered: {', '.join(silent)}" if silent else ""
    return Supply(
        name="scmi",
        uuid="cpu",
        scope=f"SCMI power of {' + '.join(names)}{missing}",
        rails=tuple(
            Rail(name, average_power_w=_watts(zones[zone] / "power_uw")) for zone, name in zip(chosen, names, strict=True)
        ),
        notes=("the firmware averages over an unknown time",),
    )


def _readable(zones: dict[str, Path], name: str, silent: list[str]) -> Iterator[str]:
    """Yield a zone, or those inside it; add to `silent` the parts that no zone covers."""
    try:
        number_in(zones[name] / "power_uw")
    except (OSError, MeterError):
        inside = [zone for zone in zones if zone.rpartition(":")[0] == name]
        if not inside:
            silent.append(_called(zones[name]))
        for zone in inside:
            yield from _readable(zones, zone, silent)
        return
    yield name


def _called(folder: Path) -> str:
    return word_in(folder / "name") or folder.name


def _watts(file: Path) -> Read:
    return lambda: number_in(file) / 1e6
