"""Reduce a selection to the size of a page: the fronts, the models or a sample of them, and heat maps of all models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ecosel.choosing.choice import Choice, Group, models_of
from ecosel.objectives import Objective
from ecosel.output.characters import shortened
from ecosel.output.measures import Measure, measures
from ecosel.output.names import names_of
from ecosel.readers.table import ROW
from ecosel.report.view.axes import Axis, axis
from ecosel.report.view.letters import Lettered, choices_of, lettered
from ecosel.selection import Selection

Values = NDArray[np.float64]
Rows = NDArray[np.int64]

# Up to this many models are all drawn; for more, the fronts, a sample of the others, and a heat map of all.
ALL_DRAWN = 5_000
SAMPLE = 400
# Larger fronts are thinned to the models that can be the pick and an even selection of the others.
_LARGEST_FRONT, _MOST_WINNERS = 3_000, 8_000
HEAT_CELLS = (52, 36)
# A model that wins under a smaller share of all weightings does not widen the range of interest.
_OF_INTEREST = 0.01
# The best model in a cost is in view unless that would make the range of the other axis this many times as wide.
_WIDEST = 2.5
# The share of models in view if the models of interest are close together, and their maximum number.
_IN_VIEW, _MOST_WANTED = 0.1, 100
# A front of at most this many models is always entirely in view, and so is a group of at most this many.
_SMALL_FRONT = _SMALL_GROUP = 4
# Other models widen a range to at most this many times the front's own, which counts as at least this part of its values.
_MOST_COMPANY, _LEAST_WIDTH = 4.0, 0.05
_LONGEST_NAME = 80


@dataclass(frozen=True, eq=False)
class Heat:
    """Number of models in each cell of a panel: cell [k, 2] (column, row from the bottom) and count [k], without empty ones."""

    cell: NDArray[np.int64]
    count: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Panel:
    """One cost against one quality: axes, and the choice whose front and pick are drawn."""

    choice: Choice
    x: Axis
    y: Axis
    heat: Mapping[tuple[bool, bool], Heat]
    """Heat maps by (zoom, log); empty if all models are drawn as points."""
    in_view: Mapping[bool, int]
    """Number of models within the range, by zoom."""

    @property
    def has_step_line(self) -> bool:
        return len(self.choice.objectives) == 2

    def domains(self, *, zoom: bool, log: bool) -> tuple[tuple[float, float], tuple[float, float]]:
        return self.x.domain(zoom=zoom, log=log), self.y.domain(zoom=zoom, log=False)


@dataclass(frozen=True, eq=False)
class GroupView:
    """The drawn part of one group: its panels, its choices, and the models on the page."""

    group: Group
    objectives: tuple[Objective, ...]
    """All objectives; the values of the k-th are in the field `v<k>`."""
    choices: tuple[Choice, ...]
    all_models: pl.DataFrame
    """All models of the group: row number, objectives and labels, in row order."""
    models: pl.DataFrame
    """The models on the page."""
    letters: tuple[Lettered, ...]
    labels: tuple[str, ...]
    """Columns that name a model."""
    fronts: tuple[Rows, ...]
    """Row numbers of each choice's front, as far as the models are on the page."""
    names: Mapping[int, str]
    """Distinct names of the models on the page, by row number."""
    measures: Mapping[str, Measure]
    """The format of each objective's values, by column."""

    @property
    def total(self) -> int:
        return self.all_models.height

    @cached_property
    def panels(self) -> tuple[Panel, ...]:
        return _panels(self.measures, self.choices, self.all_models, heated=self.is_sampled)

    @property
    def is_sampled(self) -> bool:
        return self.models.height < self.total

    @property
    def name(self) -> str:
        """The values of the grouping columns, or ""."""
        return " / ".join(str(cell) for cell in (self.group.key or {}).values())

    @cached_property
    def _short_names(self) -> dict[int, str]:
        return dict(zip(self.names, told_apart(list(self.names.values()), list(self.names), 36), strict=True))

    @cached_property
    def letter_of(self) -> dict[int, str]:
        return {model.row: model.letter for model in self.letters}

    def called(self, row: int, /) -> str:
        """Return the letter of a model, or a short name if it has none."""
        return self.letter_of.get(row) or self._short_names.get(row, f"row {row}")

    def known(self, row: int, /) -> str:
        """Return the name of a model, on the page or not."""
        return self.names.get(row, f"row {row}")

    def in_full(self, row: int, /) -> str:
        """Return the letter and the name of a model."""
        name = self.names.get(row, f"row {row}")
        return name if self.letter_of.get(row, name) == name else f"{self.letter_of[row]}  {name}"

    @property
    def joint(self) -> Choice | None:
        return next((choice for choice in self.choices if choice.kind == "joint"), None)


