"""Hold the marks of a measurement: the times of its groups, the facts needed to derive their energy, and the derived figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from profilers.energy.intervals import Estimate
from profilers.energy.readings import Sensor
from profilers.meters.calibration import Calibration

# Consecutive groups start at this many evenly spaced phases of the sensor's update period, from a random phase.
PHASES = 5
# A sensor that sees a smaller share of the time is blind to parts of a load.
_ALL_SEEN = 0.9

Span = tuple[float, float]


@dataclass(frozen=True)
class Window:
    """Batches that ran back to back without synchronisation in between, and the number of images in them."""

    start_s: float
    end_s: float
    images: int
    lost: float | None = None  # share of the processor time needed by the process that others got

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Windows:
    """The facts needed, besides the readings, to derive the energy."""

    groups: tuple[Window, ...]
    meter: str  # name of the meter: nvml, rapl, replay, constant:65
    column: str | None  # column of the trace whose power is integrated: power_w, average_power_w, or none
    counter: bool  # whether the meter has an energy counter
    sensor: Sensor
    interval_s: float
    idle_cold: Span | None = None  # before the device was first used
    idle_warm: Span | None = None  # with the model resident
    idle_after: Span | None = None  # right after the last group
    others: tuple[Window, ...] = ()  # in between: groups of other models, or disturbed by other programs
    gain_error: float | None = None  # the meter's gain error against a reference, as a share
    offset_error_w: float | None = None
    calibration: Calibration | None = None
    pause_s: float | None = None  # least idleness before each group and after the last; None if not known to be idle

    @property
    def block(self) -> int:
        """Return how many consecutive groups are laid out together, for a sensor that does not see all of the time."""
        lagging = self.column is not None and self.pause_s is not None and self.sensor.lag_s > 0
        if not lagging or self.sensor.seen(self.interval_s) >= _ALL_SEEN:
            return 1
        blocks = [self.groups[first : first + PHASES] for first in range(0, len(self.groups), PHASES)]
        cut = any(block[0].start_s < other.start_s < block[-1].end_s for block in blocks for other in self.others)
        return 1 if cut else PHASES

    @property
    def turns(self) -> list[float] | None:
        """Return the sensor's phase at the start of each group, if a rhythm near that of the updates comes through the sensor.

        It does where a part of the time is not seen, and, weakly, where readings follow the power exponentially.
        """
        if self.column is None or self.pause_s is None or not (self.sensor.time_constant_s or self.block > 1):
            return None
        return [group.start_s / (self.sensor.update_period_s or self.interval_s) % 1 for group in self.groups]

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], /) -> Windows:
        """Read the result of `to_dict`, also from JSON; raise TypeError, KeyError or ValueError for anything else."""
        spans = {name: tuple(plain[name]) if plain[name] else None for name in ("idle_cold", "idle_warm", "idle_after")}
        groups = tuple(Window(**group) for group in plain["groups"])
        others = tuple(Window(**group) for group in plain.get("others", ()))
        if not groups or not all(group.images > 0 and group.end_s > group.start_s for group in groups):
            raise ValueError("a group is missing, or has no images or no time")
        calibration = Calibration(**plain["calibration"]) if plain.get("calibration") else None
        return cls(
            **{
                **plain,
                **spans,
                "calibration": calibration,
                "groups": groups,
                "others": others,
                "sensor": Sensor(**plain["sensor"]),
            }
        )


@dataclass(frozen=True)
class Counted:
    """Energy by a counter, or the reason why there is none."""

    estimate: Estimate | None = None
    reason: str | None = None
    beside: float | None = None  # counter divided by power beside the load, minus 1, if both are known there


@dataclass(frozen=True)
class Energy:
    """Joules per image from each source, with 95 % intervals; `reasons` explains every None."""

    source: str | None = None
    per_inference: Estimate | None = None
    counter: Estimate | None = None
    power: Estimate | None = None
    naive_j: float | None = None
    mean_power_w: float | None = None
    highest_reading_w: float | None = None  # not the true peak: 292 W where a meter saw 468 W in one millisecond
    idle_cold_w: float | None = None
    idle_warm_w: float | None = None
    idle_after_w: float | None = None
    above_idle_j: float | None = None  # per image, above the idle power with the model resident
    gain_error: float | None = None  # the meter's gain error, as a share; no repetition reveals it, no interval here includes it
    offset_error_w: float | None = None  # likewise its offset error at any load; the difference of two loads is free of it
    disagreement: float | None = None  # counter divided by integrated power, minus 1
    reasons: tuple[str, ...] = ()
    invalid: str | None = None
    warnings: tuple[str, ...] = ()

    def calibrated(self, calibration: Calibration, time_s: float, /) -> Energy:
        """Return every figure as a reference meter would have given it; `time_s` is the time per image."""

        def joules(value: float | None) -> float | None:
            return None if value is None else calibration.joules(value, time_s)

        def watts(value: float | None) -> float | None:
            return None if value is None else calibration.watts(value)

        def estimate(one: Estimate | None) -> Estimate | None:
            return None if one is None else Estimate(calibration.joules(one.value, time_s), joules(one.low), joules(one.high))

        return dataclasses.replace(
            self,
            per_inference=estimate(self.per_inference),
            counter=estimate(self.counter),
            power=estimate(self.power),
            naive_j=joules(self.naive_j),
            above_idle_j=None if self.above_idle_j is None else self.above_idle_j / calibration.gain,
            mean_power_w=watts(self.mean_power_w),
            highest_reading_w=watts(self.highest_reading_w),
            idle_cold_w=watts(self.idle_cold_w),
            idle_warm_w=watts(self.idle_warm_w),
            idle_after_w=watts(self.idle_after_w),
            gain_error=calibration.gain_error / calibration.gain,
            offset_error_w=calibration.offset_error_w / calibration.gain,
        )
