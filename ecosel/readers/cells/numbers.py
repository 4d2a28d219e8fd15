"""Turn the cells of a messy column into numbers, or name a cell that is not a number."""

from __future__ import annotations

import re

import polars as pl

from ecosel.errors import ArchiveError

MISSING = ["", "-", "--", "---", "–", "—", "?", ".", "...", "…", "\\n", "na", "n/a", "n.a.", "<na>", "nan", "null", "(null)",
           "none", "nil", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity", "#n/a", "#na", "#div/0!", "#value!",
           "#ref!", "#name?", "#num!", "#null!"]  # fmt: skip
# Groups of three after a first group that is not 0: "1,014.45", "25 506 331"; not "0,802", which has a decimal comma.
_GROUPED = r"^[+-]?[1-9]\d{0,2}([,'_ \u00a0\u2009\u202f’]\d{3})+(\.\d*)?$"
_MARKS = r"[,'_ \u00a0\u2009\u202f’]"


def read_numbers(cells: pl.Series, /) -> tuple[pl.Series, pl.Series]:
    """Read cells as numbers; return (numbers [n], unreadable [n] bool).

    NaN, ±inf and the usual words for "no value" become null. A percent sign divides by 100; then every cell
    of the column needs one. Unreadable cells are null, and marked.
    """
    dtype = cells.dtype
    if dtype == pl.Boolean:
        return cells.cast(pl.Int64), pl.repeat(False, len(cells), eager=True)
    if dtype.is_numeric() or dtype == pl.Null:
        numbers = cells if dtype.is_integer() else cells.cast(pl.Float64)
        if numbers.dtype.is_float() and not numbers.is_finite().all():
            numbers = pl.select(pl.when(numbers.is_finite()).then(numbers)).to_series().alias(cells.name)
        return numbers, pl.repeat(False, len(cells), eager=True)
    if dtype in (pl.Categorical, pl.Enum):
        cells = cells.cast(pl.String)
    if cells.dtype != pl.String:
        return pl.repeat(None, len(cells), dtype=pl.Float64, eager=True).alias(cells.name), cells.is_not_null()
    text = cells.str.strip_chars()
    # other cells become null: when/then without otherwise
    text = pl.select(pl.when(~text.str.to_lowercase().is_in(MISSING)).then(text)).to_series()
    present = text.is_not_null()
    percent = text.str.contains(r"\d\.?\s*%$").fill_null(False)
    body = text.str.strip_suffix("%").str.strip_chars().str.replace("−", "-", literal=True)
    grouped = body.str.contains(_GROUPED).fill_null(False)
    plain = pl.select(pl.when(grouped).then(body.str.replace_all(_MARKS, "")).otherwise(body)).to_series()
    numbers = plain.cast(pl.Int64, strict=False)
    if numbers.null_count() > plain.null_count() or percent.any():
        numbers = plain.cast(pl.Float64, strict=False)
        if percent.any():
            numbers = pl.select(pl.when(percent).then(numbers / 100)).to_series()
    unreadable = present & numbers.is_null()
    return pl.select(pl.when(numbers.is_finite()).then(numbers)).to_series().alias(cells.name), unreadable


def numbers(cells: pl.Series, /, *, rows: pl.Series) -> pl.Series:
    """Read the column of an objective as numbers [n]; missing ones are null.

    Raises ArchiveError with an example cell and its row if a cell is neither a number nor missing.
    """
    read, unreadable = read_numbers(cells)
    if unreadable.any():
        first = int(unreadable.arg_true()[0])
        cell = repr(cells[first])
        raise ArchiveError(
            f"column {cells.name!r}: {cell if len(cell) <= 60 else cell[:57] + '...'} in row {rows[first]} is not a number"
            f" ({unreadable.sum()} such {'cell' if unreadable.sum() == 1 else 'cells'}{_hint(cells, unreadable)});"
            f" correct the file, exclude such rows with {_filter(cells, unreadable)}, or compute the column with --derive"
        )
    return read


def looks_numeric(cells: pl.Series, /) -> bool:
    """Tell whether the column holds at least one number, and nothing else but missing cells."""
    read, unreadable = read_numbers(cells)
    return not unreadable.any() and read.null_count() < len(read)


def _filter(cells: pl.Series, unreadable: pl.Series) -> str:
    """Return the --where that removes the unreadable cells, if it can be written simply."""
    values = cells.filter(unreadable)
    cell = str(values[0]).strip()
    is_simple = (
        cells.dtype == pl.String
        and values.n_unique() == 1 < len(cells)
        and re.fullmatch(r"[A-Za-z_]\w*", cells.name)
        and re.fullmatch(r"[^'\"\\]{1,20}", cell)
    )
    return f"--where \"{cells.name} <> '{cell}'\"" if is_simple else "--where"


def _hint(cells: pl.Series, unreadable: pl.Series) -> str:
    if cells.dtype == pl.String and cells.filter(unreadable).str.strip_chars().eq(cells.name).all():
        return ", the header again"
    if cells.dtype == pl.String and cells.filter(unreadable).str.contains(r"^\s*\d{4}-\d\d-\d\d").all():
        return "; a date is no number"
    if cells.dtype != pl.String:
        return f", type {cells.dtype}"
    if cells.filter(unreadable).str.contains(r"^\s*\d{1,3}:\d\d(\.\d+)?\s*$").all():
        return "; write a duration with hours, minutes and seconds, as in 0:01:30"
    if cells.str.contains("%").any():
        return ", and only some cells carry a percent sign" if cells.filter(unreadable).str.contains(r"^[\s\d.,]+$").all() else ""
    if cells.filter(unreadable).str.contains(r"^\s*[+-]?\d+,\d+\s*$").all():
        return "; for decimal commas say --decimal comma"
    return ""
