"""Provide a meter that always reads a declared number of watts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from profilers.meters.base import Capabilities, Conditions, Reading


class ConstantMeter:
    """A declared power: assumed, never measured."""

    def __init__(self, power_w: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        if not (math.isfinite(power_w) and power_w > 0):
            raise ValueError(f"constant:{power_w:g}: an assumed power is a positive number of watts")
        self._power_w = float(power_w)
        self._clock = clock

    @property
    def name(self) -> str:
        return f"constant:{self._power_w:.12g}"

    @property
    def scope(self) -> str:
        return f"an assumed {self._power_w:.12g} W, not measured"

    def capabilities(self) -> Capabilities:
        return Capabilities(
            power=True,
            average_power=False,
            energy=False,
            update_period_s=0.0,  # what is declared trails nothing
            averaging_window_s=0.0,
            assumed=True,
            notes=("the power is assumed, not measured",),
        )

    def read(self) -> Reading:
        return Reading(time_s=self._clock(), duration_s=0.0, power_w=self._power_w)

    def conditions(self) -> Conditions:
        return Conditions()

    def close(self) -> None:
        """Do nothing, as nothing is open."""


def open_meter(rest: str, device: str) -> ConstantMeter:
    try:
        power_w = float(rest)
    except ValueError:
        raise ValueError(f"'constant:{rest}': constant:WATTS takes a number of watts, such as constant:65") from None
    return ConstantMeter(power_w)
