"""Describe how readings lag behind the power; integrate them; find the joules between two ticks of a counter.

Real sensors: Yang et al. 2023 (arXiv 2312.02741). Averaging and exponential response both delay power but conserve its area.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from profilers.errors import WindowTooShort
from profilers.meters import NoMeter
from profilers.meters.base import PowerMeter
from profilers.meters.known_boards import known_lag

Floats = NDArray[np.float64]

# Number of samples integrated at once, so that the differences stay in the cache.
_BLOCK = 1 << 13
# The smallest share of an update period that any known sensor sees (A100: 25 of 101 ms).
_LEAST_SEEN = 0.25
# As a share of the poll interval: an update period longer by only this counts as equal to it.
_SLACK = 0.005

# Averaging window in seconds of an averaged power that does not report its own.
_AVERAGING_S = 1.0


@dataclass(frozen=True)
class Sensor:
    """The lag of a power reading behind the power, in seconds.

    The reading changes every update period. It is the mean over the averaging window before, or follows the power exponentially
    with a time constant. `assumed`: usual figures, for a board that does not state its own.
    """

    update_period_s: float = 0.0
    averaging_window_s: float = 0.0
    time_constant_s: float = 0.0
    assumed: bool = False

    @property
    def lag_s(self) -> float:
        """Return the time after which a reading shows nothing from before a step, up to a factor of e^-5."""
        return self.update_period_s + self.averaging_window_s + 5 * self.time_constant_s

    @property
    def delay_s(self) -> float:
        """Return the mean delay of the readings."""
        return (self.update_period_s + self.averaging_window_s) / 2 + self.time_constant_s

    @property
    def clean_s(self) -> float:
        """Return the time from a step to the first reading unaffected by it, as updates jitter and are seen late."""
        return self.lag_s + self.update_period_s / 4

    @property
    def settled_s(self) -> float:
        """Return the time from the end of a load to readings of idleness, allowing for one missing update."""
        return self.lag_s + self.update_period_s

    def poll_s(self, longest_s: float, /) -> float:
        """Return a whole fraction of the update period as poll interval: polls every 100 ms see some updates of 101 ms twice."""
        period_s = self.update_period_s
        return period_s / max(1, math.ceil(period_s / longest_s - _SLACK)) if period_s else longest_s

    def seen(self, poll_s: float, /) -> float:
        """Return the share of time that is seen by readings taken every `poll_s`."""
        apart_s = max(self.update_period_s, poll_s)
        share = min(1.0, (self.averaging_window_s + 2 * self.time_constant_s) / apart_s)
        return min(_LEAST_SEEN, share) if self.assumed else share


@dataclass(frozen=True)
class Part:
    """The joules of one part of a window, their standard error, and the power at the window's end that it includes."""

    joules: float
    error_j: float
    edge_w: float = 0.0

    def towards(self, other: Part, share: float, /) -> Part:
        """Move a share of the way to another estimate; the distance moved counts as an error."""
        step_j = share * (other.joules - self.joules)
        return Part(self.joules + step_j, math.hypot(step_j, (1 - share) * self.error_j), self.edge_w)

    def until(self, last: Part, /, late_s: float) -> Part:
        """Add the last part. Readings may trail the power by `late_s` more or less than assumed, which shifts the window."""
        shift_j = late_s * (last.edge_w - self.edge_w)
        return Part(self.joules + last.joules, math.hypot(self.error_j, last.error_j, shift_j))


def integral(time_s: Floats, power_w: Floats, /, start_s: float, end_s: float) -> float:
    """Integrate power, linear between samples and interpolated at both ends, in joules.

    Raise WindowTooShort if the window is not inside the trace, ValueError if it is empty or a sample is not finite.
    """
    check_inside(time_s, start_s, end_s)
    first, last = np.searchsorted(time_s, start_s, "right"), np.searchsorted(time_s, end_s, "left")
    ends = np.interp([start_s, end_s], time_s, power_w)
    times = np.concatenate(([start_s], time_s[first:last], [end_s]))
    joules = area(times, np.concatenate((ends[:1], power_w[first:last], ends[1:])))
    if not np.isfinite(joules):
        raise ValueError(f"power between {start_s:.3f} and {end_s:.3f} s has a sample that is not finite")
    return joules


