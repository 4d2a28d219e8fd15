"""Determine how much a choice depends on the weights and on measurement errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecosel.choosing.cleaning.rows import Z95
from ecosel.choosing.scoring import are_nearest
from ecosel.dominance import nondominated_masks, nondominated_rows
from ecosel.dominance.plain import dominated_by

Values = NDArray[np.float64]

SAMPLES = 10_000
RESAMPLES = 1_000
_DRAWS, _ROWS = 250, 1024
# A resampled measurement lies within this many standard deviations; rows that cannot reach the front so are left out.
_REACH = 4.5
# Number of values drawn at once, so that they fit into the second-level cache.
_VALUES = 1 << 15


@dataclass(frozen=True)
class WinShares:
    """Share [n] of all weightings under which each front row is the best trade-off."""

    shares: Values
    error: float
    """95 % half-width of a share; 0 if the shares are exact."""
    weightings: Values
    """A weighting [n, d] under which the row is the pick, as far inside its region as was found; NaN if none was found."""


def win_shares(deviations: Values, /, *, seed: int) -> WinShares:
    """Return the share of the weight simplex on which each row of deviations [n, d], (x - ideal) / scale, is nearest.

    Weights are uniform on the simplex (Lahdelma et al. 1998, SMAA, rank-1 acceptability). Exact for d <= 2, by the
    lower envelope of the squared distances; for more, the share of SAMPLES seeded draws. Equal rows win together.
    """
    z = np.abs(deviations)
    z /= z.max() or 1.0  # so that squares stay finite
    distinct, copy_of = _distinct(z)
    d = z.shape[1]
    if d == 1 or len(distinct) == 1:
        shares = np.zeros(len(distinct))
        shares[np.argmin(distinct[:, 0]) if d == 1 else 0] = 1.0
        weightings = np.where(shares[:, None] > 0, 1.0 / d, np.nan)
        return WinShares(shares[copy_of], 0.0, np.broadcast_to(weightings, distinct.shape)[copy_of])
    if d == 2:
        low, high = _winning_intervals(distinct)
        centre = np.where(high > low, (low + high) / 2, np.nan)
        return WinShares((high - low)[copy_of], 0.0, np.stack([centre, 1 - centre], axis=1)[copy_of])
    shares, weightings = _sampled(distinct, np.random.default_rng(seed))
    return WinShares(shares[copy_of], float(Z95 * 0.5 / np.sqrt(SAMPLES)), weightings[copy_of])


def _distinct(z: Values) -> tuple[Values, NDArray[np.int64]]:
    """Return the distinct rows by first, then second column, and for each row the distinct one that it equals."""
    order = np.lexsort(z.T[::-1])
    ordered = z[order]
    is_new = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])
    copy_of = np.empty(len(z), dtype=np.int64)
    copy_of[order] = np.cumsum(is_new) - 1
    return ordered[is_new], copy_of


def _winning_intervals(z: Values) -> tuple[Values, Values]:
    """Return the interval [low, high] of the first weight t, second 1 - t, on which each row wins; rows as of `_distinct`.

    t²a + (1-t)²b is smallest where s·a + b is, with s = (t / (1-t))²: the lower hull of the points (a, b).
    """
    a, b = np.ascontiguousarray((z**2).T)
    hull = _lower_hull(a, b)
    low, high = np.zeros(len(z)), np.zeros(len(z))
    corners = np.array(hull)
    s = (b[corners[:-1]] - b[corners[1:]]) / (a[corners[1:]] - a[corners[:-1]])
    t = np.sqrt(s) / (1 + np.sqrt(s))
    # the smallest a wins where the first weight is large
    high[corners], low[corners] = np.concatenate([[1.0], t]), np.concatenate([t, [0.0]])
    return low, high


def _lower_hull(a: Values, b: Values) -> list[int]:
    """Return the corners of the lower left hull of the points (a, b), in order of a."""
    order = np.lexsort((b, a))
    falling = b[order]
    # the others are never better than a row that is at least as good in the first column
    falls = np.concatenate([[True], falling[1:] < np.minimum.accumulate(falling)[:-1]])
    x, y = a.data, b.data  # Python floats, one by one, as lists would take four times the memory
    hull: list[int] = []
    for k in order[falls].data:
        while len(hull) > 1:
            i, j = hull[-2], hull[-1]
            if (y[i] - y[j]) * (x[k] - x[i]) > (y[i] - y[k]) * (x[j] - x[i]):
                break
            hull.pop()
        hull.append(k)
    return hull


def _sampled(z: Values, rng: np.random.Generator) -> tuple[Values, Values]:
    squares = (z**2).T
    weights = rng.dirichlet(np.ones(z.shape[1]), SAMPLES) ** 2
    smallest, winner = np.full(SAMPLES, np.inf), np.zeros(SAMPLES, dtype=np.int64)
    # blocks of draws times blocks of rows, so that the products fit into the second-level cache
    for first in range(0, len(z), _ROWS):
        for draw in range(0, SAMPLES, _DRAWS):
            block = slice(draw, draw + _DRAWS)
            distance = weights[block] @ squares[:, first : first + _ROWS]
            nearest_here = distance.argmin(axis=1)
            value = distance[np.arange(len(distance)), nearest_here]
            better = value < smallest[block]
            smallest[block][better], winner[block][better] = value[better], first + nearest_here[better]
    wins = np.bincount(winner, minlength=len(z))
    inside = np.stack([np.bincount(winner, weights=column, minlength=len(z)) for column in weights.T], axis=1)
    # The set of *squared* weights under which a row wins is convex, so their mean lies inside it.
    with np.errstate(invalid="ignore"):
        weightings = np.sqrt(inside / wins[:, None])
    return wins / SAMPLES, weightings / weightings.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Resampling:
    """The shares of resampled measurements in which a row is on the front, and in which it is the pick."""

    rows: Mapping[int, tuple[float, float]]
    """By row number: (share on the front, share as the pick), for each row that is ever on the front."""
    resamples: int

    def of(self, row: int, /) -> tuple[float, float]:
        return self.rows.get(row, (0.0, 0.0))


def resample(
    costs: Values,
    below: Values,
    above: Values,
    /,
    *,
    distance: Callable[[Values], Values],
    seed: int,
    rows: Sequence[int] | None = None,
) -> Resampling:
    """Resample the measurements and count how often each row is on the front and how often it is picked.

    costs [n, d]: smaller is better; below and above [n, d]: standard deviations towards smaller and larger cost (0: known
    exactly). Each side is half a normal distribution, cut at 4.5 standard deviations; objectives and rows are independent.
    distance maps the costs [m, d] of a front to distances [m]; rows [n] are the row numbers. RESAMPLES draws are made, fewer
    if more than 2,000 rows can reach the front, at least 100.
    """
    numbers = np.arange(len(costs)) if rows is None else np.asarray(rows)
    on_front, pick = np.zeros(len(costs)), np.zeros(len(costs))
    # a row whose best is dominated by another row's worst is never on the front
    worst = costs + _REACH * above
    best = costs - _REACH * below
    hopeless = dominated_by(_columns(worst[nondominated_rows(_columns(worst))]), _columns(best))
    reaching = np.flatnonzero(~hopeless)
    costs, below, above = costs[reaching], below[reaching], above[reaching]
    resamples = max(100, min(RESAMPLES, RESAMPLES * 2_000 // len(reaching)))
    rng = np.random.default_rng(seed)
    at_once = max(1, _VALUES // costs.size)
    for start in range(0, resamples, at_once):
        shape = (min(at_once, resamples - start), *costs.shape)
        draw = np.clip(rng.standard_normal(shape), -_REACH, _REACH)
        sampled = costs + draw * np.where(draw < 0, below, above)
        front = nondominated_masks(sampled, to_come=resamples - start)
        far = np.where(front, distance(sampled.reshape(-1, costs.shape[1])).reshape(front.shape), np.inf)
        on_front[reaching] += front.sum(axis=0)
        pick[reaching] += (are_nearest(far) & front).sum(axis=0)
    seen = np.flatnonzero(on_front)
    return Resampling({int(numbers[k]): (on_front[k] / resamples, pick[k] / resamples) for k in seen}, resamples)


def _columns(costs: Values) -> list[Values]:
    return list(np.ascontiguousarray(costs.T))
