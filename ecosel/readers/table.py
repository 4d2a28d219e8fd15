"""Define what every reader returns: named columns that are read when asked for."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.objectives import Objective
from ecosel.readers.bounds import Bounds
from ecosel.readers.cells.headings import heading_of, with_unit

# Column of Archive.read that numbers the rows as the user sees them; no column of an archive may begin so.
RESERVED = "ecosel:"
ROW = f"{RESERVED}row"
# Number of characters of a name that take as much memory as a value.
_NAME = 32
# The years 2 to 9998, in days since 1970: in any time zone, Python can hold them.
_DAYS = (-718_797, 2_932_531)
# Rows in which columns of numbers are looked for.
LOOKED_AT = 60


@dataclass(frozen=True)
class Archive:
    """A table of models that has been opened but not read."""

    path: str
    columns: tuple[str, ...]
    load: Callable[[Sequence[str], Sequence[str]], pl.DataFrame]
    """Read the columns named first (at least one), all rows, in the archive's order; those named second are labels, which
    keep their text if the archive holds only text."""
    objectives: tuple[Objective, ...] = ()
    """Directions that the file itself states (an Optuna study)."""
    row_numbers: tuple[int, ...] | None = None
    """Numbers of the rows if they are not 0, 1, 2, ... (Optuna's trial numbers)."""
    unfinished: int = 0
    """Number of rows in the file that never got a result and are not read."""
    remarks: tuple[str, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)
    """The reason why a trial, by its number or name, is not among the rows."""
    later: Callable[[bool], tuple[str, ...]] = lambda _: ()
    """Remarks that only reading reveals; on request with all rows that they concern."""
    source: str | None = None
    """With several files, the column that names the file of each row."""
    lacking: Mapping[str, str] = field(default_factory=dict)
    """With several files, one that lacks this column."""

    def read(self, columns: Sequence[str], /, *, labels: Sequence[str] = ()) -> pl.DataFrame:
        """Read the named columns, preceded by ROW, the number of each row."""
        for column in columns:
            if column == "*" or (column.startswith("^") and column.endswith("$")):
                raise ArchiveError(f"{self.path}: a column cannot be called {column!r}, which is a pattern here; rename it")
        frame = self.load(columns or self.columns[:1], labels)
        # make columns contiguous here, once; NumPy would copy columns in several pieces again and again
        # (by name, as a list of columns would rename one without a name)
        names, cells = frame.columns, frame.get_columns()[::-1]
        del frame  # each column in pieces is freed when it is popped
        frame = pl.DataFrame({name: _cleaned(cells.pop().rechunk()) for name in names})
        if ROW not in frame.columns:  # a join has the row numbers of its first table
            numbers = range(frame.height) if self.row_numbers is None else self.row_numbers
            frame = frame.insert_column(0, pl.Series(ROW, numbers, dtype=pl.Int64))
        return frame.select(ROW, *columns)


def stripped(frame: pl.DataFrame, /) -> pl.DataFrame:
    """Remove the blanks around text cells."""
    return frame.with_columns(_stripped(frame[name]) for name, dtype in frame.schema.items() if dtype == pl.String)


def _cleaned(cells: pl.Series) -> pl.Series:
    """Strip text; empty the cells of dates and times that Python cannot hold, on which polars panics."""
    if not cells.dtype.is_temporal():
        return _stripped(cells)
    to_days = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
    a_day = 1 if cells.dtype == pl.Date else to_days[getattr(cells.dtype, "time_unit", "ns")]
    least, most = {pl.Time: (0, 0), pl.Duration: (-999_999_999, 999_999_998)}.get(cells.dtype.base_type(), _DAYS)
    days = cells.to_physical() // a_day
    known = days.is_between(least, most).fill_null(True)
    return cells if known.all() else cells.set(~known, None)


def _stripped(cells: pl.Series) -> pl.Series:
    if cells.dtype != pl.String:
        return cells
    stripped = cells.str.strip_chars()
    return stripped if (stripped != cells).any() else cells


def without_blanks(archive: Archive, /) -> Archive:
    """Strip the names of columns and put each on one line, if that leaves them distinct.

    Text cells are stripped when they are read.
    """
    stripped = [" ".join(filter(None, map(str.strip, re.split(r"[\r\n]", column)))) for column in archive.columns]
    times = Counter(stripped)
    own = {name: column for name, column in zip(stripped, archive.columns, strict=True) if name and times[name] == 1}
    names = tuple(name if name in own else column for name, column in zip(stripped, archive.columns, strict=True))
    if names == archive.columns:
        return archive

    def load(columns: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
        read = archive.load([own.get(name, name) for name in columns], [own.get(name, name) for name in labels])
        return read.rename({own[name]: name for name in columns if name in own})

    return replace(archive, columns=names, load=load)


def distinct(names: Sequence[str], /) -> tuple[str, ...]:
    """Add a suffix to a name that occurred before, as polars does."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        found.append(f"{name}_duplicated_{seen[name] - 1}" if name in seen else name)
        seen[name] = seen.get(name, 0) + 1
    return tuple(found)


def refuse_twice(path: str, wanted: Sequence[str], header: Sequence[str], /) -> None:
    """Raise ArchiveError if a wanted column occurs more than once in a header."""
    asked = set(wanted)
    again = twice(name for name in header if name in asked)
    if again is not None:
        raise ArchiveError(f"{path}: column {again!r} appears more than once in the header; rename one of them")


def from_rows(path: str, rows: Sequence[Sequence[Any]], /, *, bounds: Bounds, remarks: Sequence[str] = ()) -> Archive:
    """Return the rows of a sheet or a table as an archive; the first row names the columns."""
    bounds.check_columns(path, len(rows[0]))
    heading = heading_of([as_header(cell) for cell in rows[0]], [[as_header(c) for c in row] for row in rows[1 : 1 + LOOKED_AT]])
    columns = distinct(heading.names)
    bounds.check_rows(path, len(rows))

    def cells(name: str) -> list[Any]:
        place, unit = columns.index(name), heading.units.get(name, "")
        found = [row[place] if place < len(row) else None for row in rows[heading.rows :]]
        return [with_unit(cell, unit) for cell in found] if unit else found

    def load(wanted: Sequence[str], _: Sequence[str]) -> pl.DataFrame:
        refuse_twice(path, wanted, heading.names)
        with one_line_halves(path):
            return pl.DataFrame([column_of(name, cells(name)) for name in wanted])

    return Archive(path, named(columns), load, remarks=(*remarks, *filter(None, [heading.remark])))


def named(columns: Sequence[str], /) -> tuple[str, ...]:
    """Return the names of a table's columns: only the first of those without a name can be the index of a frame."""
    return tuple(name for k, name in enumerate(columns) if (name or k == 0) and not name.startswith("_duplicated_"))


def as_header(cell: Any) -> str:
    return "" if cell is None else str(cell).strip()


def from_records(
    path: str, records: Iterable[Mapping[str, Any]], *, bounds: Bounds, size: int, columns: Sequence[str] = (),
    separator: str | None = None, **stated: Any,
) -> Archive:  # fmt: skip
    """Return records, which may have different names, as an archive that builds a column only when it is asked for.

    If a separator is given, objects in records are spread over columns.
    """
    kept: list[Mapping[str, Any]] = []
    flat = records if separator is None else (flatten(record, separator, bounds.entries(size)) for record in records)
    names, _ = counted_names(path, flat, bounds=bounds, size=size, names=columns, kept=kept)

    def load(columns: Sequence[str], _: Sequence[str]) -> pl.DataFrame:
        if len(kept) * len(columns) > bounds.cells(size):
            bounds.refuse(path, f"{len(kept):,} records of {len(columns):,} names are too much for its size")
        series = {}
        text = 0
        with one_line_halves(path):
            for name in columns:
                cells = [record.get(name) for record in kept]
                text += sum(len(cell) for cell in cells if type(cell) is str)
                bounds.check_content(path, text, size)
                series[name] = column_of(name, cells)
        return pl.DataFrame(series)

    return Archive(path, tuple(names), load, **stated)


def from_columns(path: str, cells: Mapping[str, list[Any]], /, *, bounds: Bounds, size: int) -> Archive:
    """Return columns of equal length, without empty names, as an archive."""
    bounds.check_columns(path, len(cells))
    rows = max(map(len, cells.values()), default=0)
    bounds.check_rows(path, rows)

    def load(columns: Sequence[str], _: Sequence[str]) -> pl.DataFrame:
        if rows * len(columns) > bounds.cells(size):
            bounds.refuse(path, f"{rows:,} values in each of {len(columns):,} columns are too much for its size")
        with one_line_halves(path):
            return pl.DataFrame({name: column_of(name, cells[name]) for name in columns})

    return Archive(path, tuple(cells) if rows else (), load)


def counted_names(
    path: str, records: Iterable[Mapping[str, Any]], *, bounds: Bounds, size: int, names: Sequence[str] = (),
    kept: list[Mapping[str, Any]] | None = None,
) -> tuple[list[str], int]:  # fmt: skip
    """Return the given names followed by those of all records, and the number of records; refuse too many."""
    found: dict[str, None] = dict.fromkeys(names)
    left = most = bounds.entries(size)
    rows = 0
    try:
        for record in records:
            if not record.keys() <= found.keys():
                found.update(dict.fromkeys(record))
                bounds.check_columns(path, len(found))
            left -= len(record) + sum(map(len, record)) // _NAME
            if left < 0:
                raise OverflowError
            rows += 1
            if kept is not None:
                kept.append(record)
    except OverflowError:
        bounds.refuse(path, f"its records have more than {most:,} values, or names too long for its size")
    bounds.check_rows(path, rows)
    return list(found), rows


@contextmanager
def one_line_halves(path: str) -> Iterator[None]:
    """Refuse, in one line, a text that a column cannot hold."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise ArchiveError(f"{path}: a text contains half a character (\\ud800 to \\udfff)") from error


def column_of(name: str, cells: list[Any]) -> pl.Series:
    kinds = {type(cell) for cell in cells} - {type(None)}
    if kinds == {bool}:
        return pl.Series(name, cells, dtype=pl.Boolean)
    if kinds == {int} and all(-(2**63) <= cell < 2**63 for cell in cells if cell is not None):
        return pl.Series(name, cells, dtype=pl.Int64)
    if kinds and kinds <= {int, float}:
        return pl.Series(name, [None if cell is None else _as_float(cell) for cell in cells], dtype=pl.Float64)
    return pl.Series(name, [None if cell is None else as_text(cell) for cell in cells], dtype=pl.String)


def _as_float(cell: float) -> float:
    try:
        return float(cell)
    except OverflowError:  # an integer beyond 1.8e308
        return float("inf")


def as_text(cell: Any) -> str:
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False, default=repr)


def flatten(record: Mapping[str, Any], separator: str = ".", most: int = 1_000_000) -> dict[str, Any]:
    """Spread nested objects over columns: {"a": {"b": 1}} becomes {"a.b": 1}. Raises OverflowError if the names are too long."""
    if dict not in map(type, record.values()):
        return record if isinstance(record, dict) else dict(record)
    flat: dict[str, Any] = {}
    stack: list[tuple[str, Any]] = list(record.items())[::-1]
    while stack:
        key, cell = stack.pop()
        if isinstance(cell, dict) and cell:
            most -= len(cell) * (1 + len(key) // _NAME)  # each name gets the key as a prefix
            if most < 0:
                raise OverflowError
            stack.extend((f"{key}{separator}{inner}", deeper) for inner, deeper in reversed(cell.items()))
        else:
            flat[key] = cell
    return flat


def twice(names: Iterable[str], /) -> str | None:
    """Return the first name that occurs more than once."""
    seen = set[str]()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]


def listed(names: Sequence[str], most: int = 12) -> str:
    """List the first of many names."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
