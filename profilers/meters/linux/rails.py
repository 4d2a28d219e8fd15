"""Add up several rails into one meter, which opens only after two different, plausible readings.

The word before the colon names a warning: `rail-error`, `power-unbelievable`, `counter-frozen`, `counter-backward`.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from profilers.errors import MeterError
from profilers.meters.base import Capabilities, Conditions, Reading
from profilers.meters.counter import GrowingCounter

UNSEEN = "not verified on hardware yet: tested only on copies of the kernel's files; compare it with a wall meter first"

# Nothing that these meters read draws this much; a larger number must be in the wrong unit.
_MOST_W = 2_000.0
_LOOKS = 400  # number of polls within the time in which a reading must change
_CHANGES = 3
_SLOW_S = 1.0

Read = Callable[[], float]


class Missing(MeterError):  # noqa: N818
    """This machine lacks the hardware that the meter reads."""


@dataclass(frozen=True, slots=True)
class Rail:
    """One supply, and how to read it in watts or joules; both raise MeterError or OSError if it cannot be read."""

    label: str
    power_w: Read | None = None
    average_power_w: Read | None = None
    energy_j: Read | None = None

    def reads(self, kind: str) -> Read | None:
        read: Read | None = getattr(self, kind)
        return read


@dataclass(frozen=True, slots=True)
class Supply:
    """The rails of one meter, and notes about them for readers."""

    name: str  # hwmon, scmi, battery, pmic
    uuid: str  # two runs that read the same rails wait for one another
    scope: str
    rails: tuple[Rail, ...]
    period_s: float | None = None  # as reported by the driver; otherwise observed while the meter opens
    window_s: float | None = None
    notes: tuple[str, ...] = ()
    patience_s: float = 2.0  # time within which the reading must change


class RailMeter:
    """The sum of the rails of a supply: power, averaged power and a counter, each if every rail has it.

    Raises MeterError unless, within `patience_s`, two readings are plausible (0 to 2 kW, a growing counter) and different.
    """

    def __init__(
        self, supply: Supply, *, clock: Callable[[], float] = time.monotonic, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._supply = supply
        self._clock = clock
        self._counter = GrowingCounter()
        kinds = ("power_w", "average_power_w", "energy_j")
        self._kinds = [kind for kind in kinds if all(rail.reads(kind) for rail in supply.rails)]
        changed_s = self._watch(pause)
        self._kinds = [kind for kind in self._kinds if changed_s[kind]]
        gaps_s = [after - before for kind in self._kinds if kind != "energy_j" for before, after in _pairs(changed_s[kind])]
        self._seen_s = sorted(gaps_s)[len(gaps_s) // 2] if gaps_s else supply.patience_s

    @property
    def name(self) -> str:
        return self._supply.name

    @property
    def uuid(self) -> str:
        return self._supply.uuid

    @property
    def scope(self) -> str:
        return self._supply.scope

    def capabilities(self) -> Capabilities:
        told = self._supply
        notes = (*told.notes, UNSEEN)
        power = "power_w" in self._kinds or "average_power_w" in self._kinds
        if power and told.period_s is None:
            notes = (f"updates about every {self._seen_s:.2g} s, as observed when it was opened", *notes)
        return Capabilities(
            power="power_w" in self._kinds,
            average_power="average_power_w" in self._kinds,
            energy="energy_j" in self._kinds,
            update_period_s=None if not power else self._seen_s if told.period_s is None else told.period_s,
            # a slow reading is assumed to be the mean since the previous one
            averaging_window_s=self._seen_s if told.window_s is None and power and self._seen_s > _SLOW_S else told.window_s,
            notes=notes,
        )

    def read(self) -> Reading:
        start_s = self._clock()
        numbers: dict[str, float | None] = {}
        warnings: list[str] = []
        for kind in self._kinds:
            try:
                numbers[kind] = self._sum(kind)
            except (MeterError, OSError, ValueError) as error:
                warnings.append(f"rail-error: {error}")
        end_s = self._clock()
        if not numbers:
            raise MeterError(f"{self.scope} cannot be read: {'; '.join(dict.fromkeys(warnings))}")
        if (counted_j := numbers.get("energy_j")) is not None:
            numbers["energy_j"], warning = self._counter.check(counted_j, start_s, end_s)
            warnings += [warning] if warning else []
        for kind, power_w in numbers.items():
            if kind != "energy_j" and power_w is not None and not _believable(power_w):
                warnings.append(f"power-unbelievable: {self.scope} says {power_w:g} W")
                numbers[kind] = None
        return Reading(
            time_s=(start_s + end_s) / 2,
            duration_s=end_s - start_s,
            power_w=numbers.get("power_w"),
            average_power_w=numbers.get("average_power_w"),
            energy_j=numbers.get("energy_j"),
            warnings=tuple(dict.fromkeys(warnings)),
        )

    def conditions(self) -> Conditions:
        return Conditions()

    def close(self) -> None:
        """Do nothing, as every reading reopens its files."""

    def _sum(self, kind: str) -> float:
        """Add up all rails; a sum without one of them would silently be too small."""
        return sum(read() for rail in self._supply.rails if (read := rail.reads(kind)) is not None)

    def _watch(self, pause: Callable[[float], None]) -> dict[str, list[float]]:
        """Read until every quantity has changed a few times, or time is over; return the times of the changes."""
        last: dict[str, float] = {}
        changed_s: dict[str, list[float]] = {kind: [] for kind in self._kinds}
        trouble = f"{self.scope} reports neither power nor energy"
        end_s = self._clock() + self._supply.patience_s
        while self._clock() < end_s and any(len(times) <= _CHANGES for times in changed_s.values()):
            for kind in self._kinds:
                try:
                    number = self._sum(kind)
                except (MeterError, OSError, ValueError) as error:
                    trouble = f"{self.scope} cannot be read: {error}"
                    continue
                if kind != "energy_j" and not _believable(number):
                    trouble = f"{self.scope} reads {number:g} W, which is impossible"
                    continue
                if kind in last and (number > last[kind] if kind == "energy_j" else number != last[kind]):
                    changed_s[kind].append(self._clock())
                elif kind in last and not changed_s[kind]:
                    unit = "J" if kind == "energy_j" else "W"
                    trouble = f"{self.scope} stood still at {number:.6g} {unit} for {self._supply.patience_s:g} s"
                last[kind] = number
            pause(self._supply.patience_s / _LOOKS)
        if not any(changed_s.values()):
            raise MeterError(trouble)
        return changed_s


def _pairs(times: list[float]) -> Iterator[tuple[float, float]]:
    return itertools.pairwise(times)


def _believable(power_w: float) -> bool:
    return 0 < power_w < _MOST_W


def number_in(path: Path) -> int:
    """Read one integer from a file of the kernel."""
    text = path.read_text().strip()
    try:
        return int(text)
    except ValueError:
        raise MeterError(f"{path} holds {text[:40]!r}, not a number") from None


def word_in(path: Path) -> str | None:
    """Read one word from a file of the kernel; None if there is none."""
    try:
        return path.read_text(errors="replace").strip() or None
    except OSError:
        return None


def lock_name(*words: str) -> str:
    """Return a valid name for a lock."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(words))[:200]
