"""Use a hwmon chip (INA3221, INA238, amdgpu, xe, i915, ...) as a meter: a spec NAME[@ADDRESS][/LABEL] → rails.

The files: https://docs.kernel.org/hwmon/sysfs-interface.html. Power is µW, energy µJ, voltage mV, current mA.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from profilers.errors import MeterError
from profilers.meters.linux import jetson
from profilers.meters.linux.rails import Missing, Rail, Read, Supply, lock_name, number_in, word_in

_FILES = re.compile(r"(power|energy|in|curr)(\d+)_(input|average)")
# All ones in a field of the firmware's table means that there is no such reading (65,535 W, or 65.535 W).
_ABSENT_UW = {65_535, 65_535_000, 65_535_000_000}
# Channels 4 to 7 of an INA3221 are shunt voltages, and sums over possibly unequal shunts.
_INA3221_CHANNELS = {"1", "2", "3"}


@dataclass(frozen=True, slots=True)
class Channel:
    """One measured supply of a chip: its files by kind, such as {"power_input": path}."""

    chip: Chip
    number: str
    label: str | None
    files: dict[str, Path]

    @property
    def names(self) -> set[str]:
        """Return the names by which users may refer to it."""
        kinds = {kind.partition("_")[0] for kind in self.files}
        return {f"{kind}{self.number}" for kind in kinds} | ({self.label} if self.label else set())

    @property
    def name(self) -> str:
        return self.label or min(self.names)

    def rail(self) -> Rail:
        files = self.files
        product: Read | None = None
        if "in_input" in files and "curr_input" in files:
            product = _volts_times_amperes(files["in_input"], files["curr_input"])
        return Rail(
            self.name,
            power_w=_watts(files["power_input"]) if "power_input" in files else product,
            average_power_w=_watts(files["power_average"]) if "power_average" in files else None,
            energy_j=_joules(files["energy_input"]) if "energy_input" in files else None,
        )


@dataclass(frozen=True, slots=True)
class Chip:
    """One hwmon folder: the driver's name, and the address of the device, which stays the same if the folder's number changes."""

    name: str
    address: str
    folder: Path


def _watts(file: Path) -> Read:
    def read() -> float:
        power_uw = number_in(file)
        if power_uw in _ABSENT_UW:
            raise MeterError(f"{file} says {power_uw}, which means no reading")
        return power_uw / 1e6

    return read


def _joules(file: Path) -> Read:
    return lambda: number_in(file) / 1e6


def _volts_times_amperes(volts: Path, amperes: Path) -> Callable[[], float]:
    return lambda: number_in(volts) * number_in(amperes) / 1e6  # mV · mA = µW


def chips(root: Path) -> list[Chip]:
    """List the hwmon chips of a machine, in numerical order."""
    found = []
    folders = (root / "sys/class/hwmon").glob("hwmon*")
    for hwmon in sorted(folders, key=lambda folder: (len(folder.name), folder.name)):
        # drivers older than Linux 3.13 keep their files in device/
        folder = next((one for one in (hwmon, hwmon / "device") if (one / "name").is_file()), hwmon)
        if name := word_in(folder / "name"):
            device = hwmon / "device"
            found.append(Chip(name, device.resolve().name if device.exists() else hwmon.name, folder))
    return found


def channels(chip: Chip) -> Iterator[Channel]:
    """Yield the rails whose power or energy a chip measures, without channels that are disabled or not connected."""
    found: dict[tuple[str, str | None], dict[str, Path]] = {}
    numbers: dict[str, dict[str, Path]] = {}
    for file in sorted(chip.folder.iterdir()):
        if (match := _FILES.fullmatch(file.name)) is None:
            continue
        kind, number, form = match.groups()
        if kind in ("power", "energy"):
            label = word_in(chip.folder / f"{kind}{number}_label")
            found.setdefault((number, label), {})[f"{kind}_{form}"] = file
        elif chip.name.startswith("ina3221") and number in _INA3221_CHANNELS and form == "input":
            numbers.setdefault(number, {})[f"{kind}_input"] = file
    for number, files in numbers.items():
        label = word_in(chip.folder / f"in{number}_label")
        off = word_in(chip.folder / f"in{number}_enable") == "0"
        if len(files) == 2 and not off and not (label or "").startswith(("NC", "sum of shunt")):
            found[number, label] = files
    for (number, label), files in found.items():
        yield Channel(chip, number, label, files)


def supply(which: str, root: Path) -> Supply:
    """Choose the rails that a spec denotes; raise MeterError if several fit and the choice is unclear."""
    name, slash, label = which.partition("/")
    name, at, address = name.partition("@")
    if not name or (slash and not label) or (at and not address):
        raise ValueError(f"hwmon:{which}: name a chip, such as hwmon:amdgpu, hwmon:amdgpu@0000:03:00.0 or hwmon:ina3221/VDD_IN")
    if name.startswith("ucsi-source-psy"):
        raise MeterError(f"hwmon:{which} is the power that a USB-C supply offers, not the power drawn")
    there = chips(root)
    chosen = [chip for chip in there if chip.name == name and (not at or chip.address == address)]
    every = [channel for chip in chosen for channel in channels(chip)]
    if not every:
        able = sorted({chip.name for chip in there if any(channels(chip)) and not chip.name.startswith("ucsi")})
        raise Missing(f"hwmon:{which}: no such chip reports power here; those that do: {', '.join(able) or 'none'}")
    if slash:
        picked, of = [channel for channel in every if label in channel.names], label
        if not picked:
            raise MeterError(f"hwmon:{which}: {name} has no {label}; it has {_listed(every)}")
    else:
        picked, of = _whole(name, every)
    if len(picked) != len({channel.name for channel in picked}) or (slash and len(picked) > 1):
        places = ", ".join(f"hwmon:{name}@{chip.address}{slash}{label}" for chip in dict.fromkeys(one.chip for one in picked))
        raise MeterError(f"hwmon:{which} matches several chips; name one of {places}")
    return _as_supply(name, picked, of)


def _whole(name: str, every: list[Channel]) -> tuple[list[Channel], str]:
    """Return the channels that make up the whole without counting anything twice, and a description of them."""
    if (whole := jetson.whole([channel.name for channel in every])) is not None:
        labels, words = whole
        return [channel for channel in every if channel.name in labels], words
    if name in ("xe", "i915"):
        return _intel(every)
    if len({channel.name for channel in every}) == 1:
        return every, every[0].name
    raise MeterError(
        f"hwmon:{name} has {_listed(every)}, and it is unknown which of them include others; name one, "
        f"such as hwmon:{name}/{every[0].name}"
    )


def _intel(every: list[Channel]) -> tuple[list[Channel], str]:
    """Take the card's counter, which includes the package's; some boards have only the package's."""
    card = [channel for channel in every if "energy1" in channel.names]
    if card:
        return card, "the card"
    return every, "the package, not the whole card"


