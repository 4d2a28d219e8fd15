"""Turn a trace of power or of an energy counter, and a time window, into joules.

All functions are pure and take arrays [n] of times in seconds (sorted, any origin), watts or joules.
A sensor is described by its update period (how often the number changes) and its averaging window (over how long before
an update it averages); both are 0 for an ideal sensor. See Yang et al. 2023 (arXiv 2312.02741) for what real ones do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from profilers.errors import WindowTooShort

Floats = NDArray[np.float64]

# Fewer readings than this inside a window say nothing about it.
_ENOUGH = 3
# Samples that are integrated at once: the differences stay in the cache.
_BLOCK = 1 << 13


@dataclass(frozen=True)
class Sensor:
    """How a power reading lags behind the power, in seconds."""

    update_period_s: float = 0.0
    averaging_window_s: float = 0.0

    @property
    def lag_s(self) -> float:
        """Return the longest time after which a reading no longer shows anything from before a step."""
        return self.update_period_s + self.averaging_window_s


def integral(time_s: Floats, power_w: Floats, /, start_s: float, end_s: float) -> float:
    """Integrate power, linear between samples and interpolated at both ends, in joules.

    Raise WindowTooShort where the window is not inside the trace, ValueError where it is empty or a sample is not finite.
    """
    _inside(time_s, start_s, end_s)
    first, last = np.searchsorted(time_s, start_s, "right"), np.searchsorted(time_s, end_s, "left")
    ends = np.interp([start_s, end_s], time_s, power_w)
    inner_t, inner_w = time_s[first:last], power_w[first:last]
    if not len(inner_t):
        area = (end_s - start_s) * (ends[0] + ends[1]) / 2
    else:
        area = 0.0
        for block in range(0, len(inner_t) - 1, _BLOCK):
            t, w = inner_t[block : block + _BLOCK + 1], inner_w[block : block + _BLOCK + 1]
            # Differences first: times are far from 0. No dot product: BLAS rounds as the processor likes, and a trace must give
            # the same bits everywhere.
            area += float(((t[1:] - t[:-1]) * (w[1:] + w[:-1])).sum()) / 2
        area += (inner_t[0] - start_s) * (ends[0] + inner_w[0]) / 2 + (end_s - inner_t[-1]) * (ends[1] + inner_w[-1]) / 2
    if not np.isfinite(area):
        raise ValueError(f"power between {start_s:.3f} and {end_s:.3f} s holds a sample that is not finite")
    return float(area)


def power_energy(
    time_s: Floats, power_w: Floats, /, start_s: float, end_s: float, *, sensor: Sensor, before_w: float | None = None
) -> float:
    """Return the joules of a load that ran from start to end, from a sensor that lags.

    Where at least three readings lie in the load with their whole averaging window, the power at both ends is that of the
    nearest of them: a reading that straddles an end mixes load and idle. Otherwise the window is extended past the load
    by the lag of the sensor, and the idle energy of the extension taken off: an average conserves area.
    `before_w` is the idle power before the load; without it, readings before the load tell.
    Raise WindowTooShort, saying what to do, where neither is possible.
    """
    if not end_s > start_s:
        raise ValueError(f"window from {start_s} to {end_s} s is empty")
    if sensor.lag_s == 0:
        return integral(time_s, power_w, start_s, end_s)
    # with 1.25 periods: readers see updates late, and updates jitter
    clean_s = start_s + sensor.averaging_window_s + 1.25 * sensor.update_period_s
    first, last = np.searchsorted(time_s, clean_s, "left"), np.searchsorted(time_s, end_s, "right")
    if last - first >= _ENOUGH:
        # a reading stands for the middle of its averaging window, and is half a period old on average
        middle_s = time_s[first:last] - sensor.averaging_window_s / 2 - sensor.update_period_s / 2
        times = np.concatenate(([start_s], np.clip(middle_s, start_s, end_s), [end_s]))
        powers = np.concatenate(([power_w[first]], power_w[first:last], [power_w[last - 1]]))
        return integral(times, powers, start_s, end_s)
    return _extended(time_s, power_w, start_s, end_s, sensor=sensor, before_w=before_w)


def _extended(time_s: Floats, power_w: Floats, start_s: float, end_s: float, *, sensor: Sensor, before_w: float | None) -> float:
    lag = sensor.lag_s + sensor.update_period_s
    past_s = end_s + lag
    if time_s[-1] < past_s or time_s[0] > start_s:
        raise WindowTooShort(
            f"a load of {end_s - start_s:.2f} s is too short for a sensor that averages over {sensor.averaging_window_s:.2f} s, "
            f"and the trace does not go on for {lag:.2f} s of idleness after it; run more batches"
        )
    after = power_w[time_s >= past_s]
    before = power_w[time_s <= start_s]
    after_w = float(after[:_ENOUGH].mean())
    if before_w is None:
        before_w = float(before[-_ENOUGH:].mean())
    # an instant before the load is still seen in part, as one after it is: half a window each, plus the age of a reading
    early = (sensor.averaging_window_s + sensor.update_period_s) / 2
    return integral(time_s, power_w, start_s, past_s) - before_w * early - after_w * (lag - early)


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
    """Return the joules of a load between two ticks of a counter, read densely (every 2 ms, say) around both ends.

    The counter is read at the last reading up to `start_s` (a tick was awaited before the load began) and at the first
    change after the first reading from `end_s` on; the idle energy between the end of the load and that tick, at `idle_w`,
    is taken off. `idle_since_s` and `idle_until_s` are when the load before ended and the one after begins.
    Raise WindowTooShort where the trace does not reach so far, or no tick lies in the idleness on either side.
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
    # the tick lies between two readings; half-way is the least wrong
    tick_s = max(end_s, (time_s[tick] + time_s[tick - 1]) / 2)
    begin_s = _tick_time(time_s, energy_j, begin)
    if begin_s < idle_since_s or tick_s > idle_until_s:
        raise WindowTooShort(
            f"no tick of the counter was seen between the load from {start_s:.3f} to {end_s:.3f} s and another beside it; "
            "the counter is too slow, or could not be read there"
        )
    return float(energy_j[tick] - energy_j[begin] - idle_w * (tick_s - end_s) - idle_w * max(0.0, start_s - begin_s))


