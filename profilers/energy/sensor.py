"""Turn fast readings of a meter under a square load into its update period and averaging window.

A board's sensor says, every update period, its power averaged over a window (a boxcar), which may be shorter than the period
(25 of every 100 ms on A100 and H100) or longer. After Yang, Adamek and Armour, "Part-time Power Measurements: nvidia-smi's
Lack of Attention" (2023, arXiv:2312.02741): period from the gaps between changes, window by fitting a model to readings under
known loads. Here the loads are of random length and the lag of the sensor is fitted with the window.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from profilers.energy.intervals import Estimate
from profilers.energy.window import Floats
from profilers.errors import MeterError
from profilers.meters.base import PowerMeter, Reading

_FEWEST = 12  # changes from which a period is told
_SHORTEST_WINDOW_S = 0.004
_LONGEST_WINDOW_S = 3.0
_SHORTEST_LOAD_S, _LONGEST_LOAD_S = 0.008, 0.8
_EXPLAINED = 0.8  # part of the variance of the readings that a boxcar of the load must explain
_WIDEST = 0.3  # half width of an interval, as part of its estimate, from which on the estimate is a guess
_POLL_S = 0.001


@dataclass(frozen=True, slots=True)
class IdentifiedSensor:
    """What was found of one sensor, in seconds; None is unidentifiable, and `reasons` say why."""

    update_period_s: Estimate | None = None
    averaging_window_s: Estimate | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found of a meter; None for what the meter does not read at all."""

    power: IdentifiedSensor | None
    average_power: IdentifiedSensor | None
    energy: IdentifiedSensor | None  # a counter has a period, its tick, and no window


class _Unidentifiable(Exception):  # noqa: N818
    """The readings do not tell."""


def identify(time_s: ArrayLike, values: ArrayLike, /, load_s: ArrayLike | None = None) -> IdentifiedSensor:
    """Find the update period and, where loads are known, the averaging window of a sensor.

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
    except _Unidentifiable as error:
        return IdentifiedSensor(reasons=(f"update period: {error}", "averaging window: unknown without the update period"))
    if load_s is None:
        return IdentifiedSensor(period_s, None, ("averaging window: no load was switched",))
    loads = np.asarray(load_s, np.float64).reshape(-1, 2)
    if np.any(np.diff(loads.ravel()) <= 0):
        raise ValueError("load_s must hold starts and ends in order of time")
    try:
        return IdentifiedSensor(period_s, _window(updated_s, updates, loads, period_s.value))
    except _Unidentifiable as error:
        return IdentifiedSensor(period_s, None, (f"averaging window: {error}",))


def _changes(time_s: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Return when the readings changed (half-way between two polls) and to what."""
    last = np.flatnonzero(np.diff(values) != 0)
    if len(last) < _FEWEST:
        raise _Unidentifiable(f"the readings changed {len(last)} times, which is too few to tell")
    return (time_s[last] + time_s[last + 1]) / 2, values[last + 1]


def _period(updated_s: Floats, time_s: Floats) -> Estimate:
    """Find the period from the median gap; a gap of several periods, where an update changed nothing, counts as so many."""
    gaps_s = np.diff(updated_s)
    poll_s = float(np.median(np.diff(time_s)))
    period_s = float(np.median(gaps_s))
    if period_s < 2.5 * poll_s:
        raise _Unidentifiable(f"it updates about as fast as it was polled, every {poll_s * 1e3:.2g} ms")
    for _ in range(3):
        periods = np.maximum(1, np.round(gaps_s / period_s))
        regular = np.abs(gaps_s - periods * period_s) < 0.3 * period_s
        if regular.mean() < 0.6:
            raise _Unidentifiable("the readings change at no regular period")
        period_s = float(gaps_s[regular].sum() / periods[regular].sum())
    each_s = gaps_s[regular] / periods[regular]
    half_s = 1.96 * float(each_s.std(ddof=1)) / len(each_s) ** 0.5
    if half_s > _WIDEST * period_s:
        raise _Unidentifiable("the readings change at no regular period")
    return Estimate(period_s, period_s - half_s, period_s + half_s)


class _Boxcar:
    """The readings of a boxcar under known loads: base + gain · (part of the window under load), window and lag free."""

    def __init__(self, updated_s: Floats, updates: Floats, load_s: Floats) -> None:
        self._updated_s, self._updates = updated_s, updates
        edges_s = load_s.ravel()
        on_s = np.concatenate([[0.0], np.cumsum(load_s[:, 1] - load_s[:, 0])])
        self._edges_s = np.concatenate([[edges_s[0] - 1.0], edges_s])
        self._on_s = np.concatenate([[0.0], np.repeat(on_s, 2)[1:-1]])

    def loaded(self, window_s: float, lag_s: Floats) -> Floats:
        """Return the part of each window that was under load: shape (lags, updates)."""
        ends_s = self._updated_s - np.asarray(lag_s)[..., None]
        before = np.interp(ends_s - window_s, self._edges_s, self._on_s)
        loaded: Floats = (np.interp(ends_s, self._edges_s, self._on_s) - before) / window_s
        return loaded

    def unexplained(self, window_s: float, lag_s: Floats) -> Floats:
        """Return the part of the variance that is left for each lag."""
        loaded = self.loaded(window_s, lag_s)
        loaded = loaded - loaded.mean(axis=-1, keepdims=True)
        said = self._updates - self._updates.mean()
        spread = np.maximum((loaded**2).sum(axis=-1), 1e-12)
        left: Floats = 1 - ((loaded * said).sum(axis=-1) ** 2 / spread) / (said**2).sum()
        return left

    def residuals(self, log_window: float, lag_s: float) -> Floats:
        """Return readings minus the model with its best base and gain."""
        loaded = self.loaded(float(np.exp(np.clip(log_window, -9.0, 5.0))), np.asarray(lag_s))
        design = np.stack([np.ones_like(loaded), loaded], axis=1)
        residuals: Floats = self._updates - design @ np.linalg.lstsq(design, self._updates, rcond=None)[0]
        return residuals


