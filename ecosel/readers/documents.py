"""Turn JSON and NDJSON into a frame."""

from __future__ import annotations

import json
from typing import Any

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds
from ecosel.readers.table import Archive, flatten, from_records


def open_json(path: str, text: str, *, table: str | None, study: str | None, bounds: Bounds) -> Archive:
    """Read a list of records, records under a key of an object, or one record a line; bare NaN is a missing value."""
    records = _records(path, text, table)
    if records and all("op_code" in record for record in records):
        raise ArchiveError(
            f"{path} is an Optuna journal; copy the study into a database first: optuna.copy_study(..., to_storage='sqlite:///study.db')"
        )
    return from_records(path, [flatten(record) for record in records], bounds=bounds, size=len(text))


def _records(path: str, text: str, table: str | None) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        if len(lines) < 2 or error.msg != "Extra data":
            raise ArchiveError(f"{path} is not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}") from error
        document = []
        for number, line in lines:
            try:
                document.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise ArchiveError(f"{path}: line {number} is not valid JSON: {getattr(error, 'msg', error)}") from error
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, or lists in lists in lists
        raise ArchiveError(f"{path}: the JSON is no table: {error}") from error
    if isinstance(document, dict):
        document = _under_key(path, document, table)
    elif table is not None:
        raise ArchiveError(f"{path}: --table {table} names a key, but the document is a list")
    for number, record in enumerate(document):
        if not isinstance(record, dict):
            raise ArchiveError(f"{path}: record {number} is {_kind(record)}, not an object with named values")
    return list(document)


def _under_key(path: str, document: dict[str, Any], table: str | None) -> list[Any]:
    lists = {key: cells for key, cells in document.items() if isinstance(cells, list) and all(isinstance(c, dict) for c in cells)}
    if table is not None:
        if table not in document:
            raise ArchiveError(f"{path}: no key {table!r}; lists of records stand under: {', '.join(lists) or 'none'}")
        if table not in lists:
            raise ArchiveError(f"{path}: {table!r} holds {_kind(document[table])}, not a list of records")
        return lists[table]
    filled = {key: cells for key, cells in lists.items() if cells}
    if len(filled) == 1:
        return next(iter(filled.values()))
    if filled:
        raise ArchiveError(f"{path}: several keys hold records ({', '.join(filled)}); name one with --table KEY")
    if any(not isinstance(cell, (list, dict)) for cell in document.values()):
        return [document]  # one model
    raise ArchiveError(f"{path}: no list of records in the document; pandas writes one with orient='records'")


def _kind(value: object) -> str:
    return {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(
        type(value), "a number"
    )
