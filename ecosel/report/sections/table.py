"""Make the table of the page: the lettered models with all objectives, readable without the script, which extends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ecosel.choosing.cleaning.rows import Z95, measured_error
from ecosel.output.measures import Measure, rounded
from ecosel.readers.table import ROW
from ecosel.report.view.view import GroupView
from ecosel.selection import Selection


@dataclass(frozen=True)
class Cell:
    text: str
    interval: str
    difference: str
    """The difference from the model that is best in the first quality."""
    exact: str
    is_best: bool


@dataclass(frozen=True)
class TableLine:
    group: int
    row: int
    letter: str
    name: str
    roles: tuple[str, ...]
    cells: tuple[Cell, ...]


def table_lines(selection: Selection, views: Sequence[GroupView], /) -> list[TableLine]:
    """Return a line for each lettered model; differences are from the model of the group that is best in the first quality."""
    reference = next((o for o in selection.objectives if o.is_quality), selection.objectives[0])
    return [line for g, view in enumerate(views) for line in _lines(view, g, reference.column)]


def _lines(view: GroupView, group: int, reference: str) -> list[TableLine]:
    values = {o.column: view.models[o.column].cast(pl.Float64).to_numpy() for o in view.objectives}
    errors = {o.column: measured_error(view.models, o, view.models.columns) for o in view.objectives}
    ends = {o.column: values[o.column].max() if o.is_quality else values[o.column].min() for o in view.objectives}
    best = next(o for o in view.objectives if o.column == reference)
    base = int(np.argmax(values[reference]) if best.is_quality else np.argmin(values[reference]))
    lines = []
    for model in view.letters:
        at = view.models[ROW].index_of(model.row)
        if at is None:
            continue
        cells = []
        for o in view.objectives:
            part, value, of = view.measures[o.column], float(values[o.column][at]), float(values[o.column][base])
            error = interval(part, *(Z95 * float(side[at]) for side in errors[o.column]))
            is_best = value == ends[o.column]
            cells.append(Cell(part.text(value), error, part.difference(value, of), str(view.models[o.column][at]), is_best))
        lines.append(TableLine(group, model.row, model.letter, view.names[model.row], model.roles, tuple(cells)))
    return lines


def interval(part: Measure, below: float, above: float, /) -> str:
    """Write the distances from a value to the ends of its interval, as one number if they are the same."""
    if not max(below, above) > 0:
        return ""
    low, high = (rounded(side * part.factor, 2) for side in (below, above))
    return f" ± {low}" if low == high else f" −{low} +{high}"
