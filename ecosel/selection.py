"""Choose among the models of a frame: front, best by each objective, best trade-off."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ecosel.archive.cells import numbers
from ecosel.archive.table import ROW
from ecosel.dominance import nondominated_rows
from ecosel.errors import ArchiveError
from ecosel.objectives import ACCURACY, CANONICAL, STATUSES, Objective, Sense
from ecosel.robustness import Z95, Acceptability, Membership, acceptability, membership
from ecosel.scoring import Rule, Scale, distances, nearest, spread

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
    """Over the rows of the front; None where the archive has no measurement errors."""
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
    """The rows used: their numbers, labels, groups and objectives."""
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
        at = self.models[ROW].search_sorted(row) if self.models[ROW].is_sorted() else self.models[ROW].index_of(row)
        cells = [self.models[column][at] for column in self.labels]
        return " / ".join("" if cell is None else str(cell) for cell in cells)

    def frame(self) -> pl.DataFrame:
        """Return the picks as a frame: one row for each group, selection, role and model."""
        from ecosel.outputs import picks_frame

        return picks_frame(self)

    def to_dict(self) -> dict[str, Any]:
        """Return what `ecosel select --format json` prints."""
        from ecosel.outputs import as_document

        return as_document(self)

    def __str__(self) -> str:
        from ecosel.outputs import as_text

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
        chosen = canonical_objectives(frame, remarks)
    elif isinstance(objectives, Mapping):
        chosen = tuple(Objective(column, sense) for column, sense in objectives.items())
    else:
        chosen = tuple(objectives)
    _check_columns(frame, chosen, labels, by, seed=seed, top=top, joint=joint, pairs=pairs)
    if ROW not in frame.columns:
        frame = frame.with_row_index(ROW)
    origin = origin or Origin()
    total = frame.height + origin.filtered + origin.unfinished
    finished = finished_only(frame)
    origin = Origin(origin.path, origin.filtered, origin.unfinished + frame.height - finished.height)
    models, errors, left_out = _used(finished.with_columns(_group_key(finished[column]) for column in by), chosen)
    rule = Rule(scale, dict(weights or {}), {**_percent(models, chosen, remarks), **(ideal or {})}, preset)
    rule.check(chosen)
    groups = tuple(
        Group(key, tuple(_choices(chosen, rule, rows, errors, joint=joint, pairs=pairs, top=top, seed=seed)))
        for key, rows in _grouped(models, by)
    )
    kept = list(dict.fromkeys([ROW, *labels, *by, *(objective.column for objective in chosen)]))
    return Selection(origin, total, models.select(kept), left_out, chosen, rule, tuple(labels), groups, seed, tuple(remarks))


def as_frame(frame: Any, /) -> pl.DataFrame:
    """Return a frame of any library as a polars frame."""
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if hasattr(frame, "__arrow_c_stream__"):
        return pl.DataFrame(frame)
    if hasattr(frame, "__dataframe__"):
        return pl.from_dataframe(frame)
    raise ValueError(f"{type(frame).__name__} is not a frame; give polars, pandas or Arrow")


def canonical_objectives(frame: pl.DataFrame, remarks: list[str], /) -> tuple[Objective, ...]:
    """Return the canonical objectives that frame has values for; append a remark on each empty one."""
    found = [objective for objective in CANONICAL if objective.column in frame.columns]
    empty = [objective for objective in found if frame[objective.column].null_count() == frame.height]
    remarks.extend(f"{objective.column} holds no value and is no objective" for objective in empty)
    chosen = tuple(objective for objective in found if objective not in empty)
    if len(chosen) < 2:
        raise ValueError("name the objectives: fewer than two canonical columns hold a value")
    return chosen


def finished_only(frame: pl.DataFrame, /) -> pl.DataFrame:
    """Drop the rows of ecosel's own archives that never got a result; a foreign `status` column changes nothing."""
    if "status" in frame.columns and frame["status"].dtype == pl.String:
        statuses = frame["status"].unique().drop_nulls()
        if len(statuses) and statuses.is_in(STATUSES).all():
            return frame.filter(pl.col("status") == "ok")
    return frame


def _check_columns(
    frame: pl.DataFrame, chosen: Sequence[Objective], labels: Sequence[str], by: Sequence[str], *, seed: int, top: int, joint: bool, pairs: bool
) -> None:
    columns = [objective.column for objective in chosen]
    if not columns:
        raise ValueError("no objective is named")
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


def _percent(models: pl.DataFrame, chosen: Sequence[Objective], remarks: list[str]) -> dict[str, float]:
    """Return the ideal of `accuracy` where it is not the fraction of a canonical archive but percent."""
    if ACCURACY not in chosen or not 1 < models["accuracy"].max() <= 100:  # type: ignore[operator]
        return {}
    remarks.append("accuracy goes above 1 and is taken as percent: its ideal is 100")
    return {"accuracy": 100.0}


def _used(frame: pl.DataFrame, chosen: Sequence[Objective]) -> tuple[pl.DataFrame, tuple[str, ...], pl.DataFrame]:
    """Clean the objectives and their errors; return the rows used, the error columns among them, and the rows left out."""
    columns = [objective.column for objective in chosen]
    errors = tuple(
        name
        for column in columns
        for name in ([f"{column}_std"] if f"{column}_std" in frame.columns else [f"{column}_low", f"{column}_high"])
        if name in frame.columns and name not in columns
    )
    cleaned = frame.with_columns([numbers(frame[name], rows=frame[ROW]) for name in [*columns, *errors]])
    incomplete = pl.any_horizontal(pl.col(columns).is_null())
    missing = cleaned.filter(incomplete).select(
        ROW, pl.concat_str([pl.when(pl.col(c).is_null()).then(pl.lit(c)) for c in columns], separator=", ", ignore_nulls=True).alias("missing")
    )
    used = cleaned.filter(~incomplete) if missing.height else cleaned
    if not used.height:
        if not frame.height:
            raise ArchiveError("no row is left to choose from")
        lacking = max(columns, key=lambda column: cleaned[column].null_count())
        raise ArchiveError(
            f"no row has a value in every objective; {lacking!r} is missing in {cleaned[lacking].null_count()} of {frame.height} rows"
        )
    _check_errors(used, columns, errors)
    return used, errors, missing


