"""Hold a choice: the front, the best by each objective, the best trade-off, the answer, and the limits that bind it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ecosel.choosing.question import Requirements
from ecosel.choosing.robustness import Resampling, WinShares
from ecosel.choosing.row_numbers import RowNumbers
from ecosel.choosing.scoring import Rule, nearest, smallest
from ecosel.objectives import Objective
from ecosel.readers.table import ROW

_LONG_FRACTION = re.compile(r"-?\d{1,6}\.\d{7,}")
# Largest number of rows that sentences about a choice name.
_MENTIONED = 50

Values = NDArray[np.float64]


Role = Literal["trade_off", "within", "knee"]


@dataclass(frozen=True)
class Restriction:
    """A limit of one choice, or its bound on the quality, and the effect of dropping it."""

    text: str
    kept: int
    """Number of models that meet it."""
    without: RowNumbers
    """Row numbers of the answer without it; empty if the answer is the same, so the limit does not bind."""
    values: tuple[float, ...]
    """Objectives of the first of these."""


@dataclass(frozen=True, eq=False)
class Choice:
    """The front of some objectives in one group of models, and the models chosen from it."""

    kind: Literal["pair", "joint"]
    objectives: tuple[Objective, ...]
    used: int
    """Number of models among which the front was found: those that meet all limits."""
    front: RowNumbers
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
    """None if the archive has no measurement errors, or too many models are within theirs of the front."""
    top: int
    answer: RowNumbers
    """Row numbers of the models to choose, ties in row order: the best trade-off, unless another was asked for."""
    role: Role = "trade_off"
    """The role of the answer."""
    restrictions: tuple[Restriction, ...] = ()
    worst: Mapping[str, float] = field(default_factory=dict)
    """The worst value of each objective among all models used, the reference point of the hypervolume."""

    @cached_property
    def picks(self) -> dict[str, RowNumbers]:
        """Row numbers by role: `best:<column>` for each objective, `trade_off`, and the answer's; ties in row order."""
        picks = {}
        for k, objective in enumerate(self.objectives):
            column = self.values[:, k]
            picks[f"best:{objective.column}"] = self._rows(
                np.flatnonzero(column == (column.max() if objective.is_quality else column.min()))
            )
        return {**picks, "trade_off": self._rows(nearest(self.distance)), self.role: self.answer}

    @property
    def nearest(self) -> RowNumbers:
        """Row numbers of the `top` models nearest to the ideal point, nearest first; never fewer than the ties at the top."""
        return self._rows(smallest(self.distance, max(self.top, len(self.picks["trade_off"]))))

    def at(self, row: int, /) -> int:
        """Return the position on the front of the model with that row number."""
        position = int(np.searchsorted(self.front.array, row))
        if position == len(self.front) or self.front[position] != row:
            raise ValueError(f"row {row} is not on the front")
        return position

    @property
    def rule(self) -> dict[str, dict[str, float]]:
        """The ideal, scale and weight of each objective."""
        return {"ideal": dict(self.ideal), "scale": dict(self.scale), "weights": dict(self.weights)}

    def mentioned(self) -> list[int]:
        """Return the rows that a sentence about this choice may name, at most `_MENTIONED`."""
        rows = [
            *(rows[0] for rows in self.picks.values()),
            *(bound.without[0] for bound in self.restrictions if bound.without),
            *self.win_shares(_MENTIONED),
            *(self.resampling.rows if self.resampling else ()),
        ]
        return list(dict.fromkeys(rows))[:_MENTIONED]

    def win_shares(self, most: int | None = None, /) -> dict[int, float]:
        """Return the win shares above 0 by row number, largest first; at most as many as requested."""
        shares = self.wins.shares
        order = smallest(-shares, len(shares) if most is None else most)
        order = order[shares[order] > 0]
        return dict(zip(self._rows(order), shares[order].tolist(), strict=True))

    def rival(self) -> tuple[int, float] | None:
        """Return the model that wins under most weightings beside the best trade-off and its ties, with its share."""
        others = self.wins.shares.copy()
        others[nearest(self.distance)] = 0.0
        largest = int(others.argmax())
        return (self.front[largest], float(others[largest])) if others[largest] > 0 else None

    def _rows(self, positions: NDArray[np.int64]) -> RowNumbers:
        if len(positions) == len(self.front) and (positions[1:] > positions[:-1]).all():
            return self.front  # millions of ties share one array
        return RowNumbers(self.front.array[positions])


