"""Turn the objectives of a front into distances to the ideal point.

distance(x) = sqrt(sum_i (w_i · (x_i - ideal_i) / scale_i)²), Young et al. 2019, section IV: "the lowest
weighted-Euclidean distance to the theoretical (but unattainable) best performance". The paper states neither weights
nor scale, so every result states both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ecosel.objectives import ACCURACY, METRICS, Objective

Scale = Literal["max", "range", "archive-range", "none"]
Values = NDArray[np.float64]

_PAPER_UNITS = {column: metric.paper_unit for column, metric in METRICS.items() if metric.paper_unit is not None}


@dataclass(frozen=True)
class Rule:
    """The rule of distances to the ideal: scale, and the weights and ideal values that differ from the default."""

    scale: Scale = "max"
    weights: Mapping[str, float] = field(default_factory=dict)
    ideal: Mapping[str, float] = field(default_factory=dict)
    preset: Literal["paper"] | None = None

    def __post_init__(self) -> None:
        for name in ("weights", "ideal"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        if self.scale not in get_args(Scale):
            raise ValueError(f"scale is {self.scale!r}; it must be one of {', '.join(get_args(Scale))}")
        if self.preset not in (None, "paper"):
            raise ValueError(f"preset is {self.preset!r}; the only one is 'paper'")
        if self.preset and self.scale not in ("max", "none"):
            raise ValueError(f"preset 'paper' fixes the scale; it does not go with scale {self.scale!r}")
        for column, weight in self.weights.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"weight of {column!r} is {weight}; it must be a finite number >= 0")
        for column, value in self.ideal.items():
            if not math.isfinite(value):
                raise ValueError(f"ideal of {column!r} is {value}; it must be a finite number")

    def check(self, objectives: Sequence[Objective], /) -> None:
        """Raise ValueError if a weight, an ideal or the preset does not fit the objectives."""
        columns = [objective.column for objective in objectives]
        for what, given in (("weight", self.weights), ("ideal", self.ideal)):
            for column in given:
                if column not in columns:
                    raise ValueError(f"{what} of {column!r}: not an objective; the objectives are {', '.join(columns)}")
        if self.preset:
            foreign = [column for column in columns if column not in _PAPER_UNITS]
            if foreign:
                raise ValueError(f"preset 'paper' knows {', '.join(_PAPER_UNITS)}; it has no unit for {', '.join(foreign)}")

    def ideal_point(self, objectives: Sequence[Objective], front: Values, /) -> Values:
        """Return the ideal value [d] of each objective, given the values [n, d] of the front in their own units.

        It is 0 for a cost, 1 for `accuracy`, and otherwise, as for a cost with values below 0, the best value on the front.
        """
        ideal = np.empty(len(objectives))
        for k, objective in enumerate(objectives):
            best = float(front[:, k].max() if objective.is_quality else front[:, k].min())
            known = 1.0 if objective == ACCURACY else best if objective.is_quality else min(0.0, best)
            ideal[k] = self.ideal.get(objective.column, known)
            if best > ideal[k] if objective.is_quality else best < ideal[k]:
                raise ValueError(
                    f"ideal of {objective.column!r} is {ideal[k]:g}, but a model reaches {best:g};"
                    " an ideal must be at least as good as every model"
                )
        return ideal

    def scales(self, objectives: Sequence[Objective], ideal: Values, front: Values, archive_ranges: Values, /) -> Values:
        """Return the divisor [d] of each objective, given the values [n, d] of the front and the ranges [d] over all rows."""
        if self.preset:
            fraction_or_percent = {"accuracy": 100.0 if self.ideal.get("accuracy", 1.0) > 1 else 1.0}
            return np.array([{**_PAPER_UNITS, **fraction_or_percent}[objective.column] for objective in objectives])
        if self.scale == "none":
            return np.ones(len(objectives))
        ranges = np.array([spread(column) for column in front.T])
        scales = archive_ranges.copy() if self.scale == "archive-range" else ranges.copy()
        if self.scale == "max":
            for k, objective in enumerate(objectives):
                if not objective.is_quality and front[:, k].min() >= 0:
                    scales[k] = front[:, k].max()
                elif objective == ACCURACY or (objective.is_quality and objective.column in self.ideal):
                    scales[k] = abs(ideal[k]) or ranges[k]
        return np.where(scales > 0, scales, 1.0)

    def weight_vector(self, objectives: Sequence[Objective], /) -> Values:
        weights = np.array([self.weights.get(objective.column, 1.0) for objective in objectives])
        if not weights.any():
            raise ValueError(f"all weights of {', '.join(o.column for o in objectives)} are 0; at least one must be positive")
        return weights


# Rows whose distances are computed at once, so that what lies between takes little memory.
_AT_ONCE = 1 << 15


def distances(deviations: Values, weights: Values, /) -> Values:
    """Return the weighted Euclidean norm [n] of deviations [n, d], (x - ideal) / scale, without overflow."""
    norms = np.empty(len(deviations))
    for start in range(0, len(norms), _AT_ONCE):
        weighted = np.abs(deviations[start : start + _AT_ONCE] * weights)
        largest = weighted.max(axis=1, initial=0.0)
        safe = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
        norms[start : start + _AT_ONCE] = largest * np.sqrt(np.sum((weighted / safe[:, None]) ** 2, axis=1))
    return norms


def knee(costs: Values, /) -> NDArray[np.int64]:
    """Return the positions on a front, costs [n, d], that are farthest from the plane through its ends, towards the ideal.

    The plane passes through the best row of each objective, each scaled by its range on the front: the knee of
    Das 1999, "On characterizing the 'knee' of the Pareto curve based on normal-boundary intersection". Where these rows
    do not span a plane that falls in every objective, the plane through 1 on each axis is used. Empty if nothing bends.
    """
    extent = np.array([spread(column) for column in costs.T])
    costs, extent = costs[:, extent > 0], extent[extent > 0]
    if len(extent) < 2:
        return np.array([], dtype=np.int64)
    unit = costs / extent - costs.min(axis=0) / extent
    ends = unit[[np.lexsort((unit.sum(axis=1), column))[0] for column in unit.T]]
    try:
        plane = np.linalg.solve(ends, np.ones(len(ends)))
    except np.linalg.LinAlgError:
        plane = np.ones(len(ends))
    if not (np.isfinite(plane).all() and (plane > 0).all()):
        plane = np.ones(len(ends))
    bend = (1.0 - unit @ plane) / np.linalg.norm(plane)
    return np.flatnonzero(bend >= bend.max() * (1 - _TIE)) if bend.max() > _FLAT else np.array([], dtype=np.int64)


# A front is flat if its farthest row is nearer to the plane than this, in ranges of its objectives.
_FLAT = 1e-9
# Distances this close to the smallest one are ties: a change of units shifts them by a few units in the last place.
_TIE = 1e-12


def nearest(distance: Values, /) -> NDArray[np.int64]:
    """Return the positions of the smallest of distance [n], including ties, in order."""
    return np.flatnonzero(are_nearest(distance))


def smallest(values: Values, count: int, /) -> NDArray[np.int64]:
    """Return the positions of the `count` smallest of values [n], smallest first, equal ones in order."""
    if count >= len(values):
        return np.argsort(values, kind="stable")
    last = np.partition(values, count - 1)[count - 1]
    found = np.concatenate([np.flatnonzero(values < last), np.flatnonzero(values == last)])[:count]
    return found[np.argsort(values[found], kind="stable")]


def are_nearest(distance: Values, /) -> NDArray[np.bool_]:
    """Mark the smallest of each row of distance [..., n], including ties."""
    marked: NDArray[np.bool_] = distance <= distance.min(axis=-1, keepdims=True) * (1 + _TIE)
    return marked


def spread(column: Values, /) -> float:
    """Return max - min, at most the largest float."""
    return float(2 * min(0.5 * column.max() - 0.5 * column.min(), np.finfo(float).max / 2))
