"""Turn a selection under limits into one from all models, and the limits into slider positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ecosel.choosing.question import near_best, point_of
from ecosel.limits import Limit, Within
from ecosel.objectives import Objective
from ecosel.output.sentences import reference_of
from ecosel.readers.table import ROW
from ecosel.selection import Selection, select


@dataclass(frozen=True)
class Start:
    """Weights and limits of the sliders by objective, and the rows excluded by a limit without a slider."""

    weights: tuple[float, ...]
    limits: tuple[float | None, ...]
    barred: frozenset[int]


def unrestricted(selection: Selection, rows: pl.DataFrame, /) -> tuple[Selection, Start]:
    """Choose again from rows (with ROW) without limits; ideal and scale stay the same, as they come from all models.

    Raises ValueError for `within` with several groups, as all groups share one slider.
    """
    weights = [selection.rule.weights.get(o.column, 1.0) for o in selection.objectives]
    needed = selection.requirements
    if not needed:
        return selection, Start(tuple(weights), (None,) * len(weights), frozenset())
    kinds = {choice.kind for choice in selection.choices}
    base = select(
        rows, selection.objectives, labels=selection.labels, by=list(selection.groups[0].key or {}),
        weights=selection.rule.weights, ideal=selection.rule.ideal, scale=selection.rule.scale, preset=selection.rule.preset,
        joint="joint" in kinds, pairs="pair" in kinds, seed=selection.seed, origin=selection.origin,
    )  # fmt: skip
    slides = [is_slider(limit, selection.objectives) for limit in needed.limits]
    sliders = {limit.column: limit.value for limit, its in zip(needed.limits, slides, strict=True) if its}
    kept = needed.kept(selection.models)
    out = [~mask for mask, its in zip(kept, slides, strict=True) if not its]
    barred = selection.models[ROW].to_numpy()[np.logical_or.reduce(out)].tolist() if out else []
    limits = [sliders.get(o.column) for o in selection.objectives]
    if needed.within is not None:
        if len(selection.groups) > 1:
            raise ValueError(
                "--within sets a separate limit in each group, but the page has one for all groups; use --limit instead"
            )
        may = np.logical_and.reduce([np.ones(selection.models.height, dtype=np.bool_), *kept])
        k, bound = _bound(needed.within, selection, may)
        limits[k] = bound
        weights[k] = 0.0  # the cheapest, whatever its quality
        weights = weights if any(weights) else [float(i != k) for i in range(len(weights))]
    return base, Start(tuple(weights), tuple(limits), frozenset(barred))


def is_slider(limit: Limit, objectives: Sequence[Objective], /) -> bool:
    """Tell whether a limit is the worst value of an objective, which a slider can hold."""
    return any(o.column == limit.column and limit.relation == (">=" if o.is_quality else "<=") for o in objectives)


def _bound(within: Within, selection: Selection, may: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[int, float]:
    k = reference_of(selection.objectives)
    reference = selection.objectives[k]
    values = selection.models[reference.column].cast(pl.Float64).to_numpy()
    return k, near_best(within, reference, values, may, point=point_of(reference, values))[1]
