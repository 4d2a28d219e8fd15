"""Choose among the models of one group: find the front, the distances on it, the answer, and the binding limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ecosel.choosing.choice import Choice, Restriction, Role
from ecosel.choosing.cleaning.rows import measured_error
from ecosel.choosing.question import Mask, Pick, Question, Requirements, near_best, point_of
from ecosel.choosing.robustness import Resampling, WinShares, resample, win_shares
from ecosel.choosing.row_numbers import RowNumbers
from ecosel.choosing.scoring import Rule, distances, knee, nearest, spread
from ecosel.dominance import nondominated_rows, unbeaten_rows
from ecosel.limits import Within
from ecosel.objectives import Objective
from ecosel.readers.table import ROW

Values = NDArray[np.float64]
Positions = NDArray[np.int64]


def choices(question: Question, rows: pl.DataFrame, errors: Sequence[str], /) -> Iterator[Choice]:
    """Choose for each pair of objectives and for all of them, as requested."""
    objectives, rule, requirements = question.objectives, question.rule, question.requirements
    numbers = rows[ROW].to_numpy()
    values = {o.column: rows[o.column] for o in objectives}
    costs = {o.column: o.costs(rows[o.column]) for o in objectives}
    ranges = {column: spread(_floats(cells)) for column, cells in values.items()}
    worst = {o.column: float(_floats(values[o.column]).min() if o.is_quality else _floats(values[o.column]).max())
             for o in objectives}  # fmt: skip
    kept = requirements.kept(rows)
    may = np.logical_and.reduce(kept) if kept else None
    unbeaten = unbeaten_rows(list(costs.values()))
    low = costs if len(unbeaten) == len(numbers) else {column: cells[unbeaten] for column, cells in costs.items()}
    last: Choice | None = None
    for kind, some in _wanted(question):
        if last is not None and last.objectives == some:
            yield replace(last, kind=kind)  # the only pair is all there is
            continue
        columns = [o.column for o in some]
        front = nondominated_rows([low[column] for column in columns])
        front = front if len(unbeaten) == len(numbers) else unbeaten[front]
        front_values = _at(front, [values[column] for column in columns])
        ideal, scales = _compass(rule, some, front_values, ranges)
        weights = rule.weight_vector(some)
        chooser = _Chooser(some, values, costs, ideal=ideal, scales=scales, weights=weights)
        if may is not None:
            front_values = chooser.values(front := chooser.front(may))
        distance, wins = _compared(front_values, ideal, scales, weights, question.seed)
        ideals, divisors, weighting = (
            MappingProxyType(dict(zip(columns, part.tolist(), strict=True))) for part in (ideal, scales, weights)
        )
        used, seed = rows if may is None else rows.filter(pl.Series(may)), question.seed
        member = _resampling(some, used, errors, ideal=ideal, scales=scales, weights=weights, seed=seed) if errors else None
        named = RowNumbers(numbers[front])
        last = Choice(
            kind, some, used.height, named, front_values, distance, ideals, divisors, weighting, wins, member, question.top,
            *_answer(chooser, requirements, kept, numbers, front=front, named=named, distance=distance, pick=question.pick),
            {o.column: worst[o.column] for o in some},
        )  # fmt: skip
        yield last


def _compass(rule: Rule, some: Sequence[Objective], front: Values, ranges: Mapping[str, float]) -> tuple[Values, Values]:
    """Return the ideal and the scale of each objective, from the values [n, d] of the front."""
    ideal = rule.ideal_point(some, front)
    return ideal, rule.scales(some, ideal, front, np.array([ranges[o.column] for o in some]))


def _compared(values: Values, ideal: Values, scales: Values, weights: Values, seed: int) -> tuple[Values, WinShares]:
    """Return the distances of a front to the ideal, and its win shares."""
    deviations = values / scales
    deviations -= ideal / scales  # in this order, as a difference of floats may overflow
    return distances(deviations, weights), win_shares(deviations, seed=seed)


def _at(positions: Positions, columns: Sequence[pl.Series]) -> Values:
    """Return the values [n, d] at some positions."""
    found = np.empty((len(positions), len(columns)))
    for k, column in enumerate(columns):
        found[:, k] = _floats(column if len(positions) == len(column) else column.gather(positions))
    found.setflags(write=False)
    return found


def _floats(cells: pl.Series) -> Values:
    return cells.cast(pl.Float64).to_numpy()


def _wanted(question: Question) -> Iterator[tuple[Literal["pair", "joint"], tuple[Objective, ...]]]:
    pairs = _pairs(question.objectives) if question.pairs else []
    yield from (("pair", pair) for pair in pairs)
    if question.joint or not pairs:
        yield "joint", question.objectives


class _Chooser:
    """The values [n] of some objectives in one group, with the ideal, scale and weights by which its models are compared."""

    def __init__(
        self, some: Sequence[Objective], values: dict[str, pl.Series], costs: dict[str, Values], *,
        ideal: Values, scales: Values, weights: Values,
    ) -> None:  # fmt: skip
        self.objectives = some
        self._values = [values[o.column] for o in some]
        self._costs = [costs[o.column] for o in some]
        self._ideal, self._scales, self._weights = ideal, scales, weights
        # the first quality, else the first objective; the costs are weighed against it
        self._reference = next((k for k, o in enumerate(some) if o.is_quality), 0)

    def values(self, positions: Positions) -> Values:
        return _at(positions, self._values)

    def front(self, may: Mask) -> Positions:
        """Return the front of the models within the limits."""
        positions = np.flatnonzero(may)
        found: Positions = positions[nondominated_rows([column[positions] for column in self._costs])]
        return found

    def trade_off(self, front: Positions) -> Positions:
        return front[nearest(self._distances(front, self._weights))]

    def knee(self, front: Positions) -> Positions:
        return front[knee(np.stack([column[front] for column in self._costs], axis=1))]

    def cheapest(self, front: Positions, near: Mask) -> Positions:
        """Return the models on a front that are near the best reference and closest to the ideal in all other objectives."""
        front = front[near[front]]
        others = self._weights.copy()
        others[self._reference] = 0.0
        if not others.any():
            others = np.array([float(k != self._reference) for k in range(len(others))])
        return front[nearest(self._distances(front, others))]

    def near_best(self, within: Within, may: Mask) -> tuple[Mask, str]:
        """Return which models are near enough to the best reference among those that may be chosen, and the bound in words."""
        reference, values = self.objectives[self._reference], _floats(self._values[self._reference])
        near, bound = near_best(within, reference, values, may, point=point_of(reference, values))
        sign = ">=" if reference.is_quality else "<="
        return near, f"within {within.text} of the best {reference.column} ({sign} {bound:.6g})"

    def _distances(self, positions: Positions, weights: Values) -> Values:
        return distances(self.values(positions) / self._scales - self._ideal / self._scales, weights)


def _answer(
    chooser: _Chooser,
    requirements: Requirements,
    kept: Sequence[Mask],
    numbers: NDArray[np.int64],
    *,
    front: Positions,
    named: RowNumbers,
    distance: Values,
    pick: Pick,
) -> tuple[RowNumbers, Role, tuple[Restriction, ...]]:
    """Return the rows to choose, their role, and each restriction with the choice that would be made without it.

    named and distance are the row numbers of the front, and its distances to the ideal.
    """
    trade_off = front[nearest(distance)]
    if not requirements and pick == "distance":
        return named if len(trade_off) == len(front) else RowNumbers(numbers[trade_off]), "trade_off", ()
    within = requirements.within
    all_rows = np.ones(len(numbers), dtype=np.bool_)

    def answer(may: Mask) -> Positions:
        front = chooser.front(may)
        if within is not None:
            return chooser.cheapest(front, chooser.near_best(within, may)[0])
        found = chooser.knee(front) if pick == "knee" else front[:0]
        return found if len(found) else chooser.trade_off(front)

    def restriction(text: str, mask: Mask, without: Positions) -> Restriction:
        binds = not np.array_equal(without, chosen)
        values = tuple(chooser.values(without[:1])[0].tolist()) if binds else ()
        return Restriction(text, int(mask.sum()), RowNumbers(numbers[without] if binds else numbers[:0]), values)

    may = np.logical_and.reduce([all_rows, *kept])
    chosen = answer(may)
    bends = pick == "knee" and len(chooser.knee(front)) > 0
    role: Role = "within" if within is not None else "knee" if bends else "trade_off"
    restrictions = []
    for k, (limit, mask) in enumerate(zip(requirements.limits, kept, strict=True)):
        others = [other for j, other in enumerate(kept) if j != k]
        restrictions.append(restriction(limit.text, mask, answer(np.logical_and.reduce([all_rows, *others]))))
    if within is not None:
        near, text = chooser.near_best(within, may)
        restrictions.append(restriction(text, near & may, trade_off))
    return RowNumbers(numbers[chosen]), role, tuple(restrictions)


def _resampling(
    some: Sequence[Objective], rows: pl.DataFrame, errors: Sequence[str], *,
    ideal: Values, scales: Values, weights: Values, seed: int,
) -> Resampling | None:  # fmt: skip
    """Resample the measurements, keeping the ideal and scale of the printed selection."""
    signs = np.array([-1.0 if o.is_quality else 1.0 for o in some])
    values = np.stack([rows[o.column].cast(pl.Float64).to_numpy() for o in some], axis=1)
    towards = [measured_error(rows, o, errors) for o in some]
    below = np.stack([high if o.is_quality else low for o, (low, high) in zip(some, towards, strict=True)], axis=1)
    above = np.stack([low if o.is_quality else high for o, (low, high) in zip(some, towards, strict=True)], axis=1)

    def distance(costs: Values) -> Values:
        # a draw better than the ideal counts as the ideal
        return distances(np.maximum(costs / scales - signs * ideal / scales, 0.0), weights)

    return resample(values * signs, below, above, distance=distance, seed=seed, rows=rows[ROW].to_list())


def _pairs(objectives: tuple[Objective, ...]) -> list[tuple[Objective, Objective]]:
    """Return each pair (quality, cost), then each two qualities; without a quality, the first objective takes its place."""
    qualities = [objective for objective in objectives if objective.is_quality]
    costs = [objective for objective in objectives if not objective.is_quality]
    if not qualities:
        qualities, costs = costs[:1], costs[1:]
    against = [(quality, cost) for quality in qualities for cost in costs]
    if not costs:  # the first takes the place of the cost
        against = [(quality, qualities[0]) for quality in qualities[1:]]
        qualities = qualities[1:]
    return against + [(one, other) for k, one in enumerate(qualities) for other in qualities[k + 1 :]]
