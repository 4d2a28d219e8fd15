"""Find the update period of a meter, and its averaging window or time constant, from fast readings under a square load.

Every update period, a board's sensor reports the power averaged over a window (a boxcar), which may be shorter than the period
(25 of every 100 ms on A100 and H100) or longer; Kepler and Maxwell follow the power exponentially. After Yang, Adamek and
Armour, "Part-time Power Measurements: nvidia-smi's Lack of Attention" (2023, arXiv:2312.02741): period from the gaps between
changes, window by fitting a model to readings under known loads. Here, loads have random lengths, and the sensor's lag
is fitted together with the window.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from profilers.energy.intervals import Estimate
from profilers.energy.readings import Floats, Sensor
from profilers.energy.sensor.response import Unidentifiable, fit_response
from profilers.errors import MeterError
from profilers.meters.base import PowerMeter, Reading

_FEWEST = 12  # changes needed to find a period
_POLLS_IN_A_PERIOD = _POLLS_IN_A_WINDOW = 1.5  # at least
_OFF_BY = 1.05  # in polls: the error of a gap between two changes, each seen up to a poll late
_FEW_PERIODS = 3  # gaps of up to this many periods show the period; longer ones only confirm it
# Mean cosine of the gaps: the least for a period, and the lead that half of it needs; a peak is searched in steps of 0.5 %.
_REGULAR, _TIE, _PEAK = 0.7, 0.15, 30
_WIDEST = 0.3  # half-width of an interval, as a share of its estimate, above which the estimate is a guess
_SHORTEST_LOAD_S, _LONGEST_LOAD_S = 0.008, 0.8
_POLL_S = 0.001
_AS_POLLS = 0.5  # in polls: times late by up to one poll have a standard deviation of 0.29
# Boards draw less in the first 0.2 s of a load, and idle at 14 to 27 W more for 1.8 s after one (RTX 3090, RTX 4090, A5000).
_SETTLE_S = 2.0


@dataclass(frozen=True, slots=True)
class IdentifiedSensor:
    """The parameters found for one sensor, in seconds; None if unidentifiable, with the reasons in `reasons`."""

    update_period_s: Estimate | None = None
    averaging_window_s: Estimate | None = None
    reasons: tuple[str, ...] = ()
    time_constant_s: Estimate | None = None  # for a reading that follows the power exponentially, instead of a window

    def sensor(self) -> Sensor | None:
        """Return it as a sensor, if period and window (or time constant) are known."""
        period, window, constant = self.update_period_s, self.averaging_window_s, self.time_constant_s
        if period is None or (window is None and constant is None):
            return None
        return Sensor(period.value, window.value if window else 0.0, constant.value if constant else 0.0)


@dataclass(frozen=True, slots=True)
class Probe:
    """The sensors found behind a meter; None for quantities that the meter does not read."""

    power: IdentifiedSensor | None
    average_power: IdentifiedSensor | None
    energy: IdentifiedSensor | None  # a counter has a period (its tick) but no window


def identify(time_s: ArrayLike, values: ArrayLike, /, load_s: ArrayLike | None = None) -> IdentifiedSensor:
    """Find the update period and, if loads are known, the averaging window of a sensor.

    time_s, values: shape (n,), the readings in order of time; values that are not finite are left out.
    load_s: shape (m, 2), the start and end of each load, in order and apart.
    """
    times, said = np.asarray(time_s, np.float64), np.asarray(values, np.float64)
    if times.ndim != 1 or times.shape != said.shape:
        raise ValueError(f"time_s {times.shape} and values {said.shape} must be two lists of one length")
    kept = np.isfinite(said)
    times, said = times[kept], said[kept]
    try:
        updated_s, updates = _changes(times, said)
        period_s = _period(updated_s, times)
    except Unidentifiable as error:
        return IdentifiedSensor(reasons=(f"update period: {error}", "averaging window: unknown without the update period"))
    if load_s is None:
        return IdentifiedSensor(period_s, None, ("averaging window: no load was switched",))
    loads = np.asarray(load_s, np.float64).reshape(-1, 2)
    if np.any(np.diff(loads.ravel()) <= 0):
        raise ValueError("load_s must hold starts and ends in order of time")
    poll_s = float(np.median(np.diff(times)))
    try:
        found = fit_response(_on_grid(updated_s, period_s.value, poll_s), updates, loads, period_s.value)
        if found.shape == "boxcar" and found.length_s.value < _POLLS_IN_A_WINDOW * poll_s:
            raise Unidentifiable(f"it is short, and polls every {1e3 * poll_s:.2g} ms do not tell how short; poll faster")
    except Unidentifiable as error:
        return IdentifiedSensor(period_s, None, (f"averaging window: {error}",))
    if found.shape == "boxcar":
        return IdentifiedSensor(period_s, found.length_s)
    return IdentifiedSensor(period_s, None, ("averaging window: the reading follows the power exponentially",), found.length_s)


def _changes(time_s: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Return the times at which the readings changed (half-way between two polls), and their new values."""
    last = np.flatnonzero(np.diff(values) != 0)
    if len(last) < _FEWEST:
        raise Unidentifiable(f"the readings changed {len(last)} times, which is too few")
    return (time_s[last] + time_s[last + 1]) / 2, values[last + 1]


