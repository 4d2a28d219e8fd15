"""Evaluate --derive and --where on a stranger's table as guarded SQL expressions over the columns of a row."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.cells.numbers import looks_numeric, read_numbers
from ecosel.readers.cells.units import read_quantities
from ecosel.readers.table import ROW, Archive

# Longest expression in characters; the time to parse one grows faster than its length.
_LONGEST = 2_000
_TRIED = 100


def find_column(name: str, columns: Sequence[str], /) -> str:
    """Return the column called name, else the only one that differs just in case and in its kinds of blanks.

    Raises ValueError, with a suggestion, if there is none.
    """
    if name in columns:
        return name
    alike = [column for column in columns if column.lower() == name.lower()]
    alike = alike or [column for column in columns if column.lower().split() == name.lower().split()]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise ValueError(f"column {name!r} could be {' or '.join(map(repr, alike))}")
    by_lower = {column.lower(): column for column in columns}
    parts = [column for column in columns if name.lower() in re.split(r"[/.]", column.lower())]
    close = (
        [column.lower() for column in parts[:4]]
        or difflib.get_close_matches(name.lower(), by_lower, 3, 0.6)
        or [c for c in by_lower if name.lower() in c][:3]
    )
    if close:
        raise ValueError(f"no column {name!r}; did you mean {' or '.join(repr(by_lower[c]) for c in close)}?")
    shown = ", ".join(map(repr, columns[:12])) + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")
    values = sum(1 for column in columns if re.fullmatch(r"[+-]?[\d.,]*\d", column))
    hint = "; does a line of names stand above the first row?" if 2 * values > len(columns) else ""
    raise ValueError(f"no column {name!r}; the columns are {shown}{hint}")


def column_holding(name: str, archive: Archive, /) -> str | None:
    """Return the column of a table in long form, or with models as columns, in which the name of a metric is a cell."""
    try:
        head = archive.read(archive.columns[:6]).head(1000)
    except ArchiveError:
        return None
    texts = (column for column, dtype in head.schema.items() if dtype == pl.String)
    return next((column for column in texts if (head[column] == name).any()), None)


@contextmanager
def quotes_explained(texts: Sequence[str], columns: Sequence[str]) -> Iterator[None]:
    """Add to an error in an expression that a column's name in it needs quotes."""
    try:
        yield
    except ValueError as error:
        bare = [name for name in columns if not re.fullmatch(r"\w*", name) and any(name in text for text in texts)]
        if not bare or f'"{bare[0]}"' in " ".join(texts):
            raise
        so_far = f"{error} Write" if str(error).endswith("?") else f"{error}; write"
        raise ValueError(f'{so_far} the name in double quotes: "{max(bare, key=len)}"') from error


