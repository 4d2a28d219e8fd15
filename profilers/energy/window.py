"""Turn a trace of power and a time window into joules, with the error of sampling.

All functions are pure and take arrays [n] of times in seconds (sorted, any origin) and watts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from profilers.energy.beat import beat_joules, unseen_error
from profilers.energy.intervals import Estimate
from profilers.energy.readings import Floats, Part, Sensor, area, check_inside, counter_energy, integral, naive_energy
from profilers.errors import WindowTooShort

__all__ = ["Floats", "Sensor", "counter_energy", "integral", "naive_energy", "power_estimate"]

# With fewer clean readings than this inside, nothing is known about a window.
_ENOUGH = 3
# Shares of the load's level: a smaller step is not an edge of a load; a larger spread is not idleness; a reading
# farther from those of a sharp edge shows that a load begins or ends gradually; the spread of a steady load.
_STEP, _FLAT, _SHARP, _STEADY = 0.25, 0.02, 0.05, 0.02
# As a share of half the lag and a poll: readings farther off show an edge other than the window's.
_LATE = 0.35
# As a share of an update period or poll: deviation of real boards' updates from their grid (RTX 3090, RTX 4090).
_JITTER, _LATER = 0.15, 0.03  # ... and, as a share of the averaging window, their further delay
# Standard deviation of real boards' readings from the external meter, after gain and offset: of those below 270 W about 0.4 W.
_FOLLOWS, _FOLLOWS_W = 0.0015, 270.0
_Z, _BLIND = 1.96, 0.1  # the second: share of the time not seen by a sensor above which a load may be in step with it


def power_estimate(
    time_s: Floats,
    power_w: Floats,
    /,
    start_s: float,
    end_s: float,
    *,
    sensor: Sensor,
    idle_since_s: float | None = None,
    idle_until_s: float | None = None,
) -> Estimate:
    """Return the joules in a window, from a sensor that lags, with the 95 % interval of sampling.

    If the device idles beside the window, the area under the readings is taken from before the load to past its lag, and the
    idle energy is subtracted: a lag conserves area. Inside a load, the power at an end is that of the nearest reading whose
    averaging window lies in the window. `idle_since_s` and `idle_until_s` (when the previous load ended and the next begins)
    state that it is idleness, and the interval covers only the edges. Raise WindowTooShort if neither is possible.
    """
    check_inside(time_s, start_s, end_s)
    if sensor.lag_s == 0:
        return Estimate(integral(time_s, power_w, start_s, end_s))
    near = _Near.of(time_s, power_w, start_s, end_s, sensor)
    pause_s = sensor.settled_s + 3 * near.poll_s
    start, end = near.start(idle_since_s), near.end(idle_until_s)
    if start is None or end is None:
        where = "on both sides" if idle_since_s is None else "after it" if start else "before it"
        raise WindowTooShort(
            f"a window of {end_s - start_s:.2f} s is too short for a sensor that averages over {sensor.averaging_window_s:.2f} s "
            f"and is read every {near.poll_s:.2f} s, without {pause_s:.2f} s of steady idle time {where}; run more batches"
        )
    return near.joules(start, end, alone=idle_since_s is None)


@dataclass(frozen=True)
class _Near:
    """The readings in and beside a window."""

    t: Floats
    w: Floats
    start_s: float
    end_s: float
    sensor: Sensor
    poll_s: float
    clean: slice  # readings of power within the window only

    @classmethod
    def of(cls, time_s: Floats, power_w: Floats, start_s: float, end_s: float, sensor: Sensor) -> _Near:
        margin_s = 3 * sensor.lag_s + 1
        first = min(np.searchsorted(time_s, start_s - margin_s), max(0, np.searchsorted(time_s, start_s) - 12))
        last = max(np.searchsorted(time_s, end_s + margin_s), np.searchsorted(time_s, end_s) + 12)
        t, w = time_s[first:last], power_w[first:last]
        if not np.isfinite(w).all():
            raise ValueError(f"power near {start_s:.3f} to {end_s:.3f} s has a sample that is not finite")
        clean = slice(int(np.searchsorted(t, start_s + sensor.clean_s, "left")), int(np.searchsorted(t, end_s, "right")))
        beside = t[max(0, int(np.searchsorted(t, start_s)) - 3) : int(np.searchsorted(t, end_s)) + 3]
        return cls(t, w, start_s, end_s, sensor, float(np.median(np.diff(beside))), clean)

    @property
    def enough(self) -> bool:
        return int(self.clean.stop) - int(self.clean.start) >= _ENOUGH

    @property
    def middle(self) -> int:
        """Return the reading that divides the window into its first and last parts."""
        return self.clean.start if self.enough else self.at(self.start_s)

    def at(self, time_s: float) -> int:
        """Return the last reading up to a time."""
        return int(np.searchsorted(self.t, time_s, "right")) - 1

    def area(self, first: int, last: int) -> float:
        return area(self.t[first : last + 1], self.w[first : last + 1])

    @property
    def span_s(self) -> float:
        """Return the time over which an idle level is averaged: three updates, seen as three readings."""
        smooth_s = min(self.sensor.averaging_window_s + self.sensor.time_constant_s, 0.3)
        return max(3 * self.poll_s, 3 * self.sensor.update_period_s, smooth_s) + 1e-9

    @property
    def settled(self) -> int:
        """Return the first reading that no longer shows any of the window."""
        return int(np.searchsorted(self.t, self.end_s + self.sensor.settled_s, "left"))

    def before(self, since_s: float | None) -> Floats:
        """Return the readings of the power before the window."""
        last = self.at(self.start_s)
        first_s = float(self.t[last]) - self.span_s
        first_s = first_s if since_s is None else max(first_s, since_s + self.sensor.settled_s)
        return self.w[np.searchsorted(self.t, first_s, "left") : last + 1]

    def after(self, until_s: float | None) -> Floats:
        """Return the readings of the power after the window."""
        first = self.settled
        if first >= len(self.t):
            return self.w[:0]
        last_s = float(self.t[first]) + self.span_s
        return self.w[first : self.at(last_s if until_s is None else min(last_s, until_s)) + 1]

    def levels(self) -> tuple[float, float]:
        """Return the power at the first and last clean readings, or, if there are none, that of the highest reading."""
        if not self.enough:
            seen = self.w[(self.t >= self.start_s) & (self.t <= self.end_s + self.sensor.delay_s)]
            return (float(seen.max()),) * 2 if len(seen) else (math.nan,) * 2
        inside = self.w[self.clean]
        return float(inside[:_ENOUGH].mean()), float(inside[-_ENOUGH:].mean())

    def _start_from_idle(self, idle: Floats) -> Part | None:
        """Integrate from the last reading before the load, which cannot show it yet."""
        at = self.at(self.start_s)
        if len(idle) < 2:
            return None
        idle_s = self.start_s - float(self.t[at]) + self.sensor.delay_s
        level = float(idle.mean())
        return Part(self.area(at, self.middle) - level * idle_s, self._edge_error(idle, self.levels()[0]), level)

    def _end_in_idle(self, idle: Floats) -> Part | None:
        """Integrate up to the first reading of the idleness after the load."""
        sensor, at = self.sensor, self.settled
        if len(idle) < 2:
            return None
        level, error_j = float(idle.mean()), self._edge_error(idle, self.levels()[1])
        if self.end_s - self.start_s >= 1.7 * sensor.lag_s and self._hangs():
            return self._end_by_average(level, error_j)
        level, tail_j = self._tail(idle, level)
        gone_s = float(self.t[at]) - sensor.delay_s - self.end_s
        return Part(self.area(self.middle, at) - level * gone_s + tail_j, error_j, level)

    def _tail(self, idle: Floats, level: float) -> tuple[float, float]:
        """Return the power that readings in idleness approach, and the joules of the load not shown by them yet.

        For a reading y that follows the power exponentially with the constant c: power = y + c dy/dt.
        """
        constant_s, at = self.sensor.time_constant_s, self.settled
        took_s = float(self.t[at + len(idle) - 1] - self.t[at])
        if not constant_s or not took_s:
            return level, 0.0
        level += constant_s * float(idle[-1] - idle[0]) / took_s
        return level, constant_s * (float(idle[0]) - level)

    def _hangs(self) -> bool:
        """Tell whether a long average stopped updating before it had left the load: some update once per second when idle."""
        sensor = self.sensor
        if sensor.averaging_window_s < 3 * sensor.update_period_s:
            return False
        last = self.at(self.end_s + sensor.averaging_window_s + 1.5 * sensor.update_period_s + self.poll_s)
        late = self.w[self.at(self.end_s + sensor.averaging_window_s) : last + 1]
        return bool(np.all(late == late[:1]))

    def _end_by_average(self, idle_w: float, error_j: float) -> Part | None:
        """Find the last second of a load from readings soon after it.

        A reading at t is the mean from t - age - window to t - age, of which the part past the end idled.
        """
        window_s, age_s = self.sensor.averaging_window_s, self.sensor.update_period_s / 2
        first, last = self.at(self.end_s + 3 * age_s) + 1, self.at(self.end_s + window_s / 2)
        joules = [
            integral(self.t, self.w, float(self.t[self.middle]), time_s - window_s / 2)
            + window_s * watts
            - (time_s - age_s - self.end_s) * idle_w
            for time_s, watts in zip(self.t[first : last + 1].tolist(), self.w[first : last + 1].tolist(), strict=True)
        ]
        return Part(math.fsum(joules) / len(joules), 1.5 * error_j, idle_w) if joules else None

    def start(self, since_s: float | None) -> Part | None:
        """Return the first part: from idleness since a given time, or as the readings show."""
        idle, level = self.before(since_s), self.levels()[0]
        from_idle = None
        # a load that began earlier would have raised the readings right after the start
        if since_s is not None or (self._is_step(idle, level) and self._lateness(self.start_s, idle, level) > -self._tolerance_s):
            from_idle = self._start_from_idle(idle)
        if not self.enough:
            return from_idle
        first_w, missing_s = float(self.w[self.middle]), float(self.t[self.middle]) - self.sensor.delay_s - self.start_s
        held = Part(first_w * missing_s, float(self.w[self.clean].std()) * missing_s, first_w)
        if from_idle is None:
            return None if since_s is not None else held
        sharp = self._is_sharp(self.start_s, self.clean.start, float(idle.mean()), level)
        return from_idle.towards(held, self._trust) if sharp and since_s is None else from_idle

    def end(self, until_s: float | None) -> Part | None:
        """Return the last part: to idleness until a given time, or as the readings show."""
        idle, level = self.after(until_s), self.levels()[1]
        in_idle = None
        if until_s is not None or (self._is_step(idle, level) and self._lateness(self.end_s, idle, level) < self._tolerance_s):
            in_idle = self._end_in_idle(idle)
        if not self.enough:
            return in_idle
        last = self.clean.stop - 1
        missing_s = self.end_s - float(self.t[last]) + self.sensor.delay_s
        error_j = float(self.w[self.clean].std()) * missing_s
        held = Part(self.area(self.middle, last) + float(self.w[last]) * missing_s, error_j, float(self.w[last]))
        if in_idle is None:
            return None if until_s is not None else held
        sharp = self._is_sharp(self.end_s, self.settled, level, float(idle.mean()))
        return in_idle.towards(held, self._trust) if sharp and until_s is None else in_idle

    def _is_step(self, idle: Floats, level: float) -> bool:
        if len(idle) < _ENOUGH or math.isnan(level):
            return False
        step = abs(level - float(idle.mean()))
        if float(np.ptp(idle)) > max(0.1 * step, _FLAT * level):
            return False
        return step >= _STEP * level if self.enough else self._is_short_load(step)

    def _is_short_load(self, step_w: float) -> bool:
        """Tell whether a load that no reading shows alone begins and ends at similar power, and no later than the window."""
        before, after = self.before(None), self.after(None)
        over = self.t > self.end_s + self.sensor.update_period_s + self.poll_s
        seen, late = self.w[(self.t >= self.start_s) & ~over], self.w[over & (self.t <= self.end_s + self.sensor.settled_s)]
        if not (len(before) and len(after) and len(seen)):
            return False
        alike = abs(float(before.mean()) - float(after.mean())) <= _STEP * step_w
        return alike and float(late.max(initial=0)) <= float(seen.max()) + 0.1 * step_w

    @property
    def _trust(self) -> float:
        """Return the weight of assuming a steady power up to a sharp edge: it has no sampling error, but may miss a ramp."""
        sensor = self.sensor
        return 0.25 if sensor.averaging_window_s >= 3 * sensor.update_period_s or sensor.time_constant_s else 0.5

    def _is_sharp(self, edge_s: float, until: int, old_w: float, new_w: float) -> bool:
        """Tell whether a steady power that jumps at the edge could give the readings after it, at any age up to an update's."""
        sensor, inside = self.sensor, self.w[self.clean]
        if old_w == new_w or float(inside.std()) > _STEADY * float(inside.mean()):
            return False
        beside = slice(self.at(edge_s) + 1, until)
        times, share = self.t[beside], (self.w[beside] - old_w) / (new_w - old_w)
        window_s = max(sensor.averaging_window_s + 3 * sensor.time_constant_s, 1e-9)
        least = np.clip((times - 1.1 * sensor.update_period_s - edge_s) / window_s, 0, 1)
        most = 1.0 if sensor.assumed else np.clip((times - edge_s) / window_s, 0, 1)
        return bool(np.all((share >= least - _SHARP) & (share <= most + _SHARP)))

    @property
    def _tolerance_s(self) -> float:
        unseen_s = (1 - self.sensor.seen(self.poll_s)) * max(self.poll_s, self.sensor.update_period_s)
        return _LATE * (self.sensor.lag_s / 2 + self.poll_s) + unseen_s / 2

    def _lateness(self, edge_s: float, idle: Floats, level: float) -> float:
        """Return by how many seconds the readings reach or leave the idle level later than from a step at the edge."""
        first, last = self.at(edge_s), int(np.searchsorted(self.t, edge_s + self.sensor.settled_s, "left"))
        if not self.enough or last >= len(self.t):
            return 0.0
        share = (self.w[first : last + 1] - float(idle.mean())) / (level - float(idle.mean()))
        share = 1 - share if edge_s == self.start_s else share
        return area(self.t[first : last + 1], share) - (edge_s - float(self.t[first])) - self.sensor.delay_s

    def _edge_error(self, idle: Floats, level: float) -> float:
        """Return the standard error of the joules at an edge, from its time and the idle level subtracted."""
        apart_s = max(self.poll_s, self.sensor.update_period_s)
        late_s = apart_s * math.hypot((1 - self.sensor.seen(self.poll_s)) / math.sqrt(12), _JITTER)
        return math.hypot(abs(level - float(idle.mean())) * late_s, float(idle.std()) * self.sensor.delay_s)

    def joules(self, start: Part, end: Part, *, alone: bool) -> Estimate:
        """Add up the parts; for a single window, estimate the error of unseen time from the spread of the readings."""
        age_s = min(self.poll_s, self.sensor.update_period_s) / math.sqrt(12)
        late_s = math.hypot(age_s, _LATER * self.sensor.averaging_window_s) if alone else 0.0
        whole, took_s = start.until(end, late_s), self.end_s - self.start_s
        value, unseen = whole.joules, 1 - self.sensor.seen(self.poll_s) if alone and self.enough else 0.0
        follows = _FOLLOWS * max(value, min(_FOLLOWS_W * took_s, 4 * value))
        seen = (self.t, self.w, self.start_s, self.end_s, self.clean, self.sensor, self.poll_s)
        beats = beat_joules(*seen) if unseen > _BLIND else None
        if beats is not None:
            # for a load that really swings this slowly and smoothly, the mean over time is right
            return Estimate.around(beats.joules, math.hypot(_Z * beats.error_j, _Z * follows, value - beats.joules))
        sampling_w = unseen_error(self.w[self.clean]) * math.sqrt(unseen) if unseen else 0.0
        return Estimate.around(value, math.hypot(_Z * math.hypot(whole.error_j, follows), sampling_w * took_s))