@dataclass(frozen=True, eq=False)
class Group:
    """The choices among the models that share the values of the grouping columns."""

    key: Mapping[str, Any] | None
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Origin:
    """Where the rows of a frame come from, and how many were left out beforehand."""

    path: str | None = None
    filtered: int = 0
    unfinished: int = 0
    """Number of rows without a result, including those in `statuses`."""
    statuses: Mapping[str, int] = field(default_factory=dict)
    """Number of rows by status, for rows whose tool reports no result."""

    def with_unfinished(self, rows: pl.DataFrame, /) -> Origin:
        """Add the rows that their tool calls unfinished."""
        statuses = rows["state"].fill_null("no status").value_counts().sort("state").iter_rows()
        return replace(self, unfinished=self.unfinished + rows.height, statuses=dict(statuses))


@dataclass(frozen=True, eq=False)
class Chosen:
    """Everything that was chosen from an archive, and the rule by which."""

    origin: Origin
    rows: int
    """Number of rows in the archive, including those left out."""
    models: pl.DataFrame = field(repr=False)
    """The rows used: their numbers, labels, groups, objectives, and the errors of the objectives."""
    left_out: pl.DataFrame = field(repr=False)
    """The rows without a value in an objective: their numbers and the columns that lack it."""
    objectives: tuple[Objective, ...]
    rule: Rule
    labels: tuple[str, ...]
    groups: tuple[Group, ...]
    seed: int
    remarks: tuple[str, ...] = ()
    requirements: Requirements = field(default_factory=Requirements)
    given_ideals: tuple[str, ...] = ()
    """The columns whose ideal was given by the user."""
    unfinished: pl.DataFrame = field(default_factory=pl.DataFrame, repr=False)
    """The rows that their tool calls unfinished: their numbers, the state, and the column that says it; and those that
    summarise the rows above, without such a column."""
    units: Mapping[str, str] = field(default_factory=dict)
    """The unit of the cells of a column, if they have one that its name does not state."""
    beside: pl.DataFrame | None = field(default=None, repr=False)
    """All columns of some rows, used to tell models with the same name apart."""

    @property
    def choices(self) -> tuple[Choice, ...]:
        return tuple(choice for group in self.groups for choice in group.choices)

    def label(self, row: int, /) -> str | None:
        """Return the label of a row, or None if it has none."""
        return self.labels_of([row])[0]

    def labels_of(self, rows: Sequence[int], /) -> list[str | None]:
        """Return the labels of rows."""
        if not self.labels or not rows:
            return [None] * len(rows)
        wanted = pl.Series(ROW, rows, dtype=self.models[ROW].dtype)
        at = self.models[ROW].search_sorted(wanted)  # ascending
        known = (at < self.models.height).to_list()
        found = self.models[at.clip(upper_bound=self.models.height - 1)]
        texts = [[label_text(cell) for cell in found[column].to_list()] for column in self.labels]
        names = zip(zip(*texts, strict=True), known, (found[ROW] == wanted).to_list(), strict=True)
        return [" / ".join(filter(None, cells)) if there and same else "" for cells, there, same in names]

    def lineage(self, row: int, /) -> tuple[str, str] | None:
        """Return the variant of a row and the model it was made from; None if it is not a variant, or its parent is unknown."""
        if not {"variant", "parent"} <= set(self.models.columns):
            return None
        at = self.models[ROW].search_sorted(row)
        if at >= self.models.height or self.models[ROW][at] != row or self.models["variant"][at] is None:
            return None
        return str(self.models["variant"][at]), str(self.models["parent"][at])


def label_text(cell: object, /) -> str:
    """Return a cell as part of a label, "" if it is missing; a fraction with many digits is shortened."""
    text = "" if cell is None or cell != cell else str(cell)
    return f"{float(text):.6g}" if _LONG_FRACTION.fullmatch(text) else text


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
