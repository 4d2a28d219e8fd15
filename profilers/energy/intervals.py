"""Compute 95 % intervals: of a ratio of sums over groups, of a mean in time, of a share, of a line."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_BATCHES, _STEP_EXPLAINS = 5, 0.9
_FEW_BLOCKS = 3  # a t interval over fewer blocks has one degree of freedom
# Groups that show a dependence on the phase, and the largest share of their variance that it may leave.
_FEWEST_TURNS, _WAVE_LEAVES = 8, 0.25
_Z = 1.959963984540054
# Student's t, 97.5 % point, for 1 to 9 degrees of freedom; from 10 on, the expansion below is exact to 1e-4.
_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; low and high are None if the interval is unknown."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def relative(self) -> float:
        """Return half the interval divided by the value; infinite if there is no interval."""
        if self.low is None or self.high is None or not self.value:
            return math.inf
        return (self.high - self.low) / 2 / abs(self.value)

    @property
    def half(self) -> float:
        """Return half the interval; infinite if there is none."""
        return math.inf if self.low is None or self.high is None else (self.high - self.low) / 2

    @classmethod
    def around(cls, value: float, half: float, /) -> Estimate:
        return cls(value, value - half, value + half)

    def scaled(self, factor: float, /) -> Estimate:
        low, high = (None if bound is None else bound * factor for bound in (self.low, self.high))
        return Estimate(self.value * factor, low, high)


def t_quantile(freedom: int, /) -> float:
    """Return the 97.5 % point of Student's t (Abramowitz and Stegun 26.7.5)."""
    if freedom < 1:
        raise ValueError(f"{freedom} degrees of freedom; at least 1 is needed")
    if freedom <= len(_T):
        return _T[freedom - 1]
    z, v = _Z, freedom
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4)
    )


def ratio(numerators: ArrayLike, denominators: ArrayLike, /, *, block: int = 1, turns: ArrayLike | None = None) -> Estimate:
    """Return the ratio of two sums over groups [n], for instance of joules to images, with a t interval over the groups.

    The variance is that of a ratio estimator: Cochran 1977, Sampling Techniques, eq. 6.13, without finite-population correction.
    `block` consecutive groups that were laid out together (evenly over the phases of a sensor) count as one: within a block,
    their errors cancel, and only blocks are independent. Groups of an unfinished block are left out.
    `turns` are the phases of a sensor at which the groups begin: if a sine of them explains the groups' errors, it is removed,
    unless there are enough blocks.
    """
    over, under = np.asarray(numerators, float), np.asarray(denominators, float)
    blocks, wave = len(over) // block, None
    if turns is not None and (block == 1 or blocks < _FEW_BLOCKS):
        wave = _wave(over - over.sum() / under.sum() * under, np.asarray(turns, float))
    if wave is not None:
        over = over - wave
    elif blocks >= 2:
        over, under = (part[: blocks * block].reshape(blocks, block).sum(axis=1) for part in (over, under))
    value = float(over.sum() / under.sum())
    if len(over) < 2:
        return Estimate(value)
    residuals = over - value * under
    # no dot product: BLAS rounds differently on different processors, but a trace must give the same bits everywhere
    freedom = len(over) - (1 if wave is None else 3)
    error = math.sqrt(float(np.square(residuals).sum()) / freedom / len(over)) / float(under.mean())
    half = t_quantile(freedom) * error
    return Estimate(value, value - half, value + half)


def _wave(values: Floats, turns: Floats) -> Floats | None:
    """Return the sine of 1 to 4 times the turns that, with a constant, fits values best; None if it leaves too much."""
    if len(values) < _FEWEST_TURNS:
        return None
    left, best = _WAVE_LEAVES * float(np.square(values - values.mean()).sum()), None
    for times in range(1, 5):
        sine, cosine = _sine(times * turns), _sine(times * turns + 0.25)
        s, c = sine - sine.mean(), cosine - cosine.mean()
        ss, cc, sc, vs, vc = (float((one * other).sum()) for one, other in ((s, s), (c, c), (s, c), (values, s), (values, c)))
        if (scale := ss * cc - sc * sc) < 1e-3 * len(values) ** 2:
            continue  # the phases are too similar
        first, second = (vs * cc - vc * sc) / scale, (vc * ss - vs * sc) / scale
        rest = float(np.square(values - values.mean() - first * s - second * c).sum())
        if rest < left:
            left, best = rest, first * sine + second * cosine
    return best


def _sine(turns: Floats) -> Floats:
    """Return the sine within 0.001, by two parabolas: the same bits everywhere, unlike those of a library."""
    x = turns - np.floor(turns + 0.5)
    y = 8 * x - 16 * x * np.abs(x)
    refined: Floats = y + 0.225 * (y * np.abs(y) - y)
    return refined


def mean_error(values: ArrayLike, /) -> float:
    """Return half the 95 % interval of the mean of a series [n >= 2] in time order, from the means of five batches.

    Neighbours may be correlated (a sensor in step with a load): differing batches reveal this, while single values hide it.
    """
    series = np.asarray(values, float)
    cut = _step(series)
    if cut is not None:  # a window over load and idleness: each has its own mean
        parts = [mean_error(part) * len(part) for part in np.split(series, [cut])]
        return math.hypot(*parts) / len(series)
    batches = series if len(series) < 2 * _BATCHES else np.array([part.mean() for part in np.array_split(series, _BATCHES)])
    return t_quantile(len(batches) - 1) * float(batches.std(ddof=1)) / math.sqrt(len(batches))


def _step(series: Floats) -> int | None:
    """Return the place of a step that explains nearly all of the variance, with at least two batches' worth on either side."""
    count, least = len(series), 2 * _BATCHES
    if count < 2 * least:
        return None
    first = np.arange(least, count - least + 1)
    sums, whole = np.cumsum(series - series.mean())[first - 1], float(np.square(series - series.mean()).sum())
    explained = np.square(sums) * count / (first * (count - first))
    at = int(explained.argmax())
    return int(first[at]) if whole > 0 and explained[at] > _STEP_EXPLAINS * whole else None


def share(hits: int, trials: int, /) -> Estimate:
    """Return hits / trials, with Wilson's interval (Wilson 1927)."""
    if not 0 <= hits <= trials or trials < 1:
        raise ValueError(f"{hits} of {trials} is not a share")
    value, z2 = hits / trials, _Z * _Z
    middle = (value + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z / (1 + z2 / trials) * math.sqrt(value * (1 - value) / trials + z2 / (4 * trials**2))
    return Estimate(value, max(0.0, middle - half), min(1.0, middle + half))


def line(x: ArrayLike, y: ArrayLike, /) -> tuple[Estimate, Estimate]:
    """Return the slope and intercept of the least-squares line through points [n >= 3], with their t intervals."""
    over, up = np.asarray(x, float), np.asarray(y, float)
    if len(over) < 3 or len(over) != len(up) or not np.ptp(over) > 0:
        raise ValueError(
            f"a line needs at least three points at two different values; here are {len(over)} at {len(np.unique(over))}"
        )
    spread = float(np.square(over - over.mean()).sum())
    slope = float(((over - over.mean()) * (up - up.mean())).sum()) / spread
    start = float(up.mean()) - slope * float(over.mean())
    error = math.sqrt(float(np.square(up - slope * over - start).sum()) / (len(over) - 2)) * t_quantile(len(over) - 2)
    halves = error / math.sqrt(spread), error * math.sqrt(1 / len(over) + float(over.mean()) ** 2 / spread)
    first, second = (Estimate(value, value - half, value + half) for value, half in zip((slope, start), halves, strict=True))
    return first, second
