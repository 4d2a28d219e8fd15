"""Lay out every plane of two objectives for the page: the range near the front, and the density of models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ecosel.choosing.choice import Choice
from ecosel.report.view.view import HEAT_CELLS, GroupView, heat_map, interest

Values = NDArray[np.float64]
Range = tuple[float, float]

# Each shade of a heat map is written as one character: 0 for an empty cell, the last for the fullest.
SHADES = "0123456789abcdefghijklmnopqrstuvwxyz"
# With more objectives, heat maps of all planes would make the page too large; only those of a quality and a cost are kept.
_MOST_HEATED = 5


@dataclass(frozen=True)
class Plane:
    """Objective y over objective x, by position."""

    x: int
    y: int
    near: tuple[Range, Range]
    """Ranges near the front, of x and of y."""
    heat: tuple[str, str] | None
    """Density in each cell of the range near the front, and of the whole range; logarithmic axes if all values are above 0."""


def planes(view: GroupView, /) -> Iterator[Plane]:
    """Yield a plane for each pair of objectives, with the cost on the horizontal axis."""
    models = view.all_models
    columns = [models[o.column].cast(pl.Float64).to_numpy() for o in view.objectives]
    is_positive = [bool((values > 0).all()) for values in columns]
    for a, b in combinations(range(len(columns)), 2):
        first, second = view.objectives[a], view.objectives[b]
        x, y = (a, b) if second.is_quality and not first.is_quality else (b, a)
        near = interest(_choice(view, x, y), (columns[x], columns[y]), x=view.objectives[x], y=view.objectives[y])
        heat = None
        is_pair = first.is_quality != second.is_quality
        if view.is_sampled and (is_pair or len(columns) <= _MOST_HEATED):
            whole = tuple((float(columns[k].min()), float(columns[k].max())) for k in (x, y))
            heat = tuple(_shades([columns[x], columns[y]], ranges, [is_positive[x], is_positive[y]]) for ranges in (near, whole))
        yield Plane(x, y, near, heat)  # type: ignore[arg-type]


def _choice(view: GroupView, x: int, y: int) -> Choice:
    wanted = {view.objectives[x], view.objectives[y]}
    own = [choice for choice in view.choices if set(choice.objectives) == wanted]
    wider = [choice for choice in view.choices if wanted <= set(choice.objectives)]
    return (own or wider or list(view.choices))[0]


def _shades(values: list[Values], ranges: tuple[Range, ...], is_log: list[bool]) -> str:
    """Count the models in the cells of a range, column by column from the bottom, as shades on a logarithmic scale."""
    spans = [np.log(r) if log else np.array(r) for r, log in zip(ranges, is_log, strict=True)]
    spans = [span if span[1] > span[0] else span + np.array([-0.5, 0.5]) for span in spans]
    x, y = (np.log(v) if log else v for v, log in zip(values, is_log, strict=True))
    heat = heat_map(x, y, spans[0], spans[1])
    full = np.zeros(HEAT_CELLS, dtype=np.int64)
    full[tuple(heat.cell.T)] = heat.count
    most = max(2, int(full.max()))
    with np.errstate(divide="ignore"):
        level = np.where(full > 0, 1 + np.floor(np.log(np.maximum(full, 1)) / np.log(most) * (len(SHADES) - 2)), 0)
    return "".join(SHADES[int(k)] for k in level.reshape(-1))