def _listed(every: list[Channel]) -> str:
    return ", ".join(dict.fromkeys(channel.name for channel in every))


def _as_supply(name: str, picked: list[Channel], of: str) -> Supply:
    places = list(dict.fromkeys(channel.chip for channel in picked))
    notes: list[str] = []
    if name == "amdgpu":
        apu = any(word_in(chip.folder / "in1_label") == "vddnb" for chip in places)
        of = "the APU, including its CPU" if apu else "the GPU's board"
    window_ms = [_milliseconds(channel) for channel in picked]
    window_s = max(told) / 1e3 if (told := [one for one in window_ms if one]) else None
    if window_s is None:
        notes.append("the driver reports no averaging window")
    return Supply(
        name="hwmon",
        uuid=lock_name("hwmon", name, *(chip.address for chip in places)),
        scope=f"{of} ({name} at {', '.join(chip.address for chip in places)})",
        rails=tuple(channel.rail() for channel in picked),
        period_s=window_s,
        window_s=window_s,
        notes=tuple(notes),
    )


def _milliseconds(channel: Channel) -> int:
    """Return the averaging window that the driver reports, or 0."""
    for name in (f"power{channel.number}_average_interval", "update_interval"):
        text = word_in(channel.chip.folder / name)
        if text is not None and text.isdecimal() and int(text) > 0:
            return int(text)
    return 0