def _window(updated_s: Floats, updates: Floats, load_s: Floats, period_s: float) -> Estimate:
    """Fit window and lag: a grid first, for there are many local minima, then Levenberg-Marquardt from its best points."""
    if len(load_s) < 5:
        raise _Unidentifiable(f"{len(load_s)} loads are too few to tell")
    boxcar = _Boxcar(updated_s, updates, load_s)
    longest_s = min(_LONGEST_WINDOW_S, (load_s[-1, 1] - load_s[0, 0]) / 3)
    lags_s = np.linspace(-0.05 * period_s, period_s, 24)
    windows_s = np.geomspace(_SHORTEST_WINDOW_S, longest_s, 30)
    left = np.stack([boxcar.unexplained(window_s, lags_s) for window_s in windows_s])
    best = np.argsort(left, axis=None)[:3]
    starts = [(np.log(windows_s[row]), lags_s[column]) for row, column in zip(*np.unravel_index(best, left.shape), strict=True)]
    fitted = min((_descend(boxcar, start, period_s) for start in starts), key=lambda point: _sum_of_squares(boxcar, point))
    explained = 1 - _sum_of_squares(boxcar, fitted) / ((updates - updates.mean()) ** 2).sum()
    if explained < _EXPLAINED:
        raise _Unidentifiable(f"the load explains {max(explained, 0):.0%} of the readings' variance only")
    window_s = float(np.exp(fitted[0]))
    if not 1.1 * _SHORTEST_WINDOW_S < window_s < 0.9 * longest_s:
        raise _Unidentifiable(
            f"it is not between {_SHORTEST_WINDOW_S * 1e3:.0f} ms and {longest_s:.2g} s, which these loads can tell"
        )
    half = 1.96 * _standard_error(boxcar, fitted, period_s)  # of log(window)
    if not half < _WIDEST:
        raise _Unidentifiable(f"{window_s * 1e3:.0f} ms fits best, but others fit nearly as well")
    return Estimate(window_s, window_s * float(np.exp(-half)), window_s * float(np.exp(half)))


def _sum_of_squares(boxcar: _Boxcar, point: Floats) -> float:
    residuals = boxcar.residuals(point[0], point[1])
    return float(residuals @ residuals)


def _jacobian(boxcar: _Boxcar, point: Floats, period_s: float) -> Floats:
    columns = []
    for step in (np.array([0.01, 0.0]), np.array([0.0, 0.01 * period_s])):
        ahead, behind = point + step, point - step
        columns.append((boxcar.residuals(ahead[0], ahead[1]) - boxcar.residuals(behind[0], behind[1])) / (2 * step.sum()))
    return np.stack(columns, axis=1)


def _descend(boxcar: _Boxcar, start: tuple[float, float], period_s: float) -> Floats:
    """Levenberg-Marquardt in (log window, lag)."""
    point, damping = np.array(start), 1e-2
    square = _sum_of_squares(boxcar, point)
    for _ in range(25):
        residuals, slope = boxcar.residuals(point[0], point[1]), _jacobian(boxcar, point, period_s)
        curvature = slope.T @ slope
        for _ in range(6):
            step = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)) + 1e-12 * np.eye(2), slope.T @ residuals)
            following = _sum_of_squares(boxcar, point - step)
            if following < square:
                break
            damping *= 5
        else:
            return point
        gained, point, square, damping = square - following, point - step, following, damping / 5
        if gained < 1e-7 * square:
            break
    return point


def _standard_error(boxcar: _Boxcar, point: Floats, period_s: float) -> float:
    """Return the standard error of log(window), robust to errors that only updates beside an edge have (White 1980, HC3)."""
    residuals, slope = boxcar.residuals(point[0], point[1]), _jacobian(boxcar, point, period_s)
    inverse = np.linalg.pinv(slope.T @ slope)
    leverage = np.einsum("ij,jk,ik->i", slope, inverse, slope)
    weighted = slope.T * (residuals / (1 - np.minimum(leverage, 0.95))) ** 2
    return float(np.sqrt((inverse @ weighted @ slope @ inverse)[0, 0]))


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

    load(True) starts the load, load(False) returns when it has ended; both return at once otherwise. Without a load, on an idle
    board, only periods can be found, and those only where the idle power changes. The meter must read the same clock.
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
    end_s = clock() + seconds
    next_s = clock() + seconds / 20
    failed: MeterError | None = None
    try:
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