def _check_errors(used: pl.DataFrame, columns: Sequence[str], errors: Sequence[str]) -> None:
    for column in columns:
        for name, wrong, rule in (
            (f"{column}_std", pl.col(f"{column}_std") < 0, "a standard deviation is not negative"),
            (f"{column}_low", pl.col(f"{column}_low") > pl.col(column), f"the lower end is not above {column}"),
            (f"{column}_high", pl.col(f"{column}_high") < pl.col(column), f"the upper end is not below {column}"),
        ):
            if name in errors and (bad := used.filter(wrong)).height:
                raise ArchiveError(f"column {name!r}: {bad[name][0]:g} in row {bad[ROW][0]}; {rule}")


def _group_key(cells: pl.Series) -> pl.Series:
    """Return a grouping column without NaN and infinity, and with whole numbers as such where text writes them so."""
    if cells.dtype.is_float():
        return pl.select(pl.when(cells.is_finite()).then(cells)).to_series().alias(cells.name)
    if cells.dtype == pl.String:
        whole = cells.cast(pl.Int64, strict=False)
        if whole.cast(pl.String).eq_missing(cells).all():
            return whole
    return cells


def _grouped(models: pl.DataFrame, by: Sequence[str]) -> Iterator[tuple[dict[str, Any] | None, pl.DataFrame]]:
    if not by:
        yield None, models
        return
    for key, rows in models.group_by(by, maintain_order=True):
        yield dict(zip(by, key, strict=True)), rows


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
    cells = {o.column: rows[o.column].rechunk() for o in objectives}
    values = {column: series.cast(pl.Float64).to_numpy() for column, series in cells.items()}
    costs = {o.column: o.costs(cells[o.column]) for o in objectives}
    ranges = {column: spread(cells) for column, cells in values.items()}
    for kind, some in wanted:
        columns = [o.column for o in some]
        front = nondominated_rows([costs[column] for column in columns])
        front_values = np.stack([values[column][front] for column in columns], axis=1)
        ideal = rule.ideal_point(some, front_values)
        scales = rule.scales(some, ideal, front_values, np.array([ranges[column] for column in columns]))
        weights = rule.weight_vector(some)
        deviations = front_values / scales - ideal / scales  # in this order: a difference of floats may overflow
        yield Choice(
            kind, some, rows.height, tuple(numbers[front].tolist()), front_values, distances(deviations, weights),
            dict(zip(columns, ideal.tolist(), strict=True)), dict(zip(columns, scales.tolist(), strict=True)),
            dict(zip(columns, weights.tolist(), strict=True)), acceptability(deviations, seed=seed),
            _membership(some, rows, errors, front, ideal=ideal, scales=scales, weights=weights, seed=seed) if errors else None, top,
        )  # fmt: skip


def _membership(
    some: Sequence[Objective], rows: pl.DataFrame, errors: Sequence[str], front: NDArray[np.int64], *,
    ideal: Values, scales: Values, weights: Values, seed: int,
) -> Membership:  # fmt: skip
    """Resample the measurements under the ideal and the scale of the selection as it is printed."""
    signs = np.array([-1.0 if o.is_quality else 1.0 for o in some])
    values = np.stack([rows[o.column].cast(pl.Float64).to_numpy() for o in some], axis=1)
    towards = [_measured_error(rows, o, errors) for o in some]
    below = np.stack([high if o.is_quality else low for o, (low, high) in zip(some, towards, strict=True)], axis=1)
    above = np.stack([low if o.is_quality else high for o, (low, high) in zip(some, towards, strict=True)], axis=1)

    def distance(costs: Values) -> Values:
        return distances(costs * signs / scales - ideal / scales, weights)

    member = membership(values * signs, below, above, distance=distance, seed=seed)
    return Membership(member.on_front[front], member.pick[front])


def _pairs(objectives: tuple[Objective, ...]) -> list[tuple[Objective, Objective]]:
    """Return every (quality, cost); where one side is empty, the first named objective takes its place."""
    qualities = [objective for objective in objectives if objective.is_quality]
    costs = [objective for objective in objectives if not objective.is_quality]
    if not qualities:
        qualities, costs = costs[:1], costs[1:]
    elif not costs:
        qualities, costs = qualities[1:], qualities[:1]
    return [(quality, cost) for quality in qualities for cost in costs]


def _measured_error(rows: pl.DataFrame, objective: Objective, errors: Sequence[str]) -> tuple[Values, Values]:
    """Return the standard deviations [n] towards lower and higher values; 0 where none was measured."""
    measured = rows[objective.column].cast(pl.Float64)
    if (name := f"{objective.column}_std") in errors:
        std = rows[name].cast(pl.Float64).fill_null(0.0).to_numpy()
        return std, std
    ends = [rows[name].cast(pl.Float64) if name in errors else measured
            for name in (f"{objective.column}_low", f"{objective.column}_high")]  # fmt: skip
    low, high = (pl.select(pl.coalesce(end, measured)).to_series() for end in ends)
    return (measured - low).to_numpy() / Z95, (high - measured).to_numpy() / Z95