def area(times: Floats, watts: Floats, /) -> float:
    """Return the area under samples, linear between them."""
    total = 0.0
    for block in range(0, len(times) - 1, _BLOCK):
        t, w = times[block : block + _BLOCK + 1], watts[block : block + _BLOCK + 1]
        # Differences first, as times are far from 0. No dot product: BLAS rounds differently on different processors, but a trace
        # must give the same bits everywhere.
        total += float(((t[1:] - t[:-1]) * (w[1:] + w[:-1])).sum()) / 2
    return total


def check_inside(time_s: Floats, start_s: float, end_s: float) -> None:
    """Raise ValueError for an empty window, WindowTooShort for one that is not inside the trace."""
    if not end_s > start_s:
        raise ValueError(f"window from {start_s} to {end_s} s is empty")
    if len(time_s) < 2 or not time_s[0] <= start_s < end_s <= time_s[-1]:
        span = f"{time_s[0]:.3f} to {time_s[-1]:.3f} s" if len(time_s) else "empty"
        raise WindowTooShort(f"window {start_s:.3f} to {end_s:.3f} s is not inside the trace ({span}); run more batches")


def counter_energy(
    time_s: Floats,
    energy_j: Floats,
    /,
    start_s: float,
    end_s: float,
    *,
    idle_w: float = 0.0,
    idle_since_s: float = -math.inf,
    idle_until_s: float = math.inf,
) -> float:
    """Return the joules of a load between two ticks of a counter that is read densely (say, every 2 ms) around both ends.

    The counter is taken at the last reading up to `start_s` (a tick was awaited before the load began) and at the first
    change after the first reading from `end_s` on; the idle energy between the end of the load and that tick, at `idle_w`,
    is subtracted. The previous load ended at `idle_since_s`, and the next begins at `idle_until_s`.
    Raise WindowTooShort if the trace does not extend that far, or if there is no tick in the idleness on either side.
    """
    if not end_s > start_s:
        raise ValueError(f"window from {start_s} to {end_s} s is empty")
    begin = int(np.searchsorted(time_s, start_s, "right")) - 1
    stop = int(np.searchsorted(time_s, end_s, "left"))
    if begin < 0 or stop >= len(time_s):
        raise WindowTooShort(f"the counter was not read before {start_s:.3f} and after {end_s:.3f} s; run more batches")
    changed = np.flatnonzero(energy_j[stop:] > energy_j[stop])
    if not len(changed):
        raise WindowTooShort(f"the counter did not tick after {end_s:.3f} s; run more batches")
    tick = stop + changed[0]
    # the tick is between two readings; half-way has the smallest error
    tick_s = max(end_s, (time_s[tick] + time_s[tick - 1]) / 2)
    begin_s = _tick_time(time_s, energy_j, begin)
    if begin_s < idle_since_s or tick_s > idle_until_s:
        raise WindowTooShort(
            f"no tick of the counter was seen between the load from {start_s:.3f} to {end_s:.3f} s and another beside it; "
            "the counter is too slow, or could not be read there"
        )
    return float(energy_j[tick] - energy_j[begin] - idle_w * (tick_s - end_s) - idle_w * max(0.0, start_s - begin_s))


def _tick_time(time_s: Floats, energy_j: Floats, at: int) -> float:
    """Return the time at which the value of a reading first appeared in the trace."""
    since = int(np.searchsorted(energy_j[: at + 1], energy_j[at], "left"))
    return float((time_s[since] + time_s[since - 1]) / 2 if since else time_s[0])


def naive_energy(time_s: Floats, power_w: Floats, /, start_s: float, end_s: float) -> float | None:
    """Return joules by the paper's recipe: the trapezoid from the first to the last sample inside the window.

    Young et al. 2019, III.A: power is polled every 100 ms and integrated. Given for comparison with the other figures;
    None with fewer than two samples inside.
    """
    first, last = np.searchsorted(time_s, start_s, "left"), np.searchsorted(time_s, end_s, "right")
    if last - first < 2:
        return None
    return area(time_s[first:last], power_w[first:last])


# Update period and averaging window assumed for a board that does not report them: the slowest known.
_UNKNOWN_SENSOR = Sensor(0.1, 0.1, assumed=True)


def sensor_of(meter: PowerMeter | NoMeter, /, *, period_s: float | None = None) -> tuple[str | None, Sensor]:
    """Return the column of a trace whose power to integrate, and its lag; `period_s` is the update period, if it was found."""
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
