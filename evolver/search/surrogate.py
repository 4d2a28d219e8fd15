"""Predict the objectives of genomes from trained ones, by a Gaussian process on their features (Rasmussen and Williams 2006).

Uses plain NumPy: the master loads neither torch nor scikit-learn, and a fit of the last 256 outcomes takes some tens of
milliseconds for every eight outcomes. The same outcomes give the same predictions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecosel.objectives import ACCURACY, Objective

Floats = NDArray[np.float64]

_LAST = 256  # number of newest outcomes fitted
_LEARNT = 32  # number of outcomes before a model is used
_REFIT = 8  # number of outcomes after which the model is fitted again
_SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)  # length scales, in units of the square root of the number of features
_NOISES = (0.05, 0.3)  # noise variances of standardised values


@dataclass
class Surrogate:
    """A model of an objective that grows with the outcomes."""

    _features: list[Sequence[float]] = field(default_factory=list)
    _values: list[float] = field(default_factory=list)
    _fitted: int = -_REFIT  # number of outcomes that the model knows
    _model: _Process | None = None

    def __len__(self) -> int:
        return len(self._values)

    def add(self, features: Sequence[float], accuracy: float) -> None:
        """Add an outcome; a failed one has accuracy 0."""
        self._features.append(features)
        self._values.append(accuracy)

    def drawn(self, features: ArrayLike, rng: np.random.Generator) -> Floats:
        """Draw the accuracy of each genome [n, d] once, as a rank: a larger one is likely to be better."""
        if self._model is None or len(self) - self._fitted >= _REFIT:
            self._model, self._fitted = _fit(np.array(self._features[-_LAST:]), np.array(self._values[-_LAST:])), len(self)
        mean, deviation = self._model.predict(np.asarray(features, dtype=np.float64))
        return mean + deviation * rng.standard_normal(len(mean))


@dataclass
class Screen:
    """Choose one of several children by a draw of each objective that is unknown before training (Thompson sampling)."""

    objectives: Sequence[Objective]
    models: defaultdict[str, Surrogate] = field(default_factory=lambda: defaultdict(Surrogate))

    @property
    def ready(self) -> bool:
        return len(self.models[ACCURACY.column]) >= _LEARNT

    def add(self, features: Sequence[float], known: Mapping[str, float], values: Mapping[str, float | None]) -> None:
        """Record an outcome; the accuracy of one without values is 0."""
        for objective in self.objectives:
            value = values.get(objective.column) or (0.0 if objective == ACCURACY else None)
            if value is not None and objective.column not in known:
                self.models[objective.column].add(features, -objective.cost(value))

    def choose(self, features: Sequence[Sequence[float]], known: Sequence[Mapping[str, float]], rng: np.random.Generator) -> int:
        """Return the child with the best draw; with several objectives, any of those not dominated by another, at random."""
        costs = []
        for objective in self.objectives:
            column, model = objective.column, self.models[objective.column]
            if column in known[0]:
                costs.append(np.array([objective.cost(figures[column]) for figures in known]))
            elif len(model) >= _LEARNT:
                costs.append(-model.drawn(features, rng))
        if len(self.objectives) == 1:
            return int(costs[0].argmin())
        from ecosel.dominance import nondominated_mask

        return int(rng.choice(np.flatnonzero(nondominated_mask(np.column_stack(costs)))))


@dataclass(frozen=True)
class _Process:
    centre: Floats
    spread: Floats
    rows: Floats  # standardised
    scale: float
    lower: Floats  # Cholesky factor of the covariance
    weights: Floats

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        across = _covariance((features - self.centre) / self.spread, self.rows, self.scale)
        solved = np.linalg.solve(self.lower, across.T)
        return across @ self.weights, np.sqrt(np.maximum(1e-9, 1 - (solved**2).sum(axis=0)))


def _fit(features: Floats, values: Floats) -> _Process:
    """Fit by maximising the evidence over a grid of length scales and noises (Rasmussen and Williams 2006, eq. 2.30)."""
    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    rows = (features - centre) / spread
    # ranks, as accuracies crowd at chance level; equal ones share a rank
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count + 1) / 2)[place.reshape(-1)]
    wanted = (ranks - ranks.mean()) / (ranks.std() or 1.0)
    best: tuple[float, _Process] | None = None
    for scale in _SCALES:
        length = scale * float(np.sqrt(features.shape[1]))
        covariance = _covariance(rows, rows, length)
        for noise in _NOISES:
            noisy = covariance + noise * np.eye(len(rows))
            lower, weights = (
                np.asarray(found, dtype=np.float64) for found in (np.linalg.cholesky(noisy), np.linalg.solve(noisy, wanted))
            )
            evidence = float(-wanted @ weights / 2 - np.log(np.diag(lower)).sum())
            if best is None or evidence > best[0]:
                best = evidence, _Process(centre, spread, rows, length, lower, weights)
    assert best is not None
    return best[1]


def _covariance(one: Floats, other: Floats, length: float) -> Floats:
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    covariance: Floats = np.exp(-np.maximum(squares, 0.0) / (2 * length**2))
    return covariance
