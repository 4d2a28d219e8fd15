"""Turn a sheet of a workbook (.xlsx) into a frame."""

from __future__ import annotations

import datetime
import io
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds, size_of
from ecosel.readers.stores.parts import check_parts
from ecosel.readers.table import Archive, from_rows, listed


def open_workbook(path: str, source: Path | bytes, *, table: str | None, bounds: Bounds) -> Archive:
    """Read one sheet, the first unless table names another; the first row with at least two cells is the header."""
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
        _spread(rows, sheet.merged_cell_ranges or (), sheet.start or (0, 0))
    except (calamine.CalamineError, OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        raise ArchiveError(f"cannot read {path}: {(str(error).splitlines() or ['damaged'])[0]}") from error
    first = next((k for k, row in enumerate(rows) if sum(cell is not None for cell in row) > 1), 0)
    filled = [row for row in rows[first:] if any(cell is not None for cell in row)]
    others = [other for other in book.sheet_names if other != name]
    beside = [f"reading sheet {name!r}; others: {listed(others)}"] if table is None and others else []
    if not filled:
        raise ArchiveError(f"{path}: sheet {name!r} is empty{f'; others: {listed(others)}' if others else ''}")
    return from_rows(path, filled, bounds=bounds, remarks=beside)


def _spread(rows: list[list[Any]], merged: Iterable[Any], start: tuple[int, int]) -> None:
    """Copy the value of cells merged downwards into each of them."""
    for (top, left), (bottom, right) in merged:
        row, column = top - start[0], left - start[1]
        if left == right and row >= 0 and 0 <= column < len(rows[0]):
            for below in rows[row + 1 : bottom - start[0] + 1]:
                below[column] = rows[row][column]


def _cell(cell: Any) -> Any:
    if cell == "":
        return None
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)  # a workbook has no integers
    if isinstance(cell, (datetime.date, datetime.time, datetime.timedelta)):
        return str(cell)
    return cell
