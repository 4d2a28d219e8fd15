"""Find the joules of a window from a counter that ticks at regular times, whatever runs before and after the window.

The ends of a window may lie anywhere between two ticks. The counter is read at the ticks around the window, and the energy used
between these ticks and the window, at the power beside it, is subtracted.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from profilers.energy.counter.grid import Grid, Seen
from profilers.energy.intervals import Estimate
from profilers.energy.marks import Counted
from profilers.energy.readings import Floats, Sensor
from profilers.energy.sampling.trace import PowerTrace
from profilers.errors import WindowTooShort

# The counter of a real board shows the end of a load up to 7 ms late (H200).
TAIL_S = 0.02
_PAST_S = 600.0  # older ticks tell nothing more about the period
_BESIDE_S = 0.5  # the power over this time beside a window stands for that between the window and the tick
_FLAT = 0.05  # largest spread of power readings, as a share, that counts as flat
_STEADY = 0.25  # largest spread of the power beside a window, as a share, that counts as steady
_SURGE = 1.3  # a load may start at this multiple of its later power (H200: 1.27)
_APART_S = 0.01  # in a busy process, ends that belong together (of nested or successive windows) may be this far apart
_NOISE = 0.006  # the spread of the power from tick to tick is at least this share (H200, idle: 1.1 %)
_SINGLE = 0.04  # error, as a share, of a power known from a single reading or rate
_RESOLUTION_J = 1e-3
_Z, _FEW = 1.96, 1.5  # the second replaces Student's t for few rates, as other errors are known
_VAGUE = 0.5  # half an interval above this share of the energy tells nothing


@dataclass(frozen=True)
class Beside:
    """Power beside a window: its mean, the standard error of the mean, and its standard deviation between ticks."""

    power_w: float
    error_w: float
    spread_w: float = 0.0

    def joules(self, seconds: float, period_s: float, /) -> tuple[float, float]:
        """Return the joules used in some seconds beside the window, and their standard error."""
        return self.power_w * seconds, math.hypot(self.error_w * seconds, self.spread_w * math.sqrt(seconds * period_s))


@dataclass(frozen=True)
class _End:
    """The counter at a tick beside a window, the joules used by others between the two, and the errors of these joules."""

    counter_j: float
    others_j: float
    others_w: float
    error_j: float
    surplus_j: float  # beyond what the window's own power explains
    ratio: float | None  # counter divided by power beside the window, minus 1


def window_by_ticks(
    trace: PowerTrace, /, start_s: float, end_s: float, *, column: str | None, sensor: Sensor, edges_s: Iterable[float] = ()
) -> Counted:
    """Return the joules in a window with their 95 % interval, from a counter read densely after the start and after the end.

    `edges_s` are the starts and ends of other windows. The power beside the window is the counter's own rate there or, if that is
    unknown, the mean of the power readings. Raise WindowTooShort if no regular ticks are seen there, or if they do not determine
    the energy.
    """
    seen = Seen.of(trace, start_s - _PAST_S)
    first, last = Grid.near(seen, start_s, end_s)
    power = _Power.of(trace, column, sensor)
    edges = sorted(edge_s for edge_s in edges_s if edge_s not in (start_s, end_s))
    begin = _end(seen, first, start_s, -1, power.before(start_s), edges, end_s)
    stop = _end(seen, last, end_s, 1, power.after(end_s), edges, start_s)
    joules = stop.counter_j - begin.counter_j - begin.others_j - stop.others_j
    shared = 2 * stop.others_w * begin.others_w * first.shared(last)  # an error common to both ends only shifts the window
    ticks_j = math.sqrt(max(0.0, (stop.others_w * last.error_s) ** 2 + (begin.others_w * first.error_s) ** 2 - shared))
    error_j = _Z * math.hypot(begin.error_j, stop.error_j, ticks_j, _RESOLUTION_J)
    half = math.hypot(error_j, begin.surplus_j, stop.surplus_j)
    if not half < _VAGUE * joules:
        raise WindowTooShort(
            f"the counter ticks every {first.period_s * 1e3:.0f} ms, which determines a window of {end_s - start_s:.3f} s only "
            f"as {joules:.3g} ± {half:.2g} J; take a longer window"
        )
    ratios = [end.ratio for end in (begin, stop) if end.ratio is not None]
    return Counted(Estimate.around(joules, half), None, min(ratios, key=abs, default=None))


def _end(seen: Seen, grid: Grid, at_s: float, outward: int, known: Beside | None, edges: list[float], other_s: float) -> _End:
    """Find the nearest tick beyond one end of a window, and the energy in between; `outward` is -1 at the start, 1 at the end."""
    counted, outside, inside = _ticks(seen, grid, at_s, outward, other_s)
    tick = outside[0]
    rates, loads = _rates(counted, grid, outside, at_s), _rates(counted, grid, inside, at_s)
    if outward > 0 and _is_tail(rates, loads, grid.period_s):
        tick, rates = outside[1], rates[1:]
    away_s = outward * (float(grid.at(tick)) - at_s)
    beside = _beside(rates, known)
    between_s = [outward * (edge_s - at_s) for edge_s in edges if 0 < outward * (edge_s - at_s) < away_s - _APART_S]
    if max(between_s, default=0.0) > _APART_S and not loads:
        raise WindowTooShort(
            f"another window begins or ends between the same two ticks of the counter, {grid.period_s * 1e3:.0f} ms apart"
        )
    every = [*rates, *loads, *([] if known is None else [known.power_w])]
    if beside is None and not loads:
        raise WindowTooShort(f"the power {'before' if outward < 0 else 'after'} {at_s:.3f} s is not known")
    if beside is None:  # the power may be anywhere between those seen
        beside = Beside((min(every) + max(every)) / 2, max((max(every) - min(every)) / 2, _SINGLE * max(every)))
    others_j, error_j = beside.joules(max(away_s, 0.0), grid.period_s)
    # nothing is known about the time between two windows in one tick
    error_j = math.hypot(error_j, max(between_s, default=0.0) * (max(every) - min(every)) / 2)
    surplus_j = 0.0
    if loads:
        part_j = abs(counted[inside[0]] - counted[tick]) - others_j
        most_j = max(loads) * abs(float(grid.at(inside[0])) - at_s)
        if part_j > _SURGE * most_j + 2 * math.hypot(error_j, max(loads) * grid.error_s):
            surplus_j = part_j - most_j
    unclear = loads[:1] if away_s < 3 * grid.error_s else []  # the tick may be within the window
    return _End(counted[tick], others_j, max([beside.power_w, *unclear]), error_j, surplus_j, _ratio(rates, known))


def _ticks(seen: Seen, grid: Grid, at_s: float, outward: int, other_s: float) -> tuple[dict[int, float], list[int], list[int]]:
    """Return the counter at the ticks near one end of a window, and their numbers outside and inside, nearest first."""
    reach_s = 2 * _BESIDE_S + 4 * grid.period_s
    counted = seen.counted(grid, at_s - reach_s, at_s + reach_s)
    numbers = np.array(sorted(counted, reverse=outward < 0), dtype=np.int64)
    beyond_s, margin_s = outward * (grid.at(numbers) - at_s), 3 * grid.error_s
    outside = numbers[beyond_s >= (margin_s if outward < 0 else max(margin_s, TAIL_S))]
    inside = numbers[(beyond_s <= -margin_s) & (outward * (grid.at(numbers) - other_s) >= margin_s)]
    if not len(outside) and outward < 0:  # the first window of a sampler: nothing was read before it
        outside = numbers[beyond_s >= -margin_s]
    if not len(outside) or outward * (grid.at(outside[0]) - at_s) > 3 * grid.period_s:
        raise WindowTooShort(f"no tick of the counter was seen {'before' if outward < 0 else 'after'} {at_s:.3f} s")
    return counted, outside.tolist(), inside[::-1].tolist()


def _is_tail(rates: list[float], loads: list[float], period_s: float) -> bool:
    """Tell whether the power after a window is steady except for the end of the load, which the counter shows late."""
    if len(rates) < 3 or not loads:
        return False
    later = rates[1:]
    late_j = abs(rates[0] - later[0]) * period_s
    return max(later) - min(later) <= _STEADY * min(later) and late_j <= TAIL_S * max(loads)


def _rates(counted: dict[int, float], grid: Grid, numbers: list[int], at_s: float) -> list[float]:
    """Return the counter's rate between successive ticks, nearest first."""
    reach_s = max(_BESIDE_S, 3 * grid.period_s) + grid.period_s
    near = [number for number in numbers if abs(float(grid.at(number)) - at_s) <= reach_s]
    return [(counted[two] - counted[one]) / (two - one) / grid.period_s for one, two in itertools.pairwise(near)]


