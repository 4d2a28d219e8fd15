"""Turn limits into the models of a group that may be chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ecosel.limits import Limit, Within
from ecosel.objectives import ACCURACY, METRICS, Objective, is_share
from ecosel.readers.cells.units import factor_of

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Requirements:
    """The limits that a model must meet to be chosen. They restrict the choice, but never change ideal and scale."""

    limits: tuple[Limit, ...] = ()
    within: Within | None = None

    def __bool__(self) -> bool:
        return bool(self.limits) or self.within is not None

    def in_units(self, units: Mapping[str, str], /) -> Requirements:
        """Convert limits that name a unit to that of their column."""
        return replace(self, limits=tuple(_in_unit(limit, units.get(limit.column, "")) for limit in self.limits))

    def kept(self, rows: pl.DataFrame, /) -> tuple[Mask, ...]:
        """Return for each limit which rows [n] meet it; a row without a value does not."""
        return tuple(_keeps(limit, rows[limit.column]) for limit in self.limits)


def _in_unit(limit: Limit, unit: str) -> Limit:
    metric = METRICS.get(limit.column)
    own = factor_of(unit or (metric.unit if metric and metric.unit != "%" else ""))
    given = factor_of(limit.unit)
    if not limit.unit:
        return limit
    if own is None or given is None or own[0] != given[0]:
        raise ValueError(f"the limit {limit.text}: {limit.column} is in {unit or 'plain numbers'}, not in {limit.unit}")
    return Limit(limit.column, limit.value * given[1] / own[1], limit.relation)


def _keeps(limit: Limit, cells: pl.Series) -> Mask:
    compared = {"<=": cells.le, "<": cells.lt, ">=": cells.ge, ">": cells.gt}[limit.relation](limit.value)
    return compared.fill_null(False).to_numpy()


def near_best(within: Within, reference: Objective, values: Values, among: Mask, *, point: float) -> tuple[Mask, float]:
    """Return which rows of values [n] are near enough to the best one among some, and the bound."""
    if reference.is_quality:
        bound = within.least(float(values[among].max()), point=point)
        return values >= bound, bound
    bound = -within.least(-float(values[among].min()), point=point)
    return values <= bound, bound


def point_of(reference: Objective, values: Values) -> float:
    """Return the size of one point in the unit of a quality: 0.01 for a fraction, otherwise 1."""
    share = reference == ACCURACY or is_share(reference.column)
    return 0.01 if share and values.min() >= 0 and values.max() <= 1 else 1.0


def refuse_all(rows: pl.DataFrame, limits: Sequence[Limit], kept: Sequence[Mask], key: Mapping[str, Any] | None) -> str:
    """Say why no row of a group meets all limits: the limit that none meets, and the best value found."""
    group = ", ".join(f"{column} = {cell}" for column, cell in (key or {}).items()) + ": " if key else ""
    for limit, mask in zip(limits, kept, strict=True):
        if not mask.any():
            cells = rows[limit.column]
            best = cells.max() if limit.is_floor else cells.min()
            if not isinstance(best, (int, float)):
                return f"{group}no model has a value in {limit.column}, so none meets {limit.text}"
            return f"{group}no model has {limit.text}; the best has {best:.6g}"
    counts = ", ".join(f"{limit.text} ({int(mask.sum()):,} meet it)" for limit, mask in zip(limits, kept, strict=True))
    return f"{group}no model meets all limits: {counts}; drop one of them"
