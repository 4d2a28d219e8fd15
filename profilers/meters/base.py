"""Define the readings of meters, and the protocol that all meters follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reading:
    """A meter's readings at one moment, in SI units; None if missing, never 0.

    `time_s` is `time.monotonic()` at the middle of the call, `duration_s` the length of the call.
    `power_time_s` and `energy_time_s` are the driver's own stamps, in seconds on the driver's clock.
    """

    time_s: float
    duration_s: float
    power_w: float | None = None  # instant power
    average_power_w: float | None = None  # power averaged by the board itself
    energy_j: float | None = None  # a counter that only grows; only its differences have a meaning
    power_time_s: float | None = None
    energy_time_s: float | None = None
    warnings: tuple[str, ...] = ()  # why a number that the meter usually gives is missing


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions that may explain a power reading; None if the meter does not report them."""

    temperature_c: float | None = None
    clock_hz: float | None = None
    slowdowns: tuple[str, ...] | None = None  # reasons, other than idleness, why the clock is held down: "power-cap", ...
    other_processes: int | None = None  # other compute processes on the board


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The quantities that a meter was found, by probing, to read."""

    power: bool
    average_power: bool
    energy: bool
    update_period_s: float | None = None  # of power, if known
    averaging_window_s: float | None = None  # of the power that would be integrated, if known
    gain_error: float | None = None  # gain error of power and counter, as a share, which no repetition reveals
    offset_error_w: float | None = None
    assumed: bool = False  # a declared power: there is no sensor to wait for
    notes: tuple[str, ...] = ()  # missing quantities and why, or what a number covers ("shared by 3 MIG instances")

    @property
    def column(self) -> str | None:
        """Return the column of a trace whose power is to be integrated."""
        return "power_w" if self.power else "average_power_w" if self.average_power else None


class PowerMeter(Protocol):
    """Reads power or energy of one board, package or recording."""

    @property
    def name(self) -> str:
        """Return the meter's name in outputs: `nvml`, `rapl`, `replay`, `constant:65`."""

    @property
    def scope(self) -> str:
        """Return the scope of the power in words: "board GPU-1234 (NVIDIA A100)"."""

    def capabilities(self) -> Capabilities: ...

    def read(self) -> Reading:
        """Read once; raise MeterError if nothing at all can be read."""

    def conditions(self) -> Conditions: ...

    def close(self) -> None: ...
