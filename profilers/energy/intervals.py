"""95 % intervals: of a ratio of sums over groups, and of a share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_Z = 1.959963984540054
# Student's t, 97.5 % point, for 1 to 9 degrees of freedom; the expansion below is exact to 1e-4 from 10 on.
_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; low and high are None where it could not be told."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def relative(self) -> float:
        """Return half the interval over the value; infinite where there is no interval."""
        if self.low is None or self.high is None or not self.value:
            return math.inf
        return (self.high - self.low) / 2 / abs(self.value)

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


def ratio(numerators: ArrayLike, denominators: ArrayLike, /) -> Estimate:
    """Return sum / sum over groups [n], for instance joules over images, with a t interval over the groups.

    The variance is that of a ratio estimator: Cochran 1977, Sampling Techniques, eq. 6.13, without finite correction.
    """
    over, under = np.asarray(numerators, float), np.asarray(denominators, float)
    value = float(over.sum() / under.sum())
    if len(over) < 2:
        return Estimate(value)
    residuals = over - value * under
    # no dot product: BLAS rounds as the processor likes, and a trace must give the same bits everywhere
    error = math.sqrt(float(np.square(residuals).sum()) / (len(over) - 1) / len(over)) / float(under.mean())
    half = t_quantile(len(over) - 1) * error
    return Estimate(value, value - half, value + half)


def share(hits: int, trials: int, /) -> Estimate:
    """Return hits / trials with Wilson's interval (Wilson 1927)."""
    if not 0 <= hits <= trials or trials < 1:
        raise ValueError(f"{hits} of {trials} is not a share")
    value, z2 = hits / trials, _Z * _Z
    middle = (value + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z / (1 + z2 / trials) * math.sqrt(value * (1 - value) / trials + z2 / (4 * trials**2))
    return Estimate(value, max(0.0, middle - half), min(1.0, middle + half))