def _beside(rates: list[float], known: Beside | None) -> Beside | None:
    """Return the power beside a window: from the nearest rates that are alike or, without rates, from the power readings."""
    if not rates:
        return known
    if len(rates) == 1:
        return Beside(rates[0], _SINGLE * rates[0] if known is None else abs(known.power_w - rates[0]), _NOISE * rates[0])
    alike = 1
    while alike < len(rates) and np.ptp(rates[: alike + 1]) <= _STEADY * min(rates[: alike + 1]):
        alike += 1
    if alike == 1:
        return Beside(rates[0], abs(rates[1] - rates[0]))
    spread_w = (1 + _FEW / alike) * max(float(np.std(rates[:alike], ddof=1)), _NOISE * rates[0])  # a few rates show too little
    return Beside(sum(rates[:alike]) / alike, spread_w / math.sqrt(alike), spread_w)


def _ratio(rates: list[float], known: Beside | None) -> float | None:
    if not rates or known is None or max(known.spread_w / known.power_w, np.ptp(rates) / rates[0]) > _FLAT:
        return None
    return sum(rates) / len(rates) / known.power_w - 1


@dataclass(frozen=True)
class _Power:
    """The readings of power."""

    time_s: Floats
    power_w: Floats
    settled_s: float

    @classmethod
    def of(cls, trace: PowerTrace, column: str | None, sensor: Sensor) -> _Power:
        times, watts = (np.empty(0), np.empty(0)) if column is None else trace.series(column)
        return cls(times, watts, sensor.settled_s)

    def before(self, at_s: float) -> Beside | None:
        return self._mean((self.time_s <= at_s) & (self.time_s >= at_s - _BESIDE_S))

    def after(self, at_s: float) -> Beside | None:
        since_s = at_s + self.settled_s
        return self._mean((self.time_s >= since_s) & (self.time_s <= since_s + _BESIDE_S))

    def _mean(self, chosen: NDArray[np.bool_]) -> Beside | None:
        watts = self.power_w[chosen]
        if not len(watts):
            return None
        spread_w = float(watts.std())
        return Beside(float(watts.mean()), max(spread_w, _SINGLE * float(watts.mean())), spread_w)
