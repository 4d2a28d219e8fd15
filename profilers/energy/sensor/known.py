"""Which reading of a meter is integrated, and how it trails the power: what meter and board tell, or are known to do."""

from __future__ import annotations

from dataclasses import replace

from profilers.energy.readings import Sensor
from profilers.meters import NoMeter
from profilers.meters.base import PowerMeter
from profilers.meters.known_boards import known_lag

# An update period and an averaging window that hold for a board that does not tell them: the slowest that are known.
_UNKNOWN_SENSOR = Sensor(0.1, 0.1, assumed=True)
_AVERAGING_S = 1.0


def sensor_of(meter: PowerMeter | NoMeter, /, *, period_s: float | None = None) -> tuple[str | None, Sensor]:
    """Return the column of a trace whose power is to be integrated, and how that reading lags; `period_s` was found."""
    can = meter.capabilities()
    if can.column is None:
        return None, Sensor()
    usual = _UNKNOWN_SENSOR if can.power else Sensor(_UNKNOWN_SENSOR.update_period_s, _AVERAGING_S)
    lag = known_lag(getattr(getattr(meter, "board", None), "name", "")) if can.power else None
    if lag is not None:
        usual = Sensor(lag.update_period_s, lag.averaging_window_s, lag.time_constant_s)
    stated_s = period_s if period_s is not None else can.update_period_s
    sensor = replace(
        usual,
        update_period_s=usual.update_period_s if stated_s is None else stated_s,
        averaging_window_s=usual.averaging_window_s if can.averaging_window_s is None else can.averaging_window_s,
        assumed=usual.assumed and can.averaging_window_s is None,
    )
    return can.column, sensor
