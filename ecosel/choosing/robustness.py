"""Determine how much a choice depends on the weights and on measurement errors."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

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
# Rows whose lower hull is found at once.
_BLOCK = 1 << 16
# Of more rows that can reach the front, a hundred resamples would take minutes.
MOST_REACHING = 100_000
# Comparisons by which rows that cannot reach the front are left out: a few seconds.
_COMPARED = 1_000_000_000
# A resampled measurement lies within this many standard deviations; rows that cannot reach the front so are left out.
_REACH = 4.5
# Number of values drawn at once, so that they fit into the second-level cache.
_VALUES = 1 << 15


@dataclass(frozen=True)
class WinShares:
    """How often each row of a front is the best trade-off: held for the distinct rows that ever are, as millions may tie."""

    winners: NDArray[np.int64]
    """The distinct rows that win under some weighting."""
    of_winners: Values
    weightings_of_winners: Values
    copy_of: NDArray[np.int32]
    """For each row, the distinct one that it equals."""
    error: float
    """95 % half-width of a share; 0 if the shares are exact."""

    @cached_property
    def shares(self) -> Values:
        """Share [n] of all weightings under which each row is the best trade-off."""
        return self._of_all(self.of_winners, 0.0)

    @cached_property
    def weightings(self) -> Values:
        """A weighting [n, d] under which the row is the pick, as far inside its region as was found; NaN if none was found."""
        return self._of_all(self.weightings_of_winners, np.nan)

    def _of_all(self, values: Values, other: float) -> Values:
        distinct = np.full((int(self.copy_of.max()) + 1, *values.shape[1:]), other)
        distinct[self.winners] = values
        return distinct[self.copy_of]


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
        return WinShares(distinct[:, :1].argmin(axis=0), np.ones(1), np.full((1, d), 1.0 / d), copy_of, 0.0)
    if d == 2:
        winners, low, high = _winning_intervals(distinct)
        centre = (low + high) / 2
        return WinShares(winners, high - low, np.stack([centre, 1 - centre], axis=1), copy_of, 0.0)
    winners, shares, weightings = _sampled(distinct, np.random.default_rng(seed))
    return WinShares(winners, shares, weightings, copy_of, float(Z95 * 0.5 / np.sqrt(SAMPLES)))


def _distinct(z: Values) -> tuple[Values, NDArray[np.int32]]:
    """Return the distinct rows by first, then second column, and for each row the distinct one that it equals."""
    if all((column == column[0]).all() for column in z.T):
        return z[:1], np.zeros(len(z), dtype=np.int32)
    order = np.lexsort(z.T[::-1])
    is_new = np.zeros(len(z), dtype=np.bool_)
    is_new[0] = True
    for column in z.T:
        ordered = column[order]
        is_new[1:] |= ordered[1:] != ordered[:-1]
    copy_of = np.empty(len(z), dtype=np.int32)
    copy_of[order] = np.cumsum(is_new, dtype=np.int32) - np.int32(1)
    return z[order[is_new]], copy_of


def _winning_intervals(z: Values) -> tuple[NDArray[np.int64], Values, Values]:
    """Return the rows that win, and the interval [low, high] of the first weight t, second 1 - t, on which each does.

    t²a + (1-t)²b is smallest where s·a + b is, with s = (t / (1-t))²: the lower hull of the points (a, b).
    z: rows as of `_distinct`.
    """
    # a corner of the hull of all is one of its block, which takes less memory
    corners = np.concatenate([start + _lower_hull(*(z[start : start + _BLOCK] ** 2).T) for start in range(0, len(z), _BLOCK)])
    corners = corners[_lower_hull(*(z[corners] ** 2).T)]
    a, b = (z[corners] ** 2).T
    s = (b[:-1] - b[1:]) / (a[1:] - a[:-1])
    t = np.sqrt(s) / (1 + np.sqrt(s))
    # the smallest a wins where the first weight is large
    low, high = np.concatenate([t, [0.0]]), np.concatenate([[1.0], t])
    wins = high > low
    return corners[wins], low[wins], high[wins]


def _lower_hull(a: Values, b: Values) -> NDArray[np.int64]:
    """Return the corners of the lower left hull of the points (a, b), in order of a."""
    order = np.lexsort((b, a))
    falling = b[order]
    # the others are never better than a row that is at least as good in the first column
    falls = np.concatenate([[True], falling[1:] < np.minimum.accumulate(falling)[:-1]])
    x, y = a.copy().data, b.copy().data  # Python floats, one by one, as lists would take four times the memory
    del falling
    hull = array("q")
    for k in order[falls].data:
        while len(hull) > 1:
            i, j = hull[-2], hull[-1]
            if (y[i] - y[j]) * (x[k] - x[i]) > (y[i] - y[k]) * (x[j] - x[i]):
                break
            hull.pop()
        hull.append(k)
    return np.frombuffer(hull, dtype=np.int64)


def _sampled(z: Values, rng: np.random.Generator) -> tuple[NDArray[np.int64], Values, Values]:
    """Return the rows that win, their shares [k], and a weighting [k, d] of each."""
    weights = rng.dirichlet(np.ones(z.shape[1]), SAMPLES) ** 2
    smallest, winner = np.full(SAMPLES, np.inf), np.zeros(SAMPLES, dtype=np.int64)
    # blocks of draws times blocks of rows, so that the products fit into the second-level cache
    for first in range(0, len(z), _ROWS):
        squares = (z[first : first + _ROWS] ** 2).T
        for draw in range(0, SAMPLES, _DRAWS):
            block = slice(draw, draw + _DRAWS)
            distance = weights[block] @ squares
            nearest_here = distance.argmin(axis=1)
            value = distance[np.arange(len(distance)), nearest_here]
            better = value < smallest[block]
            smallest[block][better], winner[block][better] = value[better], first + nearest_here[better]
    winners, winner, wins = np.unique(winner, return_inverse=True, return_counts=True)
    inside = np.stack([np.bincount(winner, weights=column) for column in weights.T], axis=1)
    # The set of *squared* weights under which a row wins is convex, so their mean lies inside it.
    weightings = np.sqrt(inside / wins[:, None])
    return winners, wins / SAMPLES, weightings / weightings.sum(axis=1, keepdims=True)


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
) -> Resampling | None:
    """Resample the measurements and count how often each row is on the front and how often it is picked.

    costs [n, d]: smaller is better; below and above [n, d]: standard deviations towards smaller and larger cost (0: known
    exactly). Each side is half a normal distribution, cut at 4.5 standard deviations; objectives and rows are independent.
    distance maps the costs [m, d] of a front to distances [m]; rows [n] are the row numbers. RESAMPLES draws are made, fewer
    if more than 2,000 rows can reach the front, at least 100; None if more than MOST_REACHING can.
    """
    numbers = np.arange(len(costs)) if rows is None else np.asarray(rows)
    on_front, pick = np.zeros(len(costs)), np.zeros(len(costs))
    # a row whose best is dominated by another row's worst is never on the front
    worst = costs + _REACH * above
    best = costs - _REACH * below
    hopeless = dominated_by(_columns(_some_of(worst[nondominated_rows(_columns(worst))], len(best))), _columns(best))
    reaching = np.flatnonzero(~hopeless)
    if len(reaching) > MOST_REACHING:
        return None
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


def _some_of(front: Values, rows: int) -> Values:
    """Return the distinct rows of a front; only some if comparing them with so many rows would take long."""
    distinct = _distinct(front)[0]
    return distinct[:: -(-len(distinct) * rows // _COMPARED)]


def _columns(costs: Values) -> list[Values]:
    return list(np.ascontiguousarray(costs.T))
