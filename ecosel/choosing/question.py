"""The question of a selection: objectives, groups, rule and requirements, checked against the columns of a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ecosel.choosing.scoring import Rule
from ecosel.limits import Limit, Within, parse_limit, parse_within
from ecosel.objectives import ACCURACY, CANONICAL, METRICS, Objective, Sense, is_share
from ecosel.readers.cells.units import factor_of

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


Pick = Literal["distance", "knee"]


@dataclass(frozen=True)
class Requirements:
    """The limits that a model must meet to be chosen. They restrict the choice, but never change the ideal and scale."""

    limits: tuple[Limit, ...] = ()
    within: Within | None = None

    def __bool__(self) -> bool:
        return bool(self.limits) or self.within is not None

    def in_units(self, units: Mapping[str, str], /) -> Requirements:
        """Convert limits with a unit to the unit of their column."""
        return replace(self, limits=tuple(_in_unit(limit, units.get(limit.column, "")) for limit in self.limits))

    def kept(self, rows: pl.DataFrame, /) -> tuple[Mask, ...]:
        """Return, for each limit, which rows [n] meet it; a row without a value does not."""
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
    """Return which of values [n] are near enough to the best one marked in `among`, and the bound."""
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
    """State why no row of a group meets all limits: the limit that no row meets, and the best value found."""
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


@dataclass(frozen=True, kw_only=True)
class Question:
    """The question of a selection. Without objectives, the canonical ones that have values are used."""

    objectives: tuple[Objective, ...]
    labels: tuple[str, ...]
    by: tuple[str, ...]
    mean_over: tuple[str, ...]
    rule: Rule
    requirements: Requirements
    pick: Pick
    top: int
    joint: bool
    pairs: bool
    seed: int

    @property
    def limited(self) -> list[str]:
        return [limit.column for limit in self.requirements.limits]

    def check(self, names: Sequence[str], /) -> None:
        """Raise ValueError if a column is not in names, or a number or option is invalid."""
        columns = [objective.column for objective in self.objectives]
        for column in [*columns, *self.labels, *self.by, *self.mean_over]:
            _known(column, names)
        twice = [column for column in columns if columns.count(column) > 1]
        if twice:
            raise ValueError(f"objective {twice[0]!r} is named twice")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must be at least 0")
        if self.top < 1:
            raise ValueError(f"top is {self.top}; it must be at least 1")
        if not (self.joint or self.pairs):
            raise ValueError("neither the joint selection nor the pairs are wanted; there is nothing to choose")
        if self.pick not in ("distance", "knee") or (self.pick == "knee" and self.requirements.within is not None):
            raise ValueError(f"pick is {self.pick!r}; it must be 'distance' or 'knee', and without within")


def objectives_of(given: Mapping[str, Sense] | Sequence[Objective] | None, /) -> tuple[Objective, ...]:
    """Return the objectives given as `{"acc": "max"}` or as a sequence of objectives."""
    if given is None:
        return ()
    named = [Objective(column, sense) for column, sense in given.items()] if isinstance(given, Mapping) else given
    chosen = tuple(named)
    if isinstance(given, str) or not all(isinstance(objective, Objective) for objective in chosen):
        raise ValueError(f"objectives {given!r}: say of each column which end is better, as in {{'acc': 'max', 'ms': 'min'}}")
    if not chosen:
        raise ValueError("no objective is named")
    return chosen


def requirements_of(
    names: Sequence[str],
    objectives: Sequence[Objective],
    limits: Sequence[str | Limit],
    within: str | Within | None,
    /,
) -> Requirements:
    """Read limits on the columns in names, and how near to the best quality a model must be."""
    senses = {objective.column: objective.sense for objective in objectives or CANONICAL}

    def column(name: str) -> str:
        return _known(name, names)

    read = [limit if isinstance(limit, Limit) else parse_limit(limit, column=column, sense=senses.get) for limit in limits]
    ends = [(column(limit.column), limit.is_floor) for limit in read]
    for limit, end in zip(read, ends, strict=True):
        if ends.count(end) > 1:
            both = " and ".join(other.text for other, its in zip(read, ends, strict=True) if its == end)
            raise ValueError(f"a limit of {limit.column} is given twice: {both}")
    return Requirements(tuple(read), parse_within(within) if isinstance(within, str) else within)


def _known(name: str, names: Sequence[str]) -> str:
    if name not in names:
        raise ValueError(f"no column {name!r}; the columns are {', '.join(map(repr, names))}")
    return name
