"""What a meter can say, and the protocol that all meters follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reading:
    """What a meter says at one moment, in SI units; None if it does not say it, never 0 for missing.

    `time_s` is `time.monotonic()` at the middle of the call, `duration_s` how long the call took.
    `power_time_s` and `energy_time_s` are the driver's own stamps, in seconds on the driver's clock.
    """

    time_s: float
    duration_s: float
    power_w: float | None = None  # instant power
    average_power_w: float | None = None  # power averaged by the board itself
    energy_j: float | None = None  # a counter that only grows; only differences mean anything
    power_time_s: float | None = None
    energy_time_s: float | None = None
    warnings: tuple[str, ...] = ()  # why a number that the meter has elsewhere is missing here


@dataclass(frozen=True, slots=True)
class Conditions:
    """What may explain a power reading; None if the meter does not say it."""

    temperature_c: float | None = None
    clock_hz: float | None = None
    slowdowns: tuple[str, ...] | None = None  # reasons, other than idleness, that hold the clock down: "power-cap", ...
    other_processes: int | None = None  # compute processes of others on the board


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a meter was found, by probing, to be able to read."""

    power: bool
    average_power: bool
    energy: bool
    update_period_s: float | None = None  # of power, where known
    averaging_window_s: float | None = None  # of the power that would be integrated, where known
    gain_error: float | None = None  # of power and counter against a reference meter, as a share: what no repetition shows
    offset_error_w: float | None = None
    notes: tuple[str, ...] = ()  # what is missing and why, or what the number covers ("shared by 3 MIG instances")

    @property
    def column(self) -> str | None:
        """Return the column of a trace whose power is to be integrated."""
        return "power_w" if self.power else "average_power_w" if self.average_power else None


class PowerMeter(Protocol):
    """Power or energy of one board, package or recording."""

    @property
    def name(self) -> str:
        """Return the meter's name in outputs: `nvml`, `rapl`, `replay`, `constant:65`."""

    @property
    def scope(self) -> str:
        """Return the scope of the power in words: "board GPU-1234 (NVIDIA A100)"."""

    def capabilities(self) -> Capabilities: ...

    def read(self) -> Reading:
        """Read once. Raise MeterError if nothing at all can be read."""

    def conditions(self) -> Conditions: ...

    def close(self) -> None: ...
