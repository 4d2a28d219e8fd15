"""Fit a sensor's response to a known load: an average over a window before each update, or an exponential response.

Model: reading = base + gain · share, where share is the part of the averaging window under load (a boxcar), or the load filtered
by 1 - exp(-t / time constant). The sensor's lag is fitted together with the window or time constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from profilers.energy.intervals import Estimate
from profilers.energy.readings import Floats

Shape = Literal["boxcar", "exponential"]

SHORTEST_S = 0.004
_LONGEST_S = 3.0
_FEWEST_LOADS, _FEWEST_UPDATES = 5, 12
_GENTLE_S = 0.2
_AFTERGLOW_S = 1.8  # boards idle at a higher power for this long after a load (RTX 3090, RTX 4090, A5000)
_EXPLAINED = 0.8  # share of the readings' variance that the load must explain
_WIDEST = 0.3  # half-width of an interval, as a share of its estimate, above which the estimate is a guess
_ALIKE = 0.15  # as a share of a window: windows farther apart than this are different answers
_RHYTHM = 6.0  # times the least sum of squares: a length that leaves less, whole periods of the loads away, is a rival
_BETTER = 0.5  # share of a boxcar's squared residuals that an exponential may leave at most
_SURELY_BETTER = 0.1  # ... if there are too few loads per window


class Unidentifiable(Exception):  # noqa: N818
    """The readings do not determine the response."""


@dataclass(frozen=True)
class Response:
    """A window or a time constant in seconds, with its 95 % interval."""

    shape: Shape
    length_s: Estimate


def fit_response(updated_s: Floats, updates: Floats, load_s: Floats, period_s: float, /) -> Response:
    """Fit both shapes to updates [n] under loads [m, 2]; raise Unidentifiable, with the reason, if they do not determine it."""
    few = len(load_s) < _FEWEST_LOADS
    # with few loads, only the first rise is used: a load may end gradually, and the idle power after it may differ
    last_s = load_s[0, 1] - _GENTLE_S if few else load_s[-1, 1] + _AFTERGLOW_S
    kept = updated_s < last_s
    updated_s, updates = updated_s[kept], updates[kept]
    if len(updates) < _FEWEST_UPDATES:
        raise Unidentifiable(f"{len(updates)} updates under known loads are too few")
    longest_s = min(_LONGEST_S, (updated_s[-1] - updated_s[0]) / 3)
    fits = [_Fit.best(shape, updated_s, updates, load_s, period_s, longest_s) for shape in ("boxcar", "exponential")]
    boxcar, exponential = fits
    better = _SURELY_BETTER if few else _BETTER
    lasts = exponential.length_s > period_s / 2
    found = exponential if lasts and exponential.squares < better * boxcar.squares else boxcar
    if few and found is boxcar:
        raise Unidentifiable(f"{len(load_s)} loads are too few")
    return Response(found.shape, found.estimate(longest_s))


class _Fit:
    """One shape, with its best length and lag."""

    def __init__(self, shape: Shape, updated_s: Floats, updates: Floats, load_s: Floats, period_s: float) -> None:
        self.shape, self.period_s = shape, period_s
        # a board idles at a higher power after work than before: changes not caused by the load are projected out
        levels = [np.ones(len(updates)), (updated_s > load_s[0, 0]) & (len(load_s) >= _FEWEST_LOADS)]
        basis, strength, _ = np.linalg.svd(np.stack(levels, axis=1).astype(float), full_matrices=False)
        self._levels = basis[:, strength > 1e-9]
        self._updated_s, self._updates = updated_s, self._beside(updates)
        edges_s = load_s.ravel()
        on_s = np.concatenate([[0.0], np.cumsum(load_s[:, 1] - load_s[:, 0])])
        self._starts_s, self._ends_s = load_s[:, 0], load_s[:, 1]
        self._edges_s = np.concatenate([[edges_s[0] - 1.0], edges_s])
        self._on_s = np.concatenate([[0.0], np.repeat(on_s, 2)[1:-1]])
        self.point = np.zeros(2)  # log of the length, lag
        self.squares = 0.0

    @classmethod
    def best(cls, shape: Shape, updated_s: Floats, updates: Floats, load_s: Floats, period_s: float, longest_s: float) -> _Fit:
        """Search a grid, as there are many local minima, then descend from its best points (Levenberg-Marquardt)."""
        fit = cls(shape, updated_s, updates, load_s, period_s)
        lags_s, lengths_s = fit._lags(), np.geomspace(SHORTEST_S, longest_s, 36)
        left = np.stack([fit.unexplained(length_s, lags_s) for length_s in lengths_s])
        best = np.argsort(left, axis=None)[:3]
        starts = [
            (np.log(lengths_s[row]), lags_s[column]) for row, column in zip(*np.unravel_index(best, left.shape), strict=True)
        ]
        fit.point = min((fit._descend(np.array(start)) for start in starts), key=fit._squares)
        fit.squares = fit._squares(fit.point)
        return fit

    @property
    def length_s(self) -> float:
        return float(np.exp(self.point[0]))

    def _lags(self) -> Floats:
        return np.linspace(-0.05 * self.period_s, self.period_s, 24)

    def share(self, length_s: float, lag_s: Floats) -> Floats:
        """Return the part of the reading that shows the load: shape (lags, updates)."""
        ends_s = self._updated_s - np.asarray(lag_s)[..., None]
        if self.shape == "boxcar":
            before = np.interp(ends_s - length_s, self._edges_s, self._on_s)
            share: Floats = (np.interp(ends_s, self._edges_s, self._on_s) - before) / length_s
            return share
        since = [np.maximum(ends_s[..., None] - edges_s, 0.0) for edges_s in (self._starts_s, self._ends_s)]
        on, off = (1 - np.exp(-one / length_s) for one in since)
        share = (on - off).sum(axis=-1)
        return share

    def _beside(self, values: Floats) -> Floats:
        """Return the part of values [..., updates] not explained by the idle levels."""
        rest: Floats = values - (values @ self._levels) @ self._levels.T
        return rest

    def unexplained(self, length_s: float, lag_s: Floats) -> Floats:
        """Return the residual sum of squares for each lag."""
        share = self._beside(self.share(length_s, lag_s))
        spread = np.maximum((share**2).sum(axis=-1), 1e-12)
        left: Floats = (self._updates**2).sum() - (share * self._updates).sum(axis=-1) ** 2 / spread
        return left

    def _residuals(self, log_length: float, lag_s: float) -> Floats:
        """Return readings minus the model with its best levels and gain."""
        share = self._beside(self.share(float(np.exp(np.clip(log_length, -9.0, 5.0))), np.asarray(lag_s)))
        residuals: Floats = self._updates - share * ((share @ self._updates) / max(float(share @ share), 1e-12))
        return residuals

    def _squares(self, point: Floats) -> float:
        residuals = self._residuals(point[0], point[1])
        return float(residuals @ residuals)

    def _jacobian(self, point: Floats) -> Floats:
        columns = []
        for step in (np.array([0.01, 0.0]), np.array([0.0, 0.01 * self.period_s])):
            ahead, behind = point + step, point - step
            columns.append((self._residuals(*ahead) - self._residuals(*behind)) / (2 * step.sum()))
        return np.stack(columns, axis=1)

    def _descend(self, point: Floats) -> Floats:
        damping, square = 1e-2, self._squares(point)
        for _ in range(25):
            residuals, slope = self._residuals(*point), self._jacobian(point)
            curvature = slope.T @ slope
            for _ in range(6):
                ridge = damping * np.diag(np.diag(curvature)) + 1e-12 * np.eye(2)
                step = np.linalg.solve(curvature + ridge, slope.T @ residuals)
                following = self._squares(point - step)
                if following < square:
                    break
                damping *= 5
            else:
                return point
            gained, point, square, damping = square - following, point - step, following, damping / 5
            if gained < 1e-7 * square:
                break
        return point

    def estimate(self, longest_s: float) -> Estimate:
        """Return the length with its interval; raise Unidentifiable if other lengths fit nearly as well."""
        explained = 1 - self.squares / float((self._updates**2).sum())
        if explained < _EXPLAINED:
            raise Unidentifiable(f"the load explains {max(explained, 0):.0%} of the readings' variance; that is too little")
        length_s = self.length_s
        if not 1.1 * SHORTEST_S < length_s < 0.9 * longest_s:
            raise Unidentifiable(
                f"it is not between {SHORTEST_S * 1e3:.0f} ms and {longest_s:.2g} s, the range that these loads can resolve"
            )
        half = 1.96 * self._standard_error()  # of log(length)
        rival_s = self._rival(longest_s)
        if not half < _WIDEST or rival_s is not None:
            other = "others fit" if rival_s is None else f"{rival_s * 1e3:.0f} ms fits"
            raise Unidentifiable(f"{length_s * 1e3:.0f} ms fits best, but {other} nearly as well; use loads of more lengths")
        return Estimate(length_s, length_s * float(np.exp(-half)), length_s * float(np.exp(half)))

    def _rival(self, longest_s: float) -> float | None:
        """Return a quite different length that fits nearly as well."""
        # twice the F threshold of two parameters at 95 %, as residuals beside edges are correlated
        allowed = self.squares * (1 + 12 / max(1, len(self._updates) - 4))
        lags_s, lengths_s = self._lags(), np.geomspace(SHORTEST_S, longest_s, 90)
        for length_s in lengths_s[np.abs(np.log(lengths_s) - self.point[0]) > _ALIKE].tolist():
            if self.unexplained(length_s, lags_s).min() < allowed:
                return float(length_s)
        # under loads with a steady rhythm, an average over more whole periods looks the same
        periods_s = np.diff(self._starts_s)
        if len(periods_s) and periods_s.std() < 0.1 * periods_s.mean():
            for length_s in self.length_s + periods_s.mean() * np.array([-3, -2, -1, 1, 2, 3]):
                if length_s > SHORTEST_S and self.unexplained(float(length_s), lags_s).min() < _RHYTHM * self.squares:
                    return float(length_s)
        return None

    def _standard_error(self) -> float:
        """Return the standard error of log(length), robust to errors only in updates beside an edge (White 1980, HC3)."""
        residuals, slope = self._residuals(*self.point), self._jacobian(self.point)
        inverse = np.linalg.pinv(slope.T @ slope)
        leverage = np.einsum("ij,jk,ik->i", slope, inverse, slope)
        weighted = slope.T * (residuals / (1 - np.minimum(leverage, 0.95))) ** 2
        return float(np.sqrt((inverse @ weighted @ slope @ inverse)[0, 0]))
