"""Turn a table that blanks align, as consoles and print(frame) show it, into one that tabs separate."""

from __future__ import annotations

import re

from ecosel.errors import ArchiveError

_RULE = re.compile(r"[ =-]*(--|==)[ =-]*|\[\d+ rows x \d+ columns\]")
_NUMBER = re.compile(r"[+-]?[\d.,]*\d\S*")


def is_aligned(path: str, sample: str, /, *, is_whole: bool) -> bool:
    """Tell whether blanks, and no other separator, part every line of a sample into as many cells.

    Raises ArchiveError where the lines hold no separator at all, and blanks part them differently.
    """
    lines = sample.splitlines()
    cells = [line.split() for line in (lines if is_whole else lines[:-1]) if _is_row(line)]
    if len(cells) < 2 or len(cells[0]) < 2 or re.search(r"[,;\t|{<]", lines[0]) or not any(map(_NUMBER.fullmatch, cells[-1])):
        return False
    widths = {len(row) for row in cells[1:]}
    # print(frame) gives its index no name
    if len(widths) == 1 and (widths == {len(cells[0])} or (widths == {len(cells[0]) + 1} and sample[:1] == " ")):
        return True
    if any(re.search(r"[,;\t|]", line) for line in lines[1:]):
        return False
    raise ArchiveError(
        f"{path}: no separator (, ; tab |) stands in its lines, and blanks part them into different numbers of cells;"
        " save the table as CSV"
    )


def with_tabs(text: str, /) -> str:
    rows = [line.split() for line in text.splitlines() if _is_row(line)]
    if len(rows[0]) < len(rows[1]):
        rows[0].insert(0, "")
    return "\n".join("\t".join(row) for row in rows) + "\n"


def _is_row(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#") and not _RULE.fullmatch(line.strip())
