"""Find the header of a delimited text, its separator, and the lines above it or between its rows that are not rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ecosel.readers.bounds import long_cells
from ecosel.readers.cells.headings import Heading, heading_of

_SEPARATORS = ",;\t|"
# Lines above a header that are examined.
_ABOVE = 50
_NUMBER = re.compile(r"\s*+[+-]?[.,]*+\d[\d.,]*+\s*+%?\s*+")


@dataclass(frozen=True)
class Layout:
    """The layout of a delimited text, as far as a sample shows."""

    separator: str
    skipped: int
    """Number of lines above the header."""
    has_comments: bool
    """Lines that begin with # are not rows."""
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The rows of the sample with as many cells as the header."""
    hidden_header: bool = False
    """The header is a comment itself: its first name begins with #."""
    header_rows: int = 1
    """Number of rows of the header; names in several rows are joined."""
    units: Mapping[str, str] = field(default_factory=dict)
    """The units that a row below the names states."""
    remarks: tuple[str, ...] = ()


def layout_of(sample: str, /, *, check_columns: Callable[[int], None] = lambda _: None) -> Layout:
    """Find the layout; check_columns gets the number of columns before the header is split into them."""
    lines = sample.splitlines()
    stated = re.fullmatch(r'\s*"?sep=(.|\\t)"?\s*', lines[0], re.IGNORECASE) if lines else None
    skipped = 1 if stated else 0
    separator = stated[1].replace("\\t", "\t") if stated else find_separator("\n".join(lines))
    widths = [_width(line, separator) if line.strip() else 0 for line in lines]
    below = [width for width, line in zip(widths, lines, strict=True) if width > 1 and not line.startswith("#")]
    usual = max(set(below), key=below.count) if below else 1
    # in a table of three or more columns, a title has one cell, perhaps followed by separators for the others
    filled = widths if usual < 3 else [sum(1 for cell in _cells(line, separator) if cell.strip()) for line in lines[:_ABOVE]]
    hidden = False
    first = skipped
    # above the header: blank lines, comments, and lines of one cell above rows of several
    while first < len(lines) - 1 and usual > 1 and lines[first].count('"') % 2 == 0:
        if lines[first].startswith("#"):
            hidden = widths[first] == usual and _is_header(lines, widths, first, separator)
            if hidden:
                break
        elif (filled[first] if first < len(filled) else widths[first]) > 1:
            break
        first += 1
    comments = [k for k in range(first + 1, len(lines)) if lines[k].startswith("#")]
    has_comments = bool(comments) and all(widths[k] != usual for k in comments)
    if first < len(lines):
        check_columns(widths[first])
    header = _cells(lines[first], separator) if first < len(lines) else []
    if hidden:
        header[0] = header[0].lstrip("# ") or header[0]
    rows = [tuple(row) for line in lines[first + 1 :] if len(row := _cells(line, separator)) == len(header)]
    titles = [line for line in lines[skipped:first] if line.strip(f" {separator}") and not line.startswith("#")]
    remark = f"skipped the {'line' if len(titles) == 1 else f'{len(titles)} lines'} above the header" if titles else None
    # only a row directly below the names belongs to them
    is_next = bool(rows) and first + 1 < len(lines) and tuple(_cells(lines[first + 1], separator)) == rows[0]
    heading = heading_of(header, rows) if is_next else Heading(tuple(header))
    return Layout(
        separator, first, has_comments and not hidden, heading.names, tuple(rows[heading.rows - 1 :]), hidden,
        heading.rows, heading.units, tuple(filter(None, (remark, heading.remark))),
    )  # fmt: skip


def find_separator(sample: str, /) -> str:
    """Return the separator that splits the lines of sample into the same number of cells, preferring more cells."""
    # ignore quoted cells with their separators and line ends
    lines = [line for line in re.sub(r'"[^"]*"', "", sample).splitlines() if line.strip() and not line.startswith("#")][:50]
    if not lines:
        return ","

    def fit(separator: str) -> tuple[int, int]:
        counts = [line.count(separator) for line in lines]
        most = max(set(filter(None, counts)), key=counts.count, default=0)
        return (counts.count(most) if most else 0, most)

    return max(_SEPARATORS, key=fit)


def _is_header(lines: list[str], widths: list[int], at: int, separator: str) -> bool:
    """Tell whether a comment with as many cells as the rows names the columns: no number in it, but some in the next line."""
    following = next((k for k in range(at + 1, len(lines)) if widths[k]), None)
    if following is None or lines[following].startswith("#"):
        return False
    names, cells = _cells(lines[at], separator), _cells(lines[following], separator)
    return not any(map(_NUMBER.fullmatch, names)) and any(map(_NUMBER.fullmatch, cells))


def _width(line: str, separator: str) -> int:
    return len(_cells(line, separator)) if '"' in line else line.count(separator) + 1


def _cells(line: str, separator: str) -> list[str]:
    if '"' not in line:
        return line.split(separator) if line else []
    with long_cells():
        return next(csv.reader(io.StringIO(line), delimiter=separator), [])
