"""Turn a selection into a JSON document, or into a frame for machine-readable formats."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl

from ecosel.choosing.choice import Choice, Chosen, Group, models_of
from ecosel.choosing.cleaning.repeats import REPEATS
from ecosel.choosing.explanation import Comparison, Explanation
from ecosel.choosing.scoring import distances
from ecosel.dominance import nondominated_rank
from ecosel.output.sentences import hypervolume_of, ideal_from
from ecosel.readers import table
from ecosel.readers.table import ROW

# Fronts with up to this many models are written as indented JSON, which people may read.
_READABLE = 10_000


def as_document(selection: Chosen) -> dict[str, Any]:
    """Return the selection as one object of JSON types; `front` and `picks` hold row numbers of the archive."""
    origin, rule = selection.origin, selection.rule
    columns = [o.column for o in selection.objectives]
    return {
        "archive": {
            "path": origin.path, "rows": selection.rows, "used": selection.models.height,
            "left_out": {
                "missing": selection.left_out.height, "filtered": origin.filtered, "unfinished": origin.unfinished,
                **({"statuses": dict(origin.statuses)} if origin.statuses else {}),
            },
        },
        "rule": {
            "scale": rule.scale, "preset": rule.preset,
            "ideal": {column: _common([c.ideal[column] for c in selection.choices if column in c.ideal]) for column in columns},
            "ideal_from": {o.column: ideal_from(selection, o) for o in selection.objectives},
            "weights": {column: rule.weights.get(column, 1.0) for column in columns},
            "seed": selection.seed,
            "limits": [limit.text for limit in selection.requirements.limits],
            "within": selection.requirements.within.text if selection.requirements.within else None,
        },
        "groups": [
            {"group": group.key, "selections": [_choice_document(selection, choice) for choice in group.choices]}
            for group in selection.groups
        ],
        **({"units": dict(selection.units)} if selection.units else {}),
        "remarks": list(selection.remarks),
    }  # fmt: skip


def _common(values: list[float]) -> float | None:
    """Return the one value that all selections share; if they differ, each states its own."""
    return values[0] if values and all(value == values[0] for value in values) else None


def _kind_document(choice: Choice) -> dict[str, Any]:
    """Return the part of a choice's document that `select` and `why` share."""
    return {
        "kind": choice.kind,
        "objectives": [{"column": o.column, "sense": o.sense} for o in choice.objectives],
        **choice.rule,
        "answer": list(choice.answer),
        "acceptability_error": choice.wins.error,
    }


def _choice_document(selection: Chosen, choice: Choice) -> dict[str, Any]:
    columns = [o.column for o in choice.objectives]
    shown = _shown(choice)
    document: dict[str, Any] = {
        **_kind_document(choice),
        "used": choice.used,
        "front": list(choice.front),
        "picks": {role: list(rows) for role, rows in choice.picks.items()},
        "restrictions": [
            {"text": bound.text, "kept": bound.kept, "binds": bool(bound.without), "without": list(bound.without),
             "values": dict(zip(columns, bound.values, strict=False))}
            for bound in choice.restrictions
        ],
        "hypervolume": _hypervolume(choice),
        "distance": float(choice.distance.min()),
        "nearest": [[row, float(choice.distance[choice.at(row)])] for row in choice.nearest],
        "acceptability": {str(row): part for row, part in choice.win_shares().items()},
        "values": {str(row): dict(zip(columns, choice.values[choice.at(row)].tolist(), strict=True)) for row in shown},
        "labels": dict(zip(map(str, shown), selection.labels_of(shown), strict=True)) if selection.labels else {},
    }  # fmt: skip
    lineages = {row: selection.lineage(row) for row in shown}
    if any(lineages.values()):
        document["variants"] = {
            str(row): {"variant": found[0], "parent": found[1]} for row, found in lineages.items() if found is not None
        }
    if REPEATS in selection.models.columns:
        counts = dict(selection.models.select(ROW, REPEATS).iter_rows())
        document["repeats"] = {str(row): counts[row] for row in shown}
    if choice.resampling is not None:
        document["resamples"] = choice.resampling.resamples
        for k, key in enumerate(("probability_on_front", "probability_pick")):
            document[key] = {str(row): shares[k] for row, shares in choice.resampling.rows.items()}
    return document


def _hypervolume(choice: Choice) -> dict[str, Any]:
    value, meaning = hypervolume_of(choice)
    return {"value": value, "meaning" if value is not None else "reason": meaning, "reference": dict(choice.worst)}


def as_json(selection: Chosen) -> str:
    # indenting makes Python twenty times slower on a large document
    indent = 1 if max(len(choice.front) for choice in selection.choices) <= _READABLE else None
    return json.dumps(as_document(selection), ensure_ascii=False, indent=indent, allow_nan=False, default=str) + "\n"


def explanation_document(selection: Chosen, group: Group, explanations: tuple[Explanation, ...]) -> dict[str, Any]:
    """Return the explanations as one object of JSON types."""
    row = explanations[0].row

    def difference(explanation: Explanation, other: Comparison) -> dict[str, Any]:
        return {
            "row": other.row, "label": selection.label(other.row),
            "difference": {column: value - explanation.values[column] for column, value in other.values.items()},
        }  # fmt: skip

    return {
        "row": row, "label": selection.label(row), "group": group.key,
        **({"variant": lineage[0], "parent": lineage[1]} if (lineage := selection.lineage(row)) is not None else {}),
        "values": {column: value for e in explanations for column, value in e.values.items()},
        "selections": [
            {
                **_kind_document(e.choice), "on_front": e.on_front, "trade_off": e.is_pick, "distance": e.distance,
                "breaks": list(e.breaks), "dominated_by": list(e.dominated_by), "acceptability": e.wins,
                "weighting": None if e.weighting is None else dict(e.weighting),
                "compared_with": [difference(e, other) for other in e.others], "pick": list(e.choice.picks["trade_off"]),
            }
            for e in explanations
        ],
    }  # fmt: skip


