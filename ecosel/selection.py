"""Choose among the models of a frame: front, best by each objective, best trade-off."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ecosel.choosing.cleaning import (
    as_frame,
    canonical_objectives,
    finished_only,
    group_key,
    grouped,
    measured_error,
    percent_ideal,
    remark_on_errors,
    used_rows,
)
from ecosel.choosing.robustness import Acceptability, Membership, acceptability, membership
from ecosel.choosing.scoring import Rule, Scale, distances, nearest, spread
from ecosel.dominance import nondominated_rows
from ecosel.objectives import ACCURACY, Objective, Sense
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
    acceptability: Acceptability
    membership: Membership | None
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

    def shares(self) -> dict[int, float]:
        """Acceptability above 0 by row number, largest first."""
        shares = self.acceptability.shares
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
class Selection:
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

    def frame(self) -> pl.DataFrame:
        """Return the picks as a frame: one row for each group, selection, role and model."""
        from ecosel.output.documents import picks_frame

        return picks_frame(self)

    def to_dict(self) -> dict[str, Any]:
        """Return what `ecosel select --format json` prints."""
        from ecosel.output.documents import as_document

        return as_document(self)

    def __str__(self) -> str:
        from ecosel.output.text import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def select(
    frame: Any,
    /,
    objectives: Mapping[str, Sense] | Sequence[Objective] | None = None,
    *,
    labels: Sequence[str] = (),
    by: Sequence[str] = (),
    weights: Mapping[str, float] | None = None,
    ideal: Mapping[str, float] | None = None,
    scale: Scale = "max",
    preset: Literal["paper"] | None = None,
    top: int = 1,
    joint: bool = True,
    pairs: bool = True,
    seed: int = 0,
    origin: Origin | None = None,
) -> Selection:
    """Find the fronts of a frame and choose its best trade-offs (Young et al. 2019, section IV).

    frame: a polars frame, or anything with the Arrow or dataframe protocol (pandas, pyarrow). objectives: column to
    "max" or "min"; without them the canonical columns that hold a value. Cells are cleaned as in files: text that reads
    as a number is one, NaN and infinity are missing, rows that miss an objective are left out and counted.
    Columns `<objective>_low` and `_high` (95 % interval) or `_std` (standard deviation) are taken as measurement errors.

    Raises ValueError for an argument that does not fit, ArchiveError for cells that cannot be used.

    >>> models = pl.DataFrame({"accuracy": [0.80, 0.82, 0.70], "parameters": [1_070_311, 25_506_331, 2_000_000]})
    >>> choice = select(models).choices[0]
    >>> choice.front, choice.picks["trade_off"]
    ((0, 1), (0,))
    """
    frame = as_frame(frame)
    remarks: list[str] = []
    if objectives is None:
        chosen: tuple[Objective, ...] = ()
    elif isinstance(objectives, Mapping):
        chosen = tuple(Objective(column, sense) for column, sense in objectives.items())
    else:
        chosen = tuple(objectives)
    if objectives is not None and not chosen:
        raise ValueError("no objective is named")
    _check_columns(frame, chosen, labels, by, seed=seed, top=top, joint=joint, pairs=pairs)
    if ROW not in frame.columns:
        frame = frame.with_row_index(ROW)
    origin = origin or Origin()
    total = frame.height + origin.filtered + origin.unfinished
    finished = finished_only(frame)
    origin = Origin(origin.path, origin.filtered, origin.unfinished + frame.height - finished.height)
    chosen = chosen or canonical_objectives(finished, remarks)
    models, errors, left_out = used_rows(finished.with_columns(group_key(finished[column]) for column in by), chosen)
    remark_on_errors(models, errors, remarks)
    ideal = ideal or {}
    if ACCURACY in chosen and "accuracy" not in ideal:
        ideal = {**percent_ideal(models, remarks), **ideal}
    rule = Rule(scale, weights or {}, ideal, preset)
    rule.check(chosen)
    groups = tuple(
        Group(key, tuple(_choices(chosen, rule, rows, errors, joint=joint, pairs=pairs, top=top, seed=seed)))
        for key, rows in grouped(models, by)
    )
    kept = list(dict.fromkeys([ROW, *labels, *by, *(objective.column for objective in chosen), *errors]))
    return Selection(origin, total, models.select(kept), left_out, chosen, rule, tuple(labels), groups, seed, tuple(remarks))


def _check_columns(
    frame: pl.DataFrame,
    chosen: Sequence[Objective],
    labels: Sequence[str],
    by: Sequence[str],
    *,
    seed: int,
    top: int,
    joint: bool,
    pairs: bool,
) -> None:
    columns = [objective.column for objective in chosen]
    for column in [*columns, *labels, *by]:
        if column not in frame.columns:
            raise ValueError(f"no column {column!r}; the columns are {', '.join(map(repr, frame.columns))}")
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise ValueError(f"objective {twice[0]!r} is named twice")
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be at least 0")
    if top < 1:
        raise ValueError(f"top is {top}; it must be at least 1")
    if not (joint or pairs):
        raise ValueError("neither the joint selection nor the pairs are wanted; nothing is left to choose")


def _choices(
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
        member = _membership(some, rows, errors, ideal=ideal, scales=scales, weights=weights, seed=seed) if errors else None
        yield Choice(
            kind, some, rows.height, tuple(numbers[front].tolist()), front_values, distances(deviations, weights),
            ideals, divisors, weighting, acceptability(deviations, seed=seed), member, top,
        )  # fmt: skip


def _membership(
    some: Sequence[Objective], rows: pl.DataFrame, errors: Sequence[str], *,
    ideal: Values, scales: Values, weights: Values, seed: int,
) -> Membership:  # fmt: skip
    """Resample the measurements under the ideal and the scale of the selection as it is printed."""
    signs = np.array([-1.0 if o.is_quality else 1.0 for o in some])
    values = np.stack([rows[o.column].cast(pl.Float64).to_numpy() for o in some], axis=1)
    towards = [measured_error(rows, o, errors) for o in some]
    below = np.stack([high if o.is_quality else low for o, (low, high) in zip(some, towards, strict=True)], axis=1)
    above = np.stack([low if o.is_quality else high for o, (low, high) in zip(some, towards, strict=True)], axis=1)

    def distance(costs: Values) -> Values:
        # a draw that is better than the ideal is at the ideal, not beyond it
        return distances(np.maximum(costs / scales - signs * ideal / scales, 0.0), weights)

    return membership(values * signs, below, above, distance=distance, seed=seed, rows=rows[ROW].to_list())


def _pairs(objectives: tuple[Objective, ...]) -> list[tuple[Objective, Objective]]:
    """Return every (quality, cost); where one side is empty, the first named objective takes its place."""
    qualities = [objective for objective in objectives if objective.is_quality]
    costs = [objective for objective in objectives if not objective.is_quality]
    if not qualities:
        qualities, costs = costs[:1], costs[1:]
    elif not costs:
        qualities, costs = qualities[1:], qualities[:1]
    return [(quality, cost) for quality in qualities for cost in costs]
