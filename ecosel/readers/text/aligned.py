"""Read tables whose columns are aligned with blanks, or separated by Markdown's bars."""

from __future__ import annotations

import re

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds
from ecosel.readers.table import Archive, from_rows

_RULE = re.compile(r"(?=[ =-]*?(--|==))[ =-]*+|\[\d+ rows x \d+ columns\]")
_NUMBER = re.compile(r"[+-]?[\d.,]*\d\S*")


# the line under the header, | --- | :---: |, also as terminals show it, +-----+-----+
_BARS = re.compile(r"^[ \t]*+[|+]?[ \t]*+:?[-=]{2,}+:?[ \t]*+([|+][ \t]*+:?[-=]{2,}+:?[ \t]*+)++[|+]?[ \t]*+$")
# of bounded length, as otherwise each opening sign without an end would be searched for through the whole cell
_MARKUP = (
    (re.compile(r"!?\[([^\[\]]{0,300})\]\([^()]{0,2000}\)"), r"\1"), (re.compile(r"(\*\*|__|~~|`)(.{1,100}?)\1"), r"\2"),
    (re.compile(r"(?<!\w)([*_])(?=\S)(.{1,100}?)(?<=\S)\1(?!\w)"), r"\2"), (re.compile(r"<br\s*/?>|&nbsp;"), " "),
)  # fmt: skip


def is_aligned(path: str, sample: str, /, *, is_whole: bool) -> bool:
    """Tell whether blanks, and no other separator, divide each line of a sample into the same number of cells.

    Raises ArchiveError if the lines have no separator at all, and blanks divide them differently.
    """
    lines = sample.splitlines()
    cells = [line.split() for line in (lines if is_whole else lines[:-1]) if _is_row(line)]
    if len(cells) < 2 or len(cells[0]) < 2 or re.search(r"[,;\t|{<]", lines[0]) or not any(map(_NUMBER.fullmatch, cells[-1])):
        return False
    widths = {len(row) for row in cells[1:]}
    # print(frame) leaves the index without a name
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


def is_markdown(sample: str, /) -> bool:
    lines = sample.splitlines() if "|" in sample else []
    return any(_BARS.match(line) and k and "|" in lines[k - 1] for k, line in enumerate(lines))


def open_markdown(path: str, text: str, *, bounds: Bounds) -> Archive:
    """Read the first table; emphasis, code and links in its cells are reduced to their text."""
    lines = text.splitlines()
    rule = next((k for k, line in enumerate(lines) if _BARS.match(line) and k and "|" in lines[k - 1]), None)
    if rule is None:
        raise ArchiveError(f"{path}: a Markdown table needs a line of names above its line of dashes")
    rows: list[list[str | None]] = [list(_cells(lines[rule - 1]))]
    end = rule + 1
    while end < len(lines) and ("|" in lines[end] or _BARS.match(lines[end])):
        line, end = lines[end], end + 1
        if _BARS.match(line):
            continue
        cells = _cells(line)
        if len(cells) != len(rows[0]):
            raise ArchiveError(
                f"{path}: row {len(rows) - 1} has {len(cells)} cells, but the header has {len(rows[0])}; correct the row"
            )
        rows.append([cell or None for cell in cells])
    others = sum(1 for k in range(end, len(lines)) if _BARS.match(lines[k]) and "|" in lines[k - 1])
    remarks = [f"reading the first of {others + 1} tables in the file"] if others else []
    return from_rows(path, rows, bounds=bounds, size=len(text), remarks=remarks)


def _cells(line: str) -> list[str]:
    line = line.strip()
    line = line[1:] if line.startswith("|") else line
    line = line[:-1] if line.endswith("|") and not line.endswith("\\|") else line
    return [_plain(cell.replace("\\|", "|")) for cell in re.split(r"(?<!\\)\|", line)]


def _plain(cell: str) -> str:
    for pattern, text in _MARKUP:
        cell = pattern.sub(text, cell)
    return cell.strip()