def picks_frame(selection: Chosen) -> pl.DataFrame:
    """Return one row for each group, selection, role and model."""
    parts = [_picks(selection, group, choice) for group in selection.groups for choice in group.choices]
    return pl.concat(parts, how="vertical_relaxed")


def _picks(selection: Chosen, group: Group, choice: Choice) -> pl.DataFrame:
    named = [o.column for o in choice.objectives]
    near = {f"nearest:{k}": (row,) for k, row in enumerate(choice.nearest, start=1)} if choice.top > 1 else {}
    roles = {**choice.picks, **near}
    rows = np.array([row for rows in roles.values() for row in rows], np.int64)
    at = np.searchsorted(choice.front.array, rows)
    members = [(None, None)] * len(rows) if choice.resampling is None else [choice.resampling.of(row) for row in rows.tolist()]
    measured = {o.column: [None] * len(rows) for o in selection.objectives}
    measured |= dict(zip(named, choice.values[at].T.tolist(), strict=True))
    columns = {
        **{f"group:{column}": [cell] * len(rows) for column, cell in (group.key or {}).items()},
        "kind": [choice.kind] * len(rows), "objectives": [" ".join(named)] * len(rows),
        "role": [role for role, rows in roles.items() for _ in rows], "row": rows,
        "label": pl.Series(selection.labels_of(rows.tolist()), dtype=pl.String),
        **{_unlike_own(column): pl.Series(cells, dtype=pl.Float64) for column, cells in measured.items()},
        "distance": choice.distance[at], "acceptability": choice.wins.shares[at],
        "probability_on_front": pl.Series([member[0] for member in members], dtype=pl.Float64),
        "probability_pick": pl.Series([member[1] for member in members], dtype=pl.Float64),
        "rule": [json.dumps(choice.rule)] * len(rows),
    }  # fmt: skip
    return pl.DataFrame(columns)


_OWN = (
    "kind",
    "objectives",
    "role",
    "row",
    "label",
    "distance",
    "acceptability",
    "probability_on_front",
    "probability_pick",
)


def _unlike_own(column: str) -> str:
    return f"objective:{column}" if column in _OWN or column.startswith("group:") else column


def marked_frame(selection: Chosen, archive: pl.DataFrame) -> pl.DataFrame:
    """Return the used rows of archive (it holds ROW) with `row`, `on_front`, `rank` and `distance` beside their columns.

    They refer to the joint selection of the row's group, or the only pair. rank 0 is the front, 1 the front of the rest,
    and so on, null if a limit is violated; distance uses the ideal and scale of the front of all. If
    measurements were resampled, the shares of samples in which the row is on the front, or the pick, are added.
    Raises ValueError if there are several pairs and no joint selection.
    """
    parts = []
    for group in selection.groups:
        choice = group.choices[-1]
        if choice.kind == "pair" and len(group.choices) > 1:
            raise ValueError(
                "the fronts of several pairs cannot be marked in one column; leave out --no-joint, or name two objectives"
            )
        rows = models_of(selection, group)
        values = np.column_stack([rows[o.column].cast(pl.Float64).to_numpy() for o in choice.objectives])
        may = np.logical_and.reduce([np.ones(rows.height, dtype=np.bool_), *selection.requirements.kept(rows)])
        rank = np.full(rows.height, -1)  # of the models that meet all limits
        rank[may] = nondominated_rank(np.column_stack([o.costs(rows[o.column]) for o in choice.objectives])[may])
        ideal, scale, weights = (np.array(list(part.values())) for part in (choice.ideal, choice.scale, choice.weights))
        marks = {
            ROW: rows[ROW].cast(pl.Int64),
            "on_front": rank == 0,
            "rank": pl.Series(rank).replace(-1, None),
            "distance": distances(values / scale - ideal / scale, weights),
        }
        if choice.resampling is not None:
            shares = [choice.resampling.of(row) for row in rows[ROW].to_list()]
            marks |= {"probability_on_front": [s[0] for s in shares], "probability_pick": [s[1] for s in shares]}
        parts.append(pl.DataFrame(marks))
    marked = pl.concat(parts)
    own = {"row", *marked.columns}
    archive = archive.rename({column: f"archive:{column}" for column in archive.columns if column in own and column != ROW})
    return archive.join(marked, on=ROW, how="inner", maintain_order="left").rename({ROW: "row"})


def as_plain(cells: pl.Series) -> pl.Series:
    """Return a column that text formats can hold: lists, structs, bytes and similar types become text."""
    if cells.dtype.is_nested() or cells.dtype in (pl.Binary, pl.Duration, pl.Object):
        return pl.Series(cells.name, [None if cell is None else table.as_text(cell) for cell in cells.to_list()], dtype=pl.String)
    return cells


def _shown(choice: Choice) -> list[int]:
    picks = choice.picks
    return list(dict.fromkeys([*picks["trade_off"], *choice.nearest, *(row for rows in picks.values() for row in rows)]))
