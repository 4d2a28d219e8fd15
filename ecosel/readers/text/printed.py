"""Recognise what programs print: tables drawn with lines, tables cut by dots, and logs, which are no tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ecosel.errors import ArchiveError

# the lines of rich, polars and others, as Markdown has them
_LINES = dict.fromkeys(range(0x2500, 0x2580), "+")
_LINES |= dict.fromkeys(map(ord, "│┃┆┇┊┋║╎╏"), "|") | dict.fromkeys(map(ord, "─━┄┅┈┉═╌╍"), "-")
_DRAWN = re.compile("[│┃┆┇┊┋║╎╏]")
# possessive, so that no long line is gone through again and again
_PAIR = re.compile(r"(?<![\w./-])([A-Za-z_][\w./-]{0,60}+)\s?[=:]\s?[+-]?[.\d]")
_DOTS = frozenset(("..", "...", "…"))


def with_bars(text: str, /) -> str:
    """Write a table that is drawn with lines as Markdown writes it; return any other text unchanged."""
    return text.translate(_LINES) if _DRAWN.search(text) else text


def refuse_cut(path: str, cells: Sequence[str], number: int, /) -> None:
    """Raise ArchiveError for a row of dots, which stands for rows that a program did not print."""
    if len(cells) > 1 and _DOTS.issuperset(cells):
        raise ArchiveError(f"{path}: rows are missing, as the dots in row {number} show; save the whole table as CSV")


def refuse_log(path: str, sample: str, /) -> None:
    """Raise ArchiveError for lines of "name=value" or "name: value" with the same names."""
    lines = ("" if line.startswith("#") else line[:2000] for line in (*sample.split("\n", 2)[:2], "")[:2])
    first, second = ([pair[1] for pair in _PAIR.finditer(line)] for line in lines)
    if len(first) > 1 and first == second:
        raise ArchiveError(
            f"{path} is a log, with names in each line ({first[0]}, {first[1]}), not a table;"
            " write its values as CSV with one line of names, or as JSON, one object a line"
        )
