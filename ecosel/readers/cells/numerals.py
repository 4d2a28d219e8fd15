"""Determine the meaning of points and commas in the numbers of a text, and write them with a decimal point."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.cells.numbers import MISSING

Mark = Literal["point", "comma"]

_BLANKS = " '’_\u00a0\u202f\u2009"
# A number up to its unit, percent sign or exponent, with the marks that may group or divide its digits.
_CORE = rf"^[+\-−]?[\d.,{_BLANKS}]*"
# Groups of three digits after a first group that is not 0: "1,014.45", "25 506 331", "1.234.567".
_GROUPS = {
    "point": rf"^[+\-−]?(\d*|[1-9]\d{{0,2}}(,\d{{3}})+|[1-9]\d{{0,2}}([{_BLANKS}]\d{{3}})+)(\.\d*)?$",
    "comma": rf"^[+\-−]?(\d*|[1-9]\d{{0,2}}(\.\d{{3}})+|[1-9]\d{{0,2}}([{_BLANKS}]\d{{3}})+)(,\d*)?$",
}
_OTHER: dict[Mark, Mark] = {"point": "comma", "comma": "point"}


def decimal_mark(columns: Iterable[pl.Series], /) -> Mark | None:
    """Return the decimal mark that the columns of a file use; None if they use none, or both."""
    shown = {mark for column in columns if (mark := _mark_of(column)) in ("point", "comma")}
    return shown.pop() if len(shown) == 1 else None


def with_points(cells: pl.Series, mark: Mark | None, /, *, forced: bool = False) -> pl.Series:
    """Write the numbers of a text column with a decimal point and no grouping; leave any other column unchanged.

    mark comes from the rest of the file, or from the user (forced). Raises ArchiveError if a column can be read
    both ways and mark does not decide, or if some cells have a decimal point and others a comma.
    """
    own = mark if forced else _mark_of(cells)
    if own is None:
        return cells
    if own == "mixed" and mark == "point" and _present(cells).str.contains(r"\d,\d{3}").any():
        own = mark  # elsewhere in the file the point is the decimal one, so the comma groups
    if own == "mixed":
        comma = _first(cells, r"^[+\-−]?\d+,\d+\D*$")
        raise ArchiveError(
            f"column {cells.name!r}: is the comma in {comma!r} a decimal mark? other cells have a point; use the same mark in all"
        )
    if own == "either":
        if mark is None:
            example = _first(cells, r"\d[.,]\d{3}")
            readings = [_written(pl.Series([example]), reading)[0] for reading in ("point", "comma")]
            asked = (
                f"is the comma in {example!r} a decimal mark" if "," in example else f"does the point in {example!r} group digits"
            )
            raise ArchiveError(
                f"column {cells.name!r}: {asked}? it can be {readings[0]} or {readings[1]};"
                " say which with --decimal point or --decimal comma"
            )
        own = mark
    return _written(cells, "comma" if own == "comma" else "point")


def _mark_of(cells: pl.Series) -> Literal["point", "comma", "either", "mixed"] | None:
    """Return the decimal mark of a column: None for text and for numbers without a mark."""
    text = _present(cells)
    if not len(text) or not text.str.contains(r"[.,]").any():
        return None
    core = text.str.extract(f"({_CORE})").str.strip_chars()
    if not core.str.contains(r"\d").all():
        return None
    point, comma = (core.str.contains(_GROUPS[mark]).all() for mark in ("point", "comma"))
    if point and comma:
        return "either"
    if comma:
        return "comma"
    if point:
        # in 1,014 beside 2.5, only a second group, or one before a point, shows that the comma groups digits
        lone = core.str.contains(r"^[+\-−]?\d+,\d{3}$").any() and not core.str.contains(r"\d,\d{3},\d{3}|,\d{3}\.\d").any()
        return "mixed" if lone else "point"
    if all((core.str.contains(_GROUPS["point"]) | core.str.contains(_GROUPS["comma"])).to_list()):
        return "mixed"
    return None


def _written(cells: pl.Series, mark: Mark) -> pl.Series:
    core = cells.str.extract(f"({_CORE})")
    end = cells.str.slice(core.str.len_chars())
    drop = f"[{_BLANKS}{'.' if mark == 'comma' else ','}]"
    plain = core.str.strip_chars_end().str.replace_all(drop, "")
    # text that is not a number with this mark is kept, to be reported
    fits = core.str.strip_chars().str.contains(_GROUPS[mark])
    if mark == "comma":
        plain = plain.str.replace(",", ".", literal=True)
    joined = plain + pl.select(pl.when(core.str.ends_with(" ")).then(pl.lit(" ")).otherwise(pl.lit(""))).to_series() + end
    return pl.select(pl.when(fits & core.str.contains(r"\d")).then(joined).otherwise(cells)).to_series().alias(cells.name)


def _present(cells: pl.Series) -> pl.Series:
    text = cells.str.strip_chars().drop_nulls()
    return text.filter(~text.str.to_lowercase().is_in(MISSING))


def _first(cells: pl.Series, pattern: str) -> str:
    text = _present(cells)
    found = text.filter(text.str.contains(pattern))
    return str(found[0] if len(found) else text[0])