class Expression:
    """An SQL expression over the columns of one row; it can read no file and no other table."""

    def __init__(self, option: str, sql: str) -> None:
        self.sql = sql.strip()
        self._units: dict[str, str] = {}
        self._what = f"{option} {sql!r}"
        if len(sql) > _LONGEST:
            raise ValueError(f"{option}: the expression has {len(sql):,} characters; at most {_LONGEST:,} are allowed")
        outside_quotes = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", " ", sql)
        if re.search(r"\b(select|with|table|values|read_\w+|scan_\w+)\b", outside_quotes, re.IGNORECASE):
            raise ValueError(f"{self._what}: only an expression over the columns of a row is allowed, not a query")
        # polars treats 1.5 as a decimal with few digits; 1.5e0 is the intended float
        floats = re.sub(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|(?<![\w.])(\d+\.\d*|\.\d+)(?![\w.])", _as_float_literal, sql)
        self._expression = self._told_plainly(lambda: pl.sql_expr(floats))
        self.columns = tuple(dict.fromkeys(self._told_plainly(self._expression.meta.root_names)))

    def on(self, frame: pl.DataFrame, *, floats: bool = False) -> pl.Series:
        """Return the value of the expression for each row; text that can be read as numbers counts as numbers.

        NaN and infinity are missing. Together with floats, integers are converted to floats, which do not overflow.
        """
        for column in self.columns:
            if column not in frame.columns:
                raise ValueError(f"{self._what}: {_message_of(column, frame)}")
        cells = {column: frame[column] for column in self.columns}
        for column, series in cells.items():
            # one cell that is neither a number nor a quantity makes the column text, so a few cells are tried first
            series = series if self._is_text(series.head(_TRIED), frame) else self._read(series, frame)
            cells[column] = series.cast(pl.Float64) if floats and series.dtype.is_numeric() else series
        result: pl.Series = self._told_plainly(
            lambda: frame.with_columns(cells.values()).select(self._expression.alias("ecosel:result")).to_series()
        )
        if len(result) != frame.height:
            result = self._told_plainly(lambda: pl.select(pl.repeat(result[0], frame.height)).to_series())
        return result.cast(pl.Float64) if result.dtype.is_decimal() else result

    def _is_text(self, cells: pl.Series, frame: pl.DataFrame) -> bool:
        return cells.dtype == pl.String and read_numbers(cells)[1].any() and self._read(cells, frame).dtype == pl.String

    def _read(self, cells: pl.Series, frame: pl.DataFrame) -> pl.Series:
        if cells.dtype.is_numeric() or (cells.dtype == pl.String and looks_numeric(cells)):
            return read_numbers(cells)[0]
        if cells.dtype != pl.String or "'" in self.sql:
            return cells
        rows = frame[ROW].head(len(cells)) if ROW in frame.columns else pl.Series(range(len(cells)))
        try:
            found = read_quantities(cells, rows=rows)
        except ArchiveError:
            return cells
        if found.unit and len(cells) == frame.height:
            self._units[cells.name] = found.unit
        return found.numbers

    def remarks(self) -> list[str]:
        """State the unit in which a column with units was used."""
        option = self._what.partition(" ")[0]
        return [f"{option} takes {column} in {unit}" for column, unit in self._units.items()]

    def condition(self, frame: pl.DataFrame) -> pl.Series:
        """Return the rows for which the expression is true, as a mask."""
        result = self.on(frame)
        if result.dtype not in (pl.Boolean, pl.Null):
            raise ValueError(
                f'{self._what}: it must be true or false for each row, not {result.dtype}; for example "accuracy > 0.5"'
            )
        return result.cast(pl.Boolean).fill_null(False)

    def _told_plainly(self, step: Callable[[], Any]) -> Any:
        try:
            with _silent():
                return step()
        except ValueError:
            raise
        except (Exception, pl.exceptions.PanicException) as error:  # a panic of the SQL parser is not an Exception
            raise ValueError(f"{self._what}: {(str(error).splitlines() or ['not understood'])[0]}") from error


def filter_rows(frame: pl.DataFrame, filters: Sequence[Expression], /) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep the rows for which all filters are true; return them, and the others with the `filter` that removed them.

    Raises ArchiveError, with the best value there is, if a filter removes the last row.
    """
    kept, taken = frame, []
    for one in filters:
        is_true = one.condition(kept)
        if not is_true.any():
            raise ArchiveError(f"no row is left to choose from: {_none_is_left(one, kept)}")
        taken.append(kept.filter(~is_true).with_columns(pl.lit(one.sql).alias("ecosel:filter")))
        kept = kept.filter(is_true)
    nothing = frame.clear().with_columns(pl.lit("").alias("ecosel:filter"))
    return kept, pl.concat([nothing, *taken])


def _none_is_left(one: Expression, frame: pl.DataFrame) -> str:
    compared = re.fullmatch(r"""\s*(["`]?)(.+?)\1\s*(>=|<=|>|<|=)\s*('?)([^'<>=]+)\4\s*""", one.sql)
    if compared is None or compared[2] not in frame.columns:
        return f"--where {one.sql!r} is true for none of {frame.height:,} rows"
    column, sign = compared[2], compared[3]
    if sign == "=":
        values = frame[column].drop_nulls().unique(maintain_order=True).head(6).to_list()
        there = ", ".join(map(repr, values[:5])) + (", ..." if len(values) > 5 else "")
        return f"no model has {one.sql}; there is {there or 'no value'}"
    numbers = read_numbers(frame[column])[0].drop_nulls()
    best = (numbers.max() if ">" in sign else numbers.min()) if len(numbers) else None
    return f"no model has {one.sql}; " + (f"the best has {best:.6g}" if isinstance(best, (int, float)) else "none has a value")


def no_row(archive: Archive, /) -> str:
    """State why an archive has no rows."""
    if archive.unfinished:
        why = "; ".join(archive.remarks) or f"{archive.unfinished:,} are unfinished"
        return f"no row is left to choose from: no trial of {archive.path} is complete: {why}"
    return f"no row is left to choose from: {archive.path} has none"


@contextmanager
def _silent() -> Iterator[None]:
    """Discard what a panicking SQL parser writes to stderr; the error is raised as an exception."""
    try:
        kept = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _as_float_literal(match: re.Match[str]) -> str:
    return match.group(1) or f"{match.group(2)}e0"


def _message_of(column: str, frame: pl.DataFrame) -> str:
    try:
        found = find_column(column, [name for name in frame.columns if name != ROW])
    except ValueError as error:
        return str(error)
    return f"no column {column!r}; did you mean {found!r}?"