def told_apart(names: Sequence[str], rows: Sequence[int], most: int) -> list[str]:
    """Cut names to a number of characters; names that then coincide get their row numbers."""
    cut = [shortened(name, most) for name in names]
    times = Counter(cut)
    tails = [f" (row {row})" if times[name] > 1 else "" for name, row in zip(cut, rows, strict=True)]
    return [shortened(name, most - len(tail)) + tail for name, tail in zip(names, tails, strict=True)]


def group_views(selection: Selection, /, rows: pl.DataFrame | None = None) -> tuple[GroupView, ...]:
    """Reduce each group of a selection to its drawn part. The same selection always gives the same sample.

    rows (with ROW) are those of the archive; their other columns distinguish models with the same name.
    """
    letters = lettered(selection)
    used = selection.models.height
    parts = measures(selection)
    objectives = [o.column for o in selection.objectives]
    rng = np.random.default_rng(selection.seed)
    views = []
    for position, group in enumerate(selection.groups):
        models = models_of(selection, group)
        choices = tuple(choices_of(selection, group))
        own = tuple(model for model in letters if model.group == position)
        fronts = tuple(_shipped_front(choice) for choice in choices)
        budget = models.height if used <= ALL_DRAWN else max(50, SAMPLE * models.height // used)
        shipped = _shipped(models, [*fronts, np.array([model.row for model in own], dtype=np.int64)], budget, rng)
        called = names_of(shipped, selection.labels, rows, besides=[*objectives, *(group.key or {})])
        names = dict(zip(shipped[ROW].to_list(), told_apart(called, shipped[ROW].to_list(), _LONGEST_NAME), strict=True))
        views.append(
            GroupView(group, selection.objectives, choices, models, shipped, own, selection.labels, fronts, names, parts)
        )
    return tuple(views)


def _shipped_front(choice: Choice) -> Rows:
    rows = choice.front.array
    if len(rows) <= _LARGEST_FRONT:
        return rows
    # exact for two objectives; for more, the winners under the sampled weightings
    winners = np.flatnonzero(choice.wins.shares > 0)
    kept = np.zeros(len(rows), dtype=np.bool_)
    kept[winners[:: -(-len(winners) // _MOST_WINNERS)]] = True
    kept[[choice.at(row) for picks in choice.picks.values() for row in picks[:10]]] = True
    kept[[*choice.values.argmin(axis=0), *choice.values.argmax(axis=0)]] = True  # they define the scale
    others = np.flatnonzero(~kept)
    kept[others[:: max(1, len(others) // _LARGEST_FRONT)]] = True
    return rows[kept]


def _shipped(models: pl.DataFrame, always: Sequence[Rows], budget: int, rng: np.random.Generator) -> pl.DataFrame:
    numbers = models[ROW].to_numpy()
    if budget >= models.height:
        return models
    kept = np.isin(numbers, reduce(np.union1d, always))
    others = np.flatnonzero(~kept)
    kept[rng.choice(others, min(budget, len(others)), replace=False)] = True
    return models.filter(pl.Series(kept))


def _panels(parts: Mapping[str, Measure], choices: Sequence[Choice], models: pl.DataFrame, *, heated: bool) -> tuple[Panel, ...]:
    pairs = [choice for choice in choices if len(choice.objectives) == 2]
    if pairs:
        drawn = [(choice, 0, 1) for choice in pairs]
    else:  # no pairs were requested: show the joint front in the plane of each quality and cost
        choice = choices[-1]
        places = range(len(choice.objectives))
        qualities = [k for k in places if choice.objectives[k].is_quality] or [0]
        costs = [k for k in places if k not in qualities] or [k for k in places if k != qualities[0]]
        drawn = [(choice, quality, cost) for quality in qualities for cost in costs if quality != cost]
    return tuple(_panel(choice, parts, models, quality, cost, heated=heated) for choice, quality, cost in drawn)


def _panel(choice: Choice, parts: Mapping[str, Measure], models: pl.DataFrame, quality: int, cost: int, *, heated: bool) -> Panel:
    y_objective, x_objective = choice.objectives[quality], choice.objectives[cost]
    xs, ys = (models[o.column].cast(pl.Float64).to_numpy() for o in (x_objective, y_objective))
    seen = [np.array(range_) for range_ in interest(choice, (xs, ys), x=x_objective, y=y_objective)]
    x = axis(parts[x_objective.column], values=xs, interest=seen[0], log=True)
    y = axis(parts[y_objective.column], values=ys, interest=seen[1], log=False)
    scales = (False, True) if x.may_be_log else (False,)
    variants = {(zoom, log): (x.domain(zoom=zoom, log=log), y.domain(zoom=zoom, log=False))
                for zoom in (True, False) for log in scales}  # fmt: skip
    heat = {}
    if heated:
        logs = np.log(xs) if x.may_be_log else xs
        for (zoom, log), (x_domain, y_domain) in variants.items():
            heat[zoom, log] = heat_map(logs if log else xs, ys, np.log(x_domain) if log else x_domain, y_domain)
    in_view = {zoom: int(_inside(xs, variants[zoom, x.log][0], ys, variants[zoom, x.log][1])) for zoom in (True, False)}
    return Panel(choice, x, y, heat, in_view)


def interest(
    choice: Choice, values: tuple[Values, Values], /, *, x: Objective, y: Objective
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the ranges of x and y near the front of a choice, given the values of all models (two of [n])."""
    if len(values[0]) <= _SMALL_GROUP:
        ranges: Sequence[Values] = values
    else:
        cost, quality = choice.objectives.index(x), choice.objectives.index(y)
        of_interest = _of_interest(choice, quality, cost)
        ranges = _with_company(choice.values[of_interest][:, [cost, quality]].T, values)
    return (float(ranges[0].min()), float(ranges[0].max())), (float(ranges[1].min()), float(ranges[1].max()))


def _of_interest(choice: Choice, quality: int, cost: int) -> NDArray[np.bool_]:
    """Mark the models on the front that must be in view: winners under some weighting, the picks, the best of each axis."""
    if len(choice.front) <= _SMALL_FRONT:
        return np.ones(len(choice.front), dtype=np.bool_)
    picks = {role: [choice.at(row) for row in rows[:10]] for role, rows in choice.picks.items()}
    cheapest = picks[f"best:{choice.objectives[cost].column}"]
    of_interest = choice.wins.shares >= _OF_INTEREST
    # the paper: models with the lowest cost are "often as bad as guessing"; they would squeeze all others into a strip
    of_interest[cheapest] = False
    of_interest[[*picks["trade_off"], *picks[f"best:{choice.objectives[quality].column}"]]] = True
    heights = choice.values[:, quality]
    with_cheapest = of_interest.copy()
    with_cheapest[cheapest] = True
    return with_cheapest if np.ptp(heights[with_cheapest]) <= _WIDEST * np.ptp(heights[of_interest]) else of_interest


def _with_company(interest: Values, values: tuple[Values, Values]) -> tuple[Values, Values]:
    """Widen the ranges of interest [2, m] until enough of all models (two axes of [n]) are in view."""
    wholes = [np.array([axis.min(), axis.max()]) for axis in values]
    ranges = [np.array([axis.min(), axis.max()]) for axis in interest]
    wanted = max(_SMALL_GROUP, min(_IN_VIEW * len(values[0]), _MOST_WANTED))
    # a front of one model has no width to limit which other models are drawn with it
    most = [_MOST_COMPANY * max(np.ptp(r / 2) * 2, _LEAST_WIDTH * np.abs(r).max()) if np.ptp(r) else np.inf for r in ranges]
    for part in 2.0 ** np.arange(-10, 1):  # share of the way to the whole range, which the last step reaches
        if _inside(values[0], tuple(ranges[0]), values[1], tuple(ranges[1])) >= wanted:
            break
        wider = [range_ + (whole * part - range_ * part) for whole, range_ in zip(wholes, ranges, strict=True)]
        ranges = [new if np.ptp(new / 2) * 2 <= top else old for new, old, top in zip(wider, ranges, most, strict=True)]
    return ranges[0], ranges[1]


def _inside(xs: Values, x: tuple[float, float], ys: Values, y: tuple[float, float]) -> np.int64:
    return np.count_nonzero((xs >= x[0]) & (xs <= x[1]) & (ys >= y[0]) & (ys <= y[1]))


def heat_map(xs: Values, ys: Values, x: Sequence[float] | Values, y: Sequence[float] | Values) -> Heat:
    """Count the points xs, ys [n] in the cells of the rectangle x, y, ignoring those outside."""
    columns, rows = HEAT_CELLS
    with np.errstate(over="ignore", invalid="ignore"):
        i = np.floor((xs - x[0]) * (columns / (x[1] - x[0])))
        j = np.floor((ys - y[0]) * (rows / (y[1] - y[0])))
    inside = (i >= 0) & (i < columns) & (j >= 0) & (j < rows)
    index = i[inside].astype(np.int64) * rows + j[inside].astype(np.int64)
    counts = np.bincount(index, minlength=columns * rows)
    filled = np.flatnonzero(counts)
    return Heat(np.stack(np.divmod(filled, rows), axis=1), counts[filled])
