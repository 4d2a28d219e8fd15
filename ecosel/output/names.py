"""Give each model a distinct name: its label and, if that is not unique, the columns in which models differ."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence

import polars as pl

from ecosel.choosing.choice import label_text
from ecosel.readers.table import RESERVED, ROW

# Besides its label, a name has at most this many columns, with at most that many distinct values.
_MOST_COLUMNS, _FEWEST_VALUES, _LONGEST_VALUE = 4, 12, 40
_MEASURED = re.compile(r"_(low|high|std)$")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_KIND = re.compile(r"[_ ]?(id|name|number|no|nr)$", re.IGNORECASE)


def names_of(
    models: pl.DataFrame, labels: Sequence[str], /, rows: pl.DataFrame | None = None, *, besides: Sequence[str] = ()
) -> list[str]:
    """Return a name for each row of models (with ROW and labels).

    A bare number is preceded by its kind: `candidate 31`, `row 105`, `test accuracy 0.844`. If rows (with ROW) has more
    columns, those in which models of one name differ become part of it, except those in besides:
    `gpt-oss-120b · B200 · max_num_seqs 512`.
    """
    numbers = models[ROW].to_list()
    names = _labels(models, labels) if labels else [f"row {row}" for row in numbers]
    if rows is None or not models.height:
        return names
    is_same = Counter(names) if labels else dict.fromkeys(names, 2)
    twice = [k for k, name in enumerate(names) if is_same[name] > 1]
    if not twice:
        return names
    own = models[twice].select(ROW).join(rows, on=ROW, how="left", maintain_order="left")
    keys = [names[k] if labels else "" for k in twice]
    for column in _distinguishing(own, keys, {*labels, *besides}):
        for k, cell in zip(twice, own[column].to_list(), strict=True):
            if cell is not None:
                names[k] += f" · {_described(column, cell)}"
    return names


def _labels(models: pl.DataFrame, labels: Sequence[str]) -> list[str]:
    columns = []
    for label in labels:
        cells = [label_text(cell) for cell in models[label].cast(pl.String, strict=False).to_list()]
        kind = _KIND.sub("", label).replace("_", " ").strip() or label
        columns.append([f"{kind} {cell}" if _NUMBER.fullmatch(cell) else cell for cell in cells])
    return [" / ".join(filter(None, parts)) for parts in zip(*columns, strict=True)]


def _distinguishing(own: pl.DataFrame, keys: list[str], besides: set[str]) -> list[str]:
    """Return a small set of columns that distinguish rows of one key, chosen greedily."""
    most = max(_FEWEST_VALUES, own.height // 4)
    candidates = {}
    for column in own.columns:
        if column in besides or column.startswith(RESERVED) or _MEASURED.sub("", column) in besides:
            continue
        cells = [_described(column, cell) for cell in own[column].to_list()]
        if 1 < len(set(cells)) <= most and _is_setting(own[column]):
            candidates[column] = cells
    groups: list[tuple[str, ...]] = [(key,) for key in keys]
    chosen: list[str] = []
    while candidates and len(chosen) < _MOST_COLUMNS and len(set(groups)) < len(groups):
        told = {column: len(set(zip(groups, cells, strict=True))) for column, cells in candidates.items()}
        best = max(told, key=lambda column: told[column])
        if told[best] <= len(set(groups)):
            break
        groups = [(*group, cell) for group, cell in zip(groups, candidates.pop(best), strict=True)]
        chosen.append(best)
    # later columns together may make an earlier one redundant
    return [column for column in own.columns if column in chosen]


def _is_setting(cells: pl.Series) -> bool:
    """Tell settings that somebody chose (few digits, short words) from measurements."""
    if cells.dtype.is_float():
        return all(len(f"{cell:.12g}".replace("-", "").lstrip("0.").replace(".", "")) <= 4 for cell in cells.drop_nulls())
    if cells.dtype == pl.String:
        values = cells.drop_nulls().unique()
        if all(re.fullmatch(r"[-+\d.eE]+", value) for value in values):
            return all(len(re.sub(r"[^\d]", "", value).lstrip("0")) <= 6 for value in values)
        return all(len(value) <= _LONGEST_VALUE and value[:1] not in "{[" for value in values)
    return cells.dtype.is_integer() or cells.dtype in (pl.Boolean, pl.Categorical)


def _described(column: str, cell: object) -> str:
    if isinstance(cell, str) and not re.fullmatch(r"[-+\d.eE]+", cell):
        return cell
    value = f"{cell:.6g}" if isinstance(cell, float) else json.dumps(cell) if isinstance(cell, bool) else str(cell)
    return f"{column.removeprefix('params_').removeprefix('params.')} {value}"
