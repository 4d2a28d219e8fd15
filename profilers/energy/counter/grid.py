"""Find the times at which an energy counter ticks, and its values there; each tick lies between two readings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from profilers.energy.readings import Floats
from profilers.energy.sampling.trace import PowerTrace
from profilers.errors import WindowTooShort

# As shares of a period: a tick is seen closely if the two readings around it are nearer to each other than the first; ticks
# farther from the grid than the second are not regular.
_CLOSE, _IRREGULAR = 0.25, 0.02
_CLEAR = 0.1  # also a share: with more uncertainty than this, distant ticks have no clear number on the grid
_NEAR_S = 2.0  # ticks this near to an end of a window determine the grid there


@dataclass(frozen=True)
class Seen:
    """The readings of a counter, and the ticks between them with their standard errors."""

    time_s: Floats
    energy_j: Floats
    duration_s: Floats
    ticks: NDArray[np.intp]  # the first reading after each tick

    @classmethod
    def of(cls, trace: PowerTrace, /, since_s: float) -> Seen:
        chosen = ~np.isnan(trace.energy_j) & (trace.time_s >= since_s)
        energy_j = trace.energy_j[chosen]
        ticks = np.flatnonzero(energy_j[1:] > energy_j[:-1]) + 1
        return cls(trace.time_s[chosen], energy_j, trace.duration_s[chosen], ticks)

    @property
    def gap_s(self) -> Floats:
        return self.time_s[self.ticks] - self.time_s[self.ticks - 1]

    @property
    def tick_s(self) -> Floats:
        return (self.time_s[self.ticks] + self.time_s[self.ticks - 1]) / 2

    @property
    def error_s(self) -> Floats:
        """Return the standard errors: a tick may be anywhere between two readings, and each reading anywhere within its call."""
        calls = np.square(self.duration_s[self.ticks]) + np.square(self.duration_s[self.ticks - 1])
        return np.asarray(np.sqrt(np.square(self.gap_s) / 12 + calls / 24), np.float64)

    def closely(self) -> tuple[float, float, Seen]:
        """Return the period of the ticks, its standard error, and the ticks seen closely; raise WindowTooShort if none were."""
        gap_s, tick_s = self.gap_s, self.tick_s
        apart_s = np.diff(tick_s)
        pairs = gap_s[:-1] + gap_s[1:] < 2 * _CLOSE * apart_s
        if not pairs.any():
            raise WindowTooShort("no two ticks of the counter in a row were seen closely")
        first_s = float(np.median(apart_s[pairs]))
        close = Seen(self.time_s, self.energy_j, self.duration_s, self.ticks[gap_s < _CLOSE * first_s])
        return *_period(close.tick_s, close.error_s, first_s), close

    def counted(self, grid: Grid, since_s: float, until_s: float, /) -> dict[int, float]:
        """Return the counter's value after each tick for which it is certain, by the tick's number on the grid."""
        first, last = np.searchsorted(self.time_s, (since_s, until_s))
        times, joules = self.time_s[first:last], self.energy_j[first:last]
        place = (times - grid.tick_s) / grid.period_s
        clear_s = np.abs(place - np.round(place)) * grid.period_s - self.duration_s[first:last] / 2
        certain = clear_s > 3 * np.hypot(grid.error_s, place * grid.period_error_s)
        found = dict(zip(np.floor(place[certain]).astype(int).tolist()[::-1], joules[certain].tolist()[::-1], strict=True))
        for tick, tick_s, gap_s in zip(self.ticks.tolist(), self.tick_s.tolist(), self.gap_s.tolist(), strict=True):
            if since_s <= tick_s <= until_s and gap_s < _CLOSE * grid.period_s:
                number = round((tick_s - grid.tick_s) / grid.period_s)
                found[number], found[number - 1] = float(self.energy_j[tick]), float(self.energy_j[tick - 1])
        return found


@dataclass(frozen=True)
class Grid:
    """Regular times of ticks near one moment: their period, the time of tick 0, and the standard errors of both."""

    period_s: float
    period_error_s: float
    tick_s: float
    error_s: float
    parts: Floats  # weights of the ticks seen closely
    errors_s: Floats  # standard errors of the same ticks

    def at(self, number: Any, /) -> Any:
        return self.tick_s + number * self.period_s

    def shared(self, other: Grid, /) -> float:
        """Return the covariance of ticks on two grids that comes from the observed ticks that both are based on."""
        return float((self.parts * other.parts * np.square(self.errors_s)).sum())

    @classmethod
    def near(cls, seen: Seen, *moments_s: float) -> list[Grid]:
        """Return the grid near each moment."""
        period_s, period_error_s, close = seen.closely()
        return [cls._of(close, period_s, period_error_s, moment_s) for moment_s in moments_s]

    @classmethod
    def _of(cls, close: Seen, period_s: float, period_error_s: float, moment_s: float) -> Grid:
        tick_s, error_s = close.tick_s, close.error_s
        first = int(np.argmin(np.abs(tick_s - moment_s)))
        number = np.round((tick_s - tick_s[first]) / period_s)
        variance = np.square(error_s) + np.square(number * period_error_s)
        near = (np.abs(tick_s - moment_s) <= _NEAR_S) & (np.abs(number) * period_error_s < _CLEAR * period_s)
        if not near.any():
            raise WindowTooShort(f"no tick of the counter was seen closely near {moment_s:.3f} s")
        each = tick_s - number * period_s
        parts = np.where(near, 1 / variance, 0.0)
        order = np.argsort(each, kind="stable")
        middle_s = each[order][np.searchsorted(np.cumsum(parts[order]), parts.sum() / 2)]
        regular = near & (np.abs(each - middle_s) <= 4 * np.sqrt(variance) + _IRREGULAR * period_s)
        if 3 * regular.sum() < 2 * near.sum():
            raise WindowTooShort(f"the counter does not tick regularly near {moment_s:.3f} s")
        parts = np.where(regular, parts, 0.0)
        parts /= parts.sum()
        at_s = float((parts * each).sum())
        return cls(period_s, period_error_s, at_s, float(np.sqrt((np.square(parts) * variance).sum())), parts, error_s)


def _period(tick_s: Floats, error_s: Floats, first_s: float) -> tuple[float, float]:
    """Refine a period with ever longer gaps between ticks, as long as it is clear how many periods they contain."""
    apart_s = np.diff(tick_s)
    errors = np.hypot(error_s[1:], error_s[:-1])
    whole, weight = 0.0, 0.0
    for place in np.argsort(apart_s, kind="stable").tolist():
        period_s = whole / weight if weight else first_s
        doubt_s = 1 / math.sqrt(weight) if weight else 0.0
        number = round(float(apart_s[place]) / period_s)
        if number < 1 or 3 * (number * doubt_s + float(errors[place])) > period_s / 2:
            continue
        one = number**2 / float(errors[place]) ** 2
        whole, weight = whole + one * float(apart_s[place]) / number, weight + one
    if not weight:
        raise WindowTooShort("the ticks of the counter were not seen closely enough to find their period")
    return whole / weight, 1 / math.sqrt(weight)
