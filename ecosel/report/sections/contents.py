"""Gather the data of the page's script: objectives, rule, models with their cells, planes, charts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from ecosel.choosing.cleaning.rows import Z95, measured_error
from ecosel.choosing.scoring import spread
from ecosel.objectives import ACCURACY
from ecosel.output.characters import shortened
from ecosel.output.measures import Measure
from ecosel.readers import table
from ecosel.readers.table import ROW
from ecosel.report.charts.planes import plane_chart
from ecosel.report.charts.themes import PAGE
from ecosel.report.sections.answers import answer_choice
from ecosel.report.sections.html import Drawing, columns_of
from ecosel.report.view import mark_data
from ecosel.report.view.planes import planes
from ecosel.report.view.unrestricted import Start
from ecosel.report.view.view import HEAT_CELLS, GroupView
from ecosel.selection import Selection

# Largest number of columns, and of characters in a cell, on a page.
_MOST_COLUMNS, _LONGEST_CELL = 40, 120


def contents(
    selection: Selection,
    rows: pl.DataFrame,
    views: Sequence[GroupView],
    drawings: Sequence[Drawing],
    /,
    *,
    start: Start,
    command: Sequence[str],
) -> dict[str, Any]:
    """Return the data that the script draws; command holds the words of the select command without weights and limits."""
    columns = [column for column in rows.columns if column != ROW]
    shown = columns[:_MOST_COLUMNS]
    answer = answer_choice(views[0].choices)
    return {
        "config": PAGE, "plane": _without_config(plane_chart().to_dict(validate=False)), "heatCells": HEAT_CELLS,
        "objectives": [
            {**_objective(selection, views[0].measures[o.column], o.column), "weight": weight, "limit": limit}
            for o, weight, limit in zip(selection.objectives, start.weights, start.limits, strict=True)
        ],
        "answer": [selection.objectives.index(o) for o in answer.objectives],
        "pairs": [[selection.objectives.index(o) for o in c.objectives] for c in views[0].choices if c.kind == "pair"],
        "rule": {"scale": selection.rule.scale, "ideal": dict(selection.rule.ideal), "preset": _preset(selection)},
        "command": list(command),
        "columns": [shortened(column, 60) for column in shown], "columnsLeftOut": len(columns) - len(shown),
        "labels": [shortened(label, 60) for label in selection.labels],
        "groups": [_group(view, rows, shown, start) for view in views],
        "views": _drawings(drawings),
    }  # fmt: skip


def _without_config(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in spec.items() if key not in ("$schema", "config")}


def _objective(selection: Selection, part: Measure, column: str) -> dict[str, Any]:
    values = selection.models[column].cast(pl.Float64)
    return {
        "column": column, "isQuality": part.objective.is_quality, "isAccuracy": part.objective == ACCURACY,
        "name": part.name, "title": shortened(part.title, 60), "unit": part.unit, "factor": part.factor,
        "isKnown": part.metric is not None, "less": part.metric.less if part.metric else "lower",
        "isSigned": part.is_signed, "bestWord": part.best_word, "canBeLog": float(values.min()) > 0,  # type: ignore[arg-type]
    }  # fmt: skip


def _preset(selection: Selection) -> list[float] | None:
    """Return the divisors that a preset defines."""
    if not selection.rule.preset:
        return None
    choice = selection.groups[0].choices[-1]
    scales = {column: scale for group in selection.groups for one in group.choices for column, scale in one.scale.items()}
    return [scales.get(o.column, choice.scale.get(o.column, 1.0)) for o in selection.objectives]


def _group(view: GroupView, rows: pl.DataFrame, shown: Sequence[str], start: Start) -> dict[str, Any]:
    models = mark_data.model_rows(view)
    at = {row: k for k, row in enumerate(models["row"].to_list())}
    answer = answer_choice(view.choices)
    front = next(own for choice, own in zip(view.choices, view.fronts, strict=True) if choice is answer)
    values = [view.all_models[o.column].cast(pl.Float64).to_numpy() for o in view.objectives]
    resampling = answer.resampling
    return {
        "name": view.name, "total": view.total, "models": columns_of(models), "front": [at[int(row)] for row in front],
        "barred": [at[row] for row in at if row in start.barred],
        "errors": _errors(view), "cells": _cells(rows, view, shown),
        "archiveRange": [spread(column) for column in values],
        "whole": [(float(column.min()), float(column.max())) for column in values],
        "shares": {at[row]: part for row, part in answer.win_shares().items() if row in at},
        "sharesError": answer.wins.error,
        "resamples": resampling.resamples if resampling else 0,
        "again": {at[row]: parts for row, parts in resampling.rows.items() if row in at and parts[0] > 0} if resampling else {},
        "planes": {f"{p.x}-{p.y}": {"near": p.near, "heat": p.heat} for p in planes(view)} if len(view.objectives) > 1 else {},
    }  # fmt: skip


def _errors(view: GroupView) -> dict[str, list[list[float | None]]]:
    """Return, by objective, the distances from each value to the ends of its 95 % interval, if any was measured."""
    found = {}
    for k, objective in enumerate(view.objectives):
        sides = measured_error(view.models, objective, view.models.columns)
        if any((side > 0).any() for side in sides):
            found[str(k)] = [[float(f"{Z95 * v:.4g}") if v > 0 else None for v in np.asarray(side).tolist()] for side in sides]
    return found


def _cells(rows: pl.DataFrame, view: GroupView, columns: Sequence[str]) -> list[list[Any]]:
    own = view.models.select(ROW).join(rows.select(ROW, *columns), on=ROW, how="left", maintain_order="left")
    return [[_cell(cell) for cell in own[column].to_list()] for column in columns]


def _cell(cell: Any) -> Any:
    if cell is None or (isinstance(cell, bool | int) and abs(cell) < 2**53):
        return cell
    if isinstance(cell, float):
        return cell if abs(cell) < float("inf") else None
    return shortened(table.as_text(cell), _LONGEST_CELL)


def _drawings(drawings: Sequence[Drawing]) -> dict[str, Any]:
    """Return the charts that do not depend on the weights; a specification that several share is stored once."""
    specs: dict[str, int] = {}
    made = []
    for drawing in drawings:
        number = specs.setdefault(json.dumps(_without_config(drawing.spec)), len(specs))
        made.append({"id": drawing.id, "spec": number, "group": drawing.group, "data": dict(drawing.data)})
    return {"specs": [json.loads(spec) for spec in specs], "made": made}
