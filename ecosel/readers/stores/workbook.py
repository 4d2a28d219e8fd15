"""Turn a sheet of a workbook (.xlsx) into a frame."""

from __future__ import annotations

import datetime
import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds, size_of
from ecosel.readers.stores.parts import check_parts
from ecosel.readers.table import Archive, from_records, listed, twice


def open_workbook(path: str, source: Path | bytes, *, table: str | None, bounds: Bounds) -> Archive:
    """Read one sheet, the first unless table names another: the first row with two cells or more is the header."""
    try:
        import python_calamine as calamine
    except ImportError as error:
        raise ArchiveError(
            f"{path} is a workbook, which needs python-calamine: pip install 'ecosel[xlsx]'; or save the sheet as CSV"
        ) from error
    try:
        check_parts(path, source, bounds)
        book = calamine.CalamineWorkbook.from_object(source if isinstance(source, Path) else io.BytesIO(source))
        name = book.sheet_names[0] if table is None else table
        if name not in book.sheet_names:
            raise ArchiveError(f"{path}: no sheet {name!r}; it has: {listed(book.sheet_names)}")
        sheet = book.get_sheet_by_name(name)
        bounds.check_frame(path, sheet.total_height, sheet.total_width, size_of(source))
        rows = [[_cell(cell) for cell in row] for row in sheet.to_python(skip_empty_area=True)]
    except (calamine.CalamineError, OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        raise ArchiveError(f"cannot read {path}: {(str(error).splitlines() or ['damaged'])[0]}") from error
    first = next((k for k, row in enumerate(rows) if sum(cell is not None for cell in row) > 1), 0)
    header = ["" if cell is None else str(cell).strip() for cell in rows[first]] if rows else []
    again = twice(name for name in header if name)
    if again is not None:
        raise ArchiveError(f"{path}: column {again!r} appears more than once in the header; rename one of them")
    records = [
        {name: cell for name, cell in zip(header, row, strict=False) if name}
        for row in rows[first + 1 :]
        if any(cell is not None for cell in row)
    ]
    remarks = [f"reading sheet {name!r}; others: {listed([n for n in book.sheet_names if n != name])}"]
    known = {name: None for name in header if name}
    if not known:
        raise ArchiveError(f"{path}: sheet {name!r} is empty")
    return from_records(
        path, records, bounds=bounds, size=size_of(source), columns=tuple(known),
        remarks=tuple(remarks) if table is None and len(book.sheet_names) > 1 else (),
    )  # fmt: skip


def _cell(cell: Any) -> Any:
    if cell == "":
        return None
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)  # a workbook knows no integers
    if isinstance(cell, (datetime.date, datetime.time, datetime.timedelta)):
        return str(cell)
    return cell
