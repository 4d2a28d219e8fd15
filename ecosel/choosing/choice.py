"""Choose among the models of one group: front, best by each objective, best trade-off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ecosel.choosing.cleaning import (
    measured_error,
)
from ecosel.choosing.robustness import Resampling, WinShares, resample, win_shares
from ecosel.choosing.scoring import Rule, distances, nearest, spread
from ecosel.dominance import nondominated_rows
from ecosel.objectives import Objective
from ecosel.readers.table import ROW

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Choice:
    """The front of some objectives in one group of models, and the models chosen from it."""

    kind: Literal["pair", "joint"]
    objectives: tuple[Objective, ...]
    used: int
    """Number of models that the front was taken of."""
    front: tuple[int, ...]
    """Row numbers of the nondominated models, ascending; copies included."""
    values: Values
    """Objectives [m, d] of the front, in their own units."""
    distance: Values
    """Weighted distance [m] of the front to the ideal point."""
    ideal: Mapping[str, float]
    scale: Mapping[str, float]
    weights: Mapping[str, float]
    wins: WinShares
    resampling: Resampling | None
    """None where the archive has no measurement errors."""
    top: int

    @property
    def picks(self) -> dict[str, tuple[int, ...]]:
        """Row numbers by role: `best:<column>` for each objective, `trade_off`; ties in row order."""
        picks = {}
        for k, objective in enumerate(self.objectives):
            column = self.values[:, k]
            picks[f"best:{objective.column}"] = self._rows(
                np.flatnonzero(column == (column.max() if objective.is_quality else column.min()))
            )
        return {**picks, "trade_off": self._rows(nearest(self.distance))}

    @property
    def nearest(self) -> tuple[int, ...]:
        """Row numbers of the `top` models nearest to the ideal point, nearest first; never fewer than the ties at the top."""
        count = max(self.top, len(self.picks["trade_off"]))
        return self._rows(np.argsort(self.distance, kind="stable")[:count])

    def at(self, row: int, /) -> int:
        """Return the position on the front of the model with that row number."""
        return self.front.index(row)

    def win_shares(self) -> dict[int, float]:
        """WinShares above 0 by row number, largest first."""
        shares = self.wins.shares
        return {self.front[k]: float(shares[k]) for k in np.argsort(-shares, kind="stable") if shares[k] > 0}

    def _rows(self, positions: NDArray[np.int64]) -> tuple[int, ...]:
        return tuple(self.front[k] for k in positions)


@dataclass(frozen=True, eq=False)
class Group:
    """The choices among the models that share the values of the grouping columns."""

    key: Mapping[str, Any] | None
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Origin:
    """Where the rows of a frame come from, and how many were left out before."""

    path: str | None = None
    filtered: int = 0
    unfinished: int = 0


@dataclass(frozen=True, eq=False)
class Chosen:
    """Everything that was chosen from an archive, and the rule by which."""

    origin: Origin
    rows: int
    """Number of rows of the archive, those left out included."""
    models: pl.DataFrame = field(repr=False)
    """The rows used: their numbers, labels, groups, objectives and the errors of these."""
    left_out: pl.DataFrame = field(repr=False)
    """The rows without a value in an objective: their numbers and the columns that lack it."""
    objectives: tuple[Objective, ...]
    rule: Rule
    labels: tuple[str, ...]
    groups: tuple[Group, ...]
    seed: int
    remarks: tuple[str, ...] = ()

    @property
    def choices(self) -> tuple[Choice, ...]:
        return tuple(choice for group in self.groups for choice in group.choices)

    def label(self, row: int, /) -> str | None:
        """Return the label of a row, or None where it has none."""
        if not self.labels:
            return None
        at = self.models[ROW].index_of(row)
        cells = [] if at is None else [self.models[column][at] for column in self.labels]
        return " / ".join("" if cell is None else str(cell) for cell in cells)


def choices(
    objectives: tuple[Objective, ...], rule: Rule, rows: pl.DataFrame, errors: Sequence[str], *,
    joint: bool, pairs: bool, top: int, seed: int,
) -> Iterator[Choice]:  # fmt: skip
    wanted: list[tuple[Literal["pair", "joint"], tuple[Objective, ...]]] = []
    if pairs:
        wanted += [("pair", pair) for pair in _pairs(objectives)]
    if joint or not wanted:
        wanted.append(("joint", objectives))
    numbers = rows[ROW].to_numpy()
    values = {o.column: rows[o.column].cast(pl.Float64).to_numpy() for o in objectives}
    costs = {o.column: o.costs(rows[o.column]) for o in objectives}
    ranges = {column: spread(cells) for column, cells in values.items()}
    for kind, some in wanted:
        columns = [o.column for o in some]
        front = nondominated_rows([costs[column] for column in columns])
        front_values = np.stack([values[column][front] for column in columns], axis=1)
        ideal = rule.ideal_point(some, front_values)
        scales = rule.scales(some, ideal, front_values, np.array([ranges[column] for column in columns]))
        weights = rule.weight_vector(some)
        front_values.setflags(write=False)
        deviations = front_values / scales - ideal / scales  # in this order: a difference of floats may overflow
        ideals, divisors, weighting = (
            MappingProxyType(dict(zip(columns, part.tolist(), strict=True))) for part in (ideal, scales, weights)
        )
        member = _resampling(some, rows, errors, ideal=ideal, scales=scales, weights=weights, seed=seed) if errors else None
        yield Choice(
            kind, some, rows.height, tuple(numbers[front].tolist()), front_values, distances(deviations, weights),
            ideals, divisors, weighting, win_shares(deviations, seed=seed), member, top,
        )  # fmt: skip


def _resampling(
    some: Sequence[Objective], rows: pl.DataFrame, errors: Sequence[str], *,
    ideal: Values, scales: Values, weights: Values, seed: int,
) -> Resampling:  # fmt: skip
    """Resample the measurements under the ideal and the scale of the selection as it is printed."""
    signs = np.array([-1.0 if o.is_quality else 1.0 for o in some])
    values = np.stack([rows[o.column].cast(pl.Float64).to_numpy() for o in some], axis=1)
    towards = [measured_error(rows, o, errors) for o in some]
    below = np.stack([high if o.is_quality else low for o, (low, high) in zip(some, towards, strict=True)], axis=1)
    above = np.stack([low if o.is_quality else high for o, (low, high) in zip(some, towards, strict=True)], axis=1)

    def distance(costs: Values) -> Values:
        # a draw that is better than the ideal is at the ideal, not beyond it
        return distances(np.maximum(costs / scales - signs * ideal / scales, 0.0), weights)

    return resample(values * signs, below, above, distance=distance, seed=seed, rows=rows[ROW].to_list())


def _pairs(objectives: tuple[Objective, ...]) -> list[tuple[Objective, Objective]]:
    """Return every (quality, cost); where one side is empty, the first named objective takes its place."""
    qualities = [objective for objective in objectives if objective.is_quality]
    costs = [objective for objective in objectives if not objective.is_quality]
    if not qualities:
        qualities, costs = costs[:1], costs[1:]
    elif not costs:
        qualities, costs = qualities[1:], qualities[:1]
    return [(quality, cost) for quality in qualities for cost in costs]


def models_of(selection: Chosen, group: Group) -> pl.DataFrame:
    """Return the used rows of one group."""
    if group.key is None:
        return selection.models
    return selection.models.filter(*(pl.col(column).eq_missing(pl.lit(cell)) for column, cell in group.key.items()))


def shown_choices(selection: Chosen) -> list[tuple[Group, Choice]]:
    """Return the choices of all groups, without a joint selection that repeats the only pair."""
    return [
        (group, choice)
        for group in selection.groups
        for choice in group.choices
        if choice.kind == "pair" or len(group.choices) != 2 or len(choice.objectives) != 2
    ]
