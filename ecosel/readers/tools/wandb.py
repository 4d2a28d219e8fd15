"""Spread dicts in cells over columns, as in tables of Weights & Biases runs."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import polars as pl

from ecosel.readers.bounds import Bounds
from ecosel.readers.table import Archive, column_of, counted_names, flatten

_COLUMNS = ("summary", "config", "summary_metrics", "history", "params", "metrics")
_NO_LITERAL = re.compile(r"(?<=[:\[(,\s])-?(?:nan|inf|NaN|Infinity)(?=[,\])}\s])")
# texts and words as Python writes them
_PYTHON = re.compile(r"""("[^"]*")|'([^'"]*)'|\b(?:True|False|None)\b|-?\b(?:nan|inf)\b""")
_AS_JSON = {"True": "true", "False": "false", **dict.fromkeys(("None", "nan", "-nan", "inf", "-inf"), "null")}


def spread_dicts(archive: Archive, /, *, bounds: Bounds, size: int) -> Archive:
    """Add a column such as `summary.acc` for each value of the dicts in the columns of trackers."""
    columns = [column for column in archive.columns if column.strip().lower() in _COLUMNS]
    if not columns:
        return archive
    frame = archive.load(columns, columns)
    parser = _Parser(archive.path, bounds)
    spread: dict[str, tuple[str, str]] = {}
    dicts: dict[str, list[Mapping[str, Any]]] = {}
    for column in columns:
        kept: list[Mapping[str, Any]] = []
        cells = (parser.dict_of(cell) for cell in frame[column])
        names, _ = counted_names(archive.path, cells, bounds=bounds, size=size, kept=kept)
        if names:
            dicts[column] = kept
            spread |= {f"{column}.{name}": (column, name) for name in names if f"{column}.{name}" not in archive.columns}

    def load(wanted: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
        own = [column for column in wanted if column not in spread] or list(archive.columns[:1])
        made = []
        for name in wanted:
            if name in spread:
                column, key = spread[name]
                made.append(column_of(name, [cell.get(key) for cell in dicts[column]]))
        return archive.load(own, labels).with_columns(made).select(wanted)

    return replace(archive, columns=(*archive.columns, *spread), load=load) if spread else archive


class _Parser:
    """Reads cells as dicts, and bounds the Python literals among them, which take far more time and memory than JSON."""

    def __init__(self, path: str, bounds: Bounds) -> None:
        self._path, self._bounds, self._literals = path, bounds, 0

    def dict_of(self, cell: Any) -> dict[str, Any]:
        if not isinstance(cell, str) or not cell.lstrip().startswith("{"):
            return {}
        text = cell.strip()
        found = _json_of(text)
        if found is None and "\\" not in text:
            found = _json_of(_PYTHON.sub(lambda m: _AS_JSON.get(m[0]) or m[1] or f'"{m[2]}"', text))
        if found is None:
            found = self._literal_of(text)
        if isinstance(found, dict):
            with suppress(OverflowError):
                return flatten({str(key): value for key, value in found.items()})
        return {}

    def _literal_of(self, text: str) -> Any:
        self._literals += len(text)
        # Python takes 500 bytes for each character of a literal
        if len(text) > self._bounds.cell // 50 or self._literals > 2 * self._bounds.cell:
            self._bounds.refuse(self._path, "its cells hold long Python literals, which should be JSON")
        try:  # only literals: no code is run
            return ast.literal_eval(_NO_LITERAL.sub("None", text))
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None


def _json_of(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
