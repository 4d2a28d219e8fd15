"""Combine the energy counters of Linux RAPL (packages and their DRAM) into one counter in joules.

The word before the colon names a warning: `rapl-error`, `counter-backward`, `counter-wrapped`, `counter-frozen`.
The files: https://docs.kernel.org/power/powercap/powercap.html
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from profilers.errors import MeterError
from profilers.meters.base import Capabilities, Conditions, Reading
from profilers.meters.counter import GrowingCounter, first_to_grow

if TYPE_CHECKING:
    pass

ROOT = Path("/sys/class/powercap")

# No socket draws this much: a larger step is a fault rather than a wrap, and a longer gap may hide a whole turn.
_BELIEVABLE_W = 1_000.0


class _Zone:
    """One counter of microjoules that restarts after `range_uj`, unwrapped."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.path = folder / "energy_uj"
        self._range_uj = int((folder / "max_energy_range_uj").read_text())
        self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self._turns_uj = 0
        self._last_uj: int | None = None
        self._last_s = 0.0

    def read(self, now_s: float) -> int:
        """Return microjoules; raise a named MeterError if the turns of the counter cannot be determined."""
        raw_uj = int(os.pread(self._file, 64, 0))
        if self._last_uj is not None:
            gap_s = now_s - self._last_s
            if gap_s * _BELIEVABLE_W * 1e6 >= self._range_uj:
                raise MeterError(f"counter-wrapped: {self.name} was not read for {gap_s:.0f} s and may have wrapped unnoticed")
            if raw_uj < self._last_uj:
                step_uj = raw_uj - self._last_uj + self._range_uj
                if not 0 <= step_uj <= (gap_s + 1) * _BELIEVABLE_W * 1e6:
                    raise MeterError(f"counter-backward: {self.name} fell from {self._last_uj} to {raw_uj} uJ")
                self._turns_uj += self._range_uj
        self._last_uj, self._last_s = raw_uj, now_s
        return raw_uj + self._turns_uj

    def close(self) -> None:
        with suppress(OSError):
            os.close(self._file)


class RaplMeter:
    """Reads the energy of all processor packages and, if readable, of their DRAM.

    RAPL has a counter but no power: power is None, and only differences of `energy_j` have a meaning.
    Raises MeterError if there is no RAPL, if it may not be read, or if it does not move.
    """

    name = "rapl"
    uuid = "cpu"  # two runs on one machine draw from the same packages

    def __init__(
        self,
        root: Path = ROOT,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._broken: str | None = None
        self._counter = GrowingCounter()
        self._zones, self._notes = _open_zones(root)
        for zone in list(self._zones):
            if not self._grows(zone, pause):
                self._drop(zone)

    @property
    def scope(self) -> str:
        return " + ".join(zone.name for zone in self._zones)

    def capabilities(self) -> Capabilities:
        return Capabilities(power=False, average_power=False, energy=True, notes=tuple(self._notes))

    def _grows(self, zone: _Zone, pause: Callable[[float], None]) -> bool:
        return first_to_grow(lambda: [zone.read(self._clock())], pause=pause) is not None

    def _drop(self, zone: _Zone) -> None:
        """Leave out counters that do not move; in a virtual machine, none does."""
        if not zone.name.endswith("dram"):
            self.close()
            raise MeterError(f"the RAPL counter {zone.path} does not move; this may be a virtual machine")
        zone.close()
        self._zones.remove(zone)
        self._notes.append(f"the energy excludes {zone.name}: its counter does not move")

    def read(self) -> Reading:
        start_s = self._clock()
        try:
            total_uj = sum(zone.read(start_s) for zone in self._zones)
        except (OSError, ValueError) as error:
            raise MeterError(f"rapl-error: {self.scope} cannot be read: {error}") from error
        except MeterError as error:
            self._broken = self._broken or str(error)  # the loss is unknown, so no later difference can be trusted
            total_uj = 0
        end_s = self._clock()
        energy_j, warning = (None, self._broken) if self._broken else self._counter.check(total_uj / 1e6, start_s, end_s)
        return Reading(
            time_s=(start_s + end_s) / 2,
            duration_s=end_s - start_s,
            energy_j=energy_j,
            warnings=() if warning is None else (warning,),
        )

    def conditions(self) -> Conditions:
        return Conditions()

    def close(self) -> None:
        for zone in self._zones:
            zone.close()
        self._zones = []


def _open_zones(root: Path) -> tuple[list[_Zone], list[str]]:
    """Open every package and DRAM counter, but not psys, which counts the packages once more."""
    wanted = {folder: name for folder in sorted(root.glob("intel-rapl:*")) if (name := _zone_name(folder))}
    if all(name.endswith("dram") for name in wanted.values()):
        raise MeterError(f"no RAPL on this machine ({root} has no package counter)")
    zones: list[_Zone] = []
    notes: list[str] = []
    for folder, name in wanted.items():
        try:
            zones.append(_Zone(folder, name))
        except PermissionError:
            if not name.endswith("dram"):
                _close(zones)
                raise MeterError(
                    f"the RAPL counter {folder / 'energy_uj'} can be read only by root; "
                    f"allow it until the next reboot with: sudo chmod a+r {root}/intel-rapl:*/energy_uj"
                ) from None
            notes.append(f"the energy excludes {name}: only root can read its counter")
        except (OSError, ValueError) as error:
            _close(zones)
            raise MeterError(f"the RAPL counter {folder / 'energy_uj'} cannot be read: {error}") from error
    if not any(name.endswith("dram") for name in wanted.values()):
        notes.append("the energy excludes DRAM: RAPL has no counter for it here")
    return zones, notes


def _zone_name(folder: Path) -> str | None:
    """Return "package-0" or "package-0 dram", or None for a zone that is not included."""
    try:
        name = (folder / "name").read_text().strip()
        if name.startswith("package"):
            return name
        if name == "dram":
            parent = folder.parent / folder.name.rpartition(":")[0]
            return f"{(parent / 'name').read_text().strip()} dram"
    except OSError:
        return None
    return None


def open_meter(rest: str, device: str) -> RaplMeter:
    if rest and not rest.startswith("/"):
        raise ValueError(f"rapl:{rest} is not a meter; write rapl, or rapl:/host/sys/class/powercap for counters elsewhere")
    return RaplMeter(Path(rest)) if rest else RaplMeter()


def _close(zones: list[_Zone]) -> None:
    for zone in zones:
        zone.close()


def processor_name() -> str:
    with suppress(OSError, StopIteration), open("/proc/cpuinfo") as file:
        return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    return platform.processor() or platform.machine()