def _period(updated_s: Floats, time_s: Floats) -> Estimate:
    """Find the period from the gaps; a gap of several periods, when updates changed nothing, counts as that many."""
    gaps_s = np.diff(updated_s)
    poll_s = float(np.median(np.diff(time_s)))
    if float(np.percentile(gaps_s, 25)) < _POLLS_IN_A_PERIOD * poll_s:
        raise Unidentifiable(f"it updates about as fast as it is polled, every {poll_s * 1e3:.2g} ms")
    period_s = _common_part(gaps_s, _POLLS_IN_A_PERIOD * poll_s)
    for _ in range(3):
        periods = np.maximum(1, np.round(gaps_s / period_s))
        regular = np.abs(gaps_s - periods * period_s) < max(0.3 * period_s, _OFF_BY * poll_s)
        if regular.mean() < 0.6 or not regular[periods <= _FEW_PERIODS].any():
            raise Unidentifiable("the readings change without a regular period")
        period_s = float(gaps_s[regular].sum() / periods[regular].sum())
    each_s = gaps_s[regular] / periods[regular]
    half_s = 1.96 * float(each_s.std(ddof=1)) / len(each_s) ** 0.5
    if half_s > _WIDEST * period_s:
        raise Unidentifiable("the readings change without a regular period")
    return Estimate(period_s, period_s - half_s, period_s + half_s)


def _common_part(gaps_s: Floats, shortest_s: float) -> float:
    """Return the longest time of which the gaps are nearly multiples: the first peak of the mean cosine from above."""
    longest_s = max(1.3 * float(np.median(gaps_s)), 1.1 * shortest_s)
    tried_s = np.geomspace(longest_s, shortest_s, 1 + int(200 * np.log(longest_s / shortest_s)))
    score = np.array([np.cos(2 * np.pi * gaps_s / one).mean() for one in tried_s])
    if score.max() < _REGULAR:
        raise Unidentifiable("the readings change without a regular period")
    first = int(np.argmax(score > score.max() - _TIE))
    return float(tried_s[first + int(score[first : first + _PEAK].argmax())])


def _on_grid(updated_s: Floats, period_s: float, poll_s: float) -> Floats:
    """Put update times, each seen up to a poll late, on a regular grid, unless they are less regular than polls."""
    number = np.concatenate(([0.0], np.cumsum(np.maximum(1, np.round(np.diff(updated_s) / period_s)))))
    slope, offset = np.polyfit(number, updated_s, 1)
    grid_s: Floats = offset + slope * number
    return grid_s if float((grid_s - updated_s).std()) < _AS_POLLS * poll_s else updated_s


def probe(
    meter: PowerMeter,
    load: Callable[[bool], None] | None,
    clock: Callable[[], float] = time.monotonic,
    *,
    seconds: float = 12.0,
    pause: Callable[[float], None] = time.sleep,
    seed: int = 0,
) -> Probe:
    """Poll a meter every millisecond while a load is switched at random, and identify its sensors.

    The load first runs for 2 s, because a board that has just begun to work draws less, and idles at less.
    load(True) starts the load; load(False) returns when it has ended; both otherwise return at once. Without a load, on an idle
    board, only periods can be found, and only if the idle power changes. The meter must read the same clock.
    """
    readings, load_s = _poll(meter, load, clock, seconds, pause, np.random.default_rng(seed))
    able = meter.capabilities()
    loads = load_s if load is not None else None
    return Probe(
        power=_identify_one(readings, lambda one: one.power_w, loads) if able.power else None,
        average_power=_identify_one(readings, lambda one: one.average_power_w, loads) if able.average_power else None,
        energy=_identify_one(readings, lambda one: one.energy_j, None, window=False) if able.energy else None,
    )


def _identify_one(
    readings: list[Reading], number: Callable[[Reading], float | None], loads: Floats | None, *, window: bool = True
) -> IdentifiedSensor:
    said = [(one.time_s, value) for one in readings if (value := number(one)) is not None]
    pairs = np.array(said, np.float64).reshape(-1, 2)
    found = identify(pairs[:, 0], pairs[:, 1], loads)
    if window:
        return found
    return IdentifiedSensor(found.update_period_s, None, tuple(reason for reason in found.reasons if reason.startswith("update")))


def _poll(
    meter: PowerMeter,
    load: Callable[[bool], None] | None,
    clock: Callable[[], float],
    seconds: float,
    pause: Callable[[float], None],
    rng: np.random.Generator,
) -> tuple[list[Reading], Floats]:
    readings: list[Reading] = []
    switched_s: list[float] = []
    failed: MeterError | None = None
    try:
        if load is not None:
            load(True)
            pause(_SETTLE_S)
            load(False)
        end_s = clock() + seconds
        next_s = clock() + seconds / 20
        while clock() < end_s:
            if load is not None and clock() >= next_s:
                load(len(switched_s) % 2 == 0)
                switched_s.append(clock())
                next_s = clock() + float(np.exp(rng.uniform(np.log(_SHORTEST_LOAD_S), np.log(_LONGEST_LOAD_S))))
            try:
                readings.append(meter.read())
            except MeterError as error:  # a board polled this fast may refuse now and then
                failed = error
            pause(_POLL_S)
    finally:
        if load is not None:
            load(False)
            switched_s += [clock()] if len(switched_s) % 2 else []
    if failed is not None and not readings:
        raise failed
    return readings, np.array(switched_s).reshape(-1, 2)