def _tick_time(time_s: Floats, energy_j: Floats, at: int) -> float:
    """Return when the value of a reading first stood in the trace."""
    since = int(np.searchsorted(energy_j[: at + 1], energy_j[at], "left"))
    return float((time_s[since] + time_s[since - 1]) / 2 if since else time_s[0])


def naive_energy(time_s: Floats, power_w: Floats, /, start_s: float, end_s: float) -> float | None:
    """Return what the paper's recipe gives: the trapezoid from the first to the last sample inside the window, in joules.

    Young et al. 2019, III.A: power is polled every 100 ms and integrated. Kept beside the other figures for comparison;
    None with fewer than two samples inside.
    """
    first, last = np.searchsorted(time_s, start_s, "left"), np.searchsorted(time_s, end_s, "right")
    if last - first < 2:
        return None
    inner = slice(first, last)
    return float(np.trapezoid(power_w[inner], time_s[inner]))


def _inside(time_s: Floats, start_s: float, end_s: float) -> None:
    if not end_s > start_s:
        raise ValueError(f"window from {start_s} to {end_s} s is empty")
    if len(time_s) < 2 or not time_s[0] <= start_s < end_s <= time_s[-1]:
        span = f"{time_s[0]:.3f} to {time_s[-1]:.3f} s" if len(time_s) else "empty"
        raise WindowTooShort(f"window {start_s:.3f} to {end_s:.3f} s is not inside the trace ({span}); run more batches")
