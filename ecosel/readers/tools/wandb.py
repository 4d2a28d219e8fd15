"""Spread dicts in cells over columns, as in tables of Weights & Biases runs."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import polars as pl

from ecosel.readers.table import Archive, column_of, flatten

_COLUMNS = ("summary", "config", "summary_metrics", "history", "params", "metrics")
_NO_LITERAL = re.compile(r"(?<=[:\[(,\s])-?(?:nan|inf|NaN|Infinity)(?=[,\])}\s])")


def spread_dicts(archive: Archive, /) -> Archive:
    """Add a column such as `summary.acc` for each value of the dicts in the columns of trackers."""
    columns = [column for column in archive.columns if column.strip().lower() in _COLUMNS]
    if not columns:
        return archive
    frame = archive.load(columns, columns)
    dicts = {column: [_dict_of(cell) for cell in frame[column].to_list()] for column in columns}
    found = {column: cells for column, cells in dicts.items() if any(cells)}
    spread = {
        f"{column}.{key}": column_of(f"{column}.{key}", [cell.get(key) for cell in cells])
        for column, cells in found.items()
        for key in dict.fromkeys(key for cell in cells for key in cell)
        if f"{column}.{key}" not in archive.columns
    }

    def load(wanted: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
        own = [column for column in wanted if column not in spread] or list(archive.columns[:1])
        return archive.load(own, labels).with_columns(spread[c] for c in wanted if c in spread).select(wanted)

    return replace(archive, columns=(*archive.columns, *spread), load=load) if spread else archive


def _dict_of(cell: Any) -> dict[str, Any]:
    if not isinstance(cell, str) or not cell.lstrip().startswith("{"):
        return {}
    for parse in (json.loads, lambda text: ast.literal_eval(_NO_LITERAL.sub("None", text))):  # only literals: no code is run
        try:
            found = parse(cell.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, dict):
            with suppress(OverflowError):
                return flatten({str(key): value for key, value in found.items()})
    return {}
