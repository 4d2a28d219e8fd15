"""Turn any form of table in JSON or NDJSON into a frame."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds
from ecosel.readers.table import Archive, flatten, from_columns, from_records
from ecosel.readers.tools.journal import is_journal, read_journal
from ecosel.readers.tools.shapes import records_of_tool, unpacked_texts


def open_json(
    path: str, text: str, *, table: str | None, study: str | None, bounds: Bounds, names: Sequence[str] = ()
) -> Archive:
    """Read a list of records, records under a key of an object, or one record a line; bare NaN is a missing value.

    Also read objects keyed by name, the forms of pandas (`to_json` with orient split, columns, index, table), lists by column,
    values beside a list of records (each record gets them), and documents of known tools.
    """
    try:
        records = _records(path, text, table, {name.lower() for name in names})
    except OverflowError:
        bounds.refuse(path, "the names of objects in objects are too long")
    if isinstance(records, _Columns):
        return from_columns(path, records.cells, bounds=bounds, size=len(text))
    if isinstance(records, list) and is_journal(records):
        try:
            return read_journal(path, records, study, bounds=bounds, size=len(text))
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise ArchiveError(f"{path}: the operations of the journal are inconsistent ({error})") from error
    return from_records(path, map(unpacked_texts, records), bounds=bounds, size=len(text), separator=".")


@dataclass(frozen=True)
class _Columns:
    """A table of columns, whose rows need not be made."""

    cells: dict[str, list[Any]]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.cells, row, strict=True)) for row in zip(*self.cells.values(), strict=True))


# Some forms state a value once for many records; these records are made one by one, so that they can be counted.
def _records(path: str, text: str, table: str | None, names: Set[str]) -> Iterable[dict[str, Any]]:
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
    except (ValueError, RecursionError) as error:  # an integer with thousands of digits, or deeply nested lists
        raise ArchiveError(f"{path}: the JSON is not a table: {error}") from error
    if isinstance(document, dict):
        document = _of_object(path, document, table, names)
    elif table is not None:
        raise ArchiveError(f"{path}: --table {table} names a key, but the document is a list")
    if isinstance(document, list) and _are_rows(document):
        document = [dict(zip(document[0], row, strict=False)) for row in document[1:]]  # as spreadsheets export their rows
    for number, record in enumerate(document if isinstance(document, list) else ()):
        if not isinstance(record, dict):
            raise ArchiveError(f"{path}: record {number} is {_kind(record)}, not an object with named values")
    records: Iterable[dict[str, Any]] = document
    return records


def _are_rows(document: list[Any]) -> bool:
    """Tell whether a value is a list of rows, of which the first names the columns."""
    return len(document) > 1 and all(isinstance(row, list) for row in document) and all(isinstance(n, str) for n in document[0])


def _of_object(path: str, document: dict[str, Any], table: str | None, names: Set[str]) -> Iterable[dict[str, Any]]:
    lists = {key: cells for key, cells in document.items() if isinstance(cells, list) and all(isinstance(c, dict) for c in cells)}
    if table is not None:
        if table not in document:
            raise ArchiveError(f"{path}: no key {table!r}; keys with lists of records: {', '.join(lists) or 'none'}")
        if table in lists:
            return _carried(document, table)
        found = _table_of(document[table], names) if isinstance(document[table], dict) else None
        if found is None:
            raise ArchiveError(f"{path}: {table!r} holds {_kind(document[table])}, not a list of records")
        return found
    of_tool = records_of_tool(document)
    if of_tool is not None:
        return of_tool
    if isinstance(document.get("schema"), dict) and "data" in lists:  # pandas, orient="table"
        return lists["data"]
    filled = {key: cells for key, cells in lists.items() if cells}
    if len(filled) == 1:
        return _carried(document, next(iter(filled)))
    if filled:
        raise ArchiveError(f"{path}: several keys hold records ({', '.join(filled)}); name one with --table KEY")
    found = _table_of(document, names)
    if found is not None:
        return found
    if any(not isinstance(cell, (list, dict)) for cell in document.values()):
        return [document]  # one model
    raise ArchiveError(f"{path}: no list of records in the document; pandas writes one with orient='records'")


def _carried(document: dict[str, Any], key: str) -> Iterable[dict[str, Any]]:
    """Return the records under a key, each with the values beside their list; its own values take precedence."""
    beside = {name: cell for name, cell in flatten({k: v for k, v in document.items() if k != key}).items()
              if not isinstance(cell, (list, dict))}  # fmt: skip
    return ({**record, **{name: cell for name, cell in beside.items() if name not in record}} for record in document[key])


def _table_of(document: dict[str, Any], names: Set[str]) -> Iterable[dict[str, Any]] | None:
    """Return the records of an object that is a table itself: split, lists by column, or objects by row or column."""
    columns, data = document.get("columns"), document.get("data")
    if isinstance(columns, list) and isinstance(data, list) and all(isinstance(row, list) for row in data):
        heads = ["/".join(map(str, name)) if isinstance(name, list) else str(name) for name in columns]
        index = document.get("index")
        if not isinstance(index, list) or len(index) != len(data):
            index = range(len(data))
        labels = [{} if isinstance(label, int) else {"name": str(label)} for label in index]
        return [{**label, **dict(zip(heads, row, strict=False))} for label, row in zip(labels, data, strict=True)]
    cells = list(document.values())
    if cells and all(isinstance(cell, list) for cell in cells):
        if len({len(cell) for cell in cells}) != 1 or any(isinstance(one, (list, dict)) for cell in cells for one in cell):
            return None
        found = _Columns(document)
        # objects in texts are spread over columns, record by record
        return list(found) if any(one[:1] == "{" for cell in cells for one in cell if type(one) is str) else found
    if len(cells) < 2 or not all(isinstance(cell, dict) and cell for cell in cells):
        return None
    if _is_by_column(document, names):
        rows = list(dict.fromkeys(row for cell in cells for row in cell))
        named = [{} if row.isdigit() else {"name": row} for row in rows]
        return (
            {**name, **{column: cell.get(row) for column, cell in document.items()}}
            for name, row in zip(named, rows, strict=True)
        )
    return [{**({} if key.isdigit() else {"name": key}), **cell} for key, cell in document.items()]


def _is_by_column(document: dict[str, dict[str, Any]], names: Set[str]) -> bool:
    """Tell objects by column (pandas, orient="columns") from objects by row.

    Decide by the wanted columns; else by numbered keys on one side; if both sides are names, by columns that hold only texts
    beside others with only numbers.
    """
    inner = {key for cells in document.values() for key in cells}
    fits = [bool(names) and names <= {key.lower() for key in keys} for keys in (set(document), inner)]
    if any(fits) and not all(fits):
        return fits[0]
    if all(key.isdigit() for key in inner) != all(key.isdigit() for key in document):
        return all(key.isdigit() for key in inner)
    if any(cells.keys() != inner for cells in document.values()):
        return False
    kinds = [{isinstance(cell, str) for cell in cells.values() if cell is not None} for cells in document.values()]
    return {True} in kinds and {False} in kinds and {True, False} not in kinds


def _kind(value: object) -> str:
    return {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(
        type(value), "a number"
    )
