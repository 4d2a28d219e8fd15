"""Read tables whose columns are aligned with blanks, or separated by Markdown's bars."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds, long_cells
from ecosel.readers.cells.headings import heading_of, with_unit
from ecosel.readers.table import LOOKED_AT, Archive, distinct, named, refuse_twice
from ecosel.readers.text.printed import refuse_cut

_RULE = re.compile(r"(?=[ =-]*?(--|==))[ =-]*+|\[\d+ rows x \d+ columns\]")
_NUMBER = re.compile(r"[+-]?[\d.,]*\d\S*")
# Rows of a table that are split into cells at once.
_AT_ONCE = 20_000
# the line under the header, | --- | :---: |, also as terminals show it, +-----+-----+
_BARS = re.compile(r"^[ \t]*+[|+]?[ \t]*+:?[-=]{2,}+:?[ \t]*+([|+][ \t]*+:?[-=]{2,}+:?[ \t]*+)++[|+]?[ \t]*+$")
# of bounded length, as otherwise each opening sign without an end would be searched for through the whole cell
_MARKUP = (
    (re.compile(r"!?\[([^\[\]]{0,300})\]\([^()]{0,2000}\)"), r"\1"), (re.compile(r"(\*\*|__|~~|`)(.{1,100}?)\1"), r"\2"),
    (re.compile(r"(?<!\w)([*_])(?=\S)(.{1,100}?)(?<=\S)\1(?!\w)"), r"\2"), (re.compile(r"<br\s*/?>|&nbsp;"), " "),
)  # fmt: skip
_SIGNS = re.compile(r"[\\\[*_~`<&]")


def is_aligned(path: str, sample: str, /, *, is_whole: bool) -> bool:
    """Tell whether blanks, and no other separator, divide each line of a sample into the same number of cells.

    Raises ArchiveError if the lines have no separator at all, and blanks divide them differently.
    """
    lines = sample.splitlines()
    cells = [_parted(line) for line in (lines if is_whole else lines[:-1]) if _is_row(line)]
    if len(cells) < 2 or len(cells[0]) < 2 or re.search(r"[,;\t|{<]", lines[0]) or not any(map(_NUMBER.fullmatch, cells[-1])):
        return False
    widths = {len(row) for row in cells[1:]}
    # print(frame) leaves the index without a name, and so does write.table() of R, which quotes it
    is_indexed = sample[:1] == " " or all(line.startswith('"') for line in lines[:2])
    if len(widths) == 1 and (widths == {len(cells[0])} or (widths == {len(cells[0]) + 1} and is_indexed)):
        return True
    if any(re.search(r"[,;\t|]", line) for line in lines[1:]):
        return False
    raise ArchiveError(
        f"{path}: no separator (, ; tab |) stands in its lines, and blanks part them into different numbers of cells;"
        " save the table as CSV"
    )


def with_tabs(path: str, text: str, /) -> str:
    tabs, number, header = io.StringIO(), 0, list[str]()
    rows = csv.writer(tabs, delimiter="\t", lineterminator="\n")
    for line in _lines(text):
        if not _is_row(line):
            continue
        cells, number = _parted(line), number + 1
        if number == 1:
            header = cells
            continue
        if number == 2:
            rows.writerow(header if len(header) == len(cells) else ["", *header])
        refuse_cut(path, cells, number - 2)
        rows.writerow(cells)
    return tabs.getvalue()


def _parted(line: str) -> list[str]:
    """Split a line at its blanks, but not inside quoted cells."""
    if '"' not in line:
        return line.split()
    with long_cells():
        return next(csv.reader([line.strip()], delimiter=" ", skipinitialspace=True), [])


def _lines(text: str) -> Iterator[str]:
    """Yield the lines of a text one by one, as a list of short ones would take 20 times its memory."""
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin)
        end = len(text) if end < 0 else end
        yield text[begin:end].removesuffix("\r")
        begin = end + 1


def _is_row(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#") and not _RULE.fullmatch(line.strip())


def is_markdown(sample: str, /) -> bool:
    lines = sample.splitlines() if "|" in sample else []
    return any(_BARS.match(line) and k and "|" in lines[k - 1] for k, line in enumerate(lines))


def open_markdown(path: str, text: str, *, bounds: Bounds) -> Archive:
    """Read the first table; emphasis, code and links in its cells are reduced to their text."""
    table = _Markdown(path, text)
    header = table.header()
    bounds.check_columns(path, _width(header))
    names, shown, count = _cells(header), list[list[str]](), 0
    for cells in table.rows(_width(header)):
        count += 1
        if len(shown) < LOOKED_AT:
            shown.append(cells)
    bounds.check_rows(path, count)
    heading = heading_of(names, shown)
    columns = distinct(heading.names)

    def load(wanted: Sequence[str], _: Sequence[str]) -> pl.DataFrame:
        refuse_twice(path, wanted, heading.names)
        places = [(name, columns.index(name), heading.units.get(name, "")) for name in wanted]
        below = islice(table.rows(len(names)), heading.rows - 1, None)
        parts = [_frame([])] if not places else []
        while some := list(islice(below, _AT_ONCE)):
            parts.append(_frame([(name, [row[k] for row in some], unit) for name, k, unit in places]))
        return pl.concat(parts or [_frame([(name, [], unit) for name, _, unit in places])])

    remarks = [f"reading the first of {table.others + 1} tables in the file"] if table.others else []
    return Archive(path, named(columns), load, remarks=(*remarks, *filter(None, [heading.remark])))


def _frame(columns: list[tuple[str, list[str], str]]) -> pl.DataFrame:
    return pl.DataFrame(
        [pl.Series(name, [with_unit(cell, unit) if unit else cell for cell in (cell or None for cell in cells)], dtype=pl.String)
         for name, cells, unit in columns]
    )  # fmt: skip


@dataclass
class _Markdown:
    """The first table of a Markdown text, whose rows are split anew each time."""

    path: str
    text: str
    others: int = 0
    """Number of further tables, known once all rows were seen."""

    def header(self) -> str:
        before = ""
        for line in _lines(self.text):
            if "|" in before and _BARS.match(line):
                return before
            before = line
        raise ArchiveError(f"{self.path}: a Markdown table needs a line of names above its line of dashes")

    def rows(self, width: int) -> Iterator[list[str]]:
        before, place, number = "", "above", 0
        self.others = 0
        for line in _lines(self.text):
            is_rule = bool(_BARS.match(line))
            if place == "above":
                place = "in" if is_rule and "|" in before else place
            elif place == "in" and ("|" in line or is_rule):
                if not is_rule:
                    if (found := _width(line)) != width:
                        words = f"row {number} has {found} cells, but the header has {width}; correct the row"
                        raise ArchiveError(f"{self.path}: {words}")
                    cells, number = _cells(line), number + 1
                    refuse_cut(self.path, cells, number - 1)
                    yield cells
            else:
                place = "below"
                self.others += is_rule and "|" in before
            before = line


def _width(line: str) -> int:
    line = _inner(line)
    return line.count("|") - line.count("\\|") + 1


def _inner(line: str) -> str:
    line = line.strip()
    line = line[1:] if line.startswith("|") else line
    return line[:-1] if line.endswith("|") and not line.endswith("\\|") else line


def _cells(line: str) -> list[str]:
    line = _inner(line)
    if not _SIGNS.search(line):
        return [cell.strip() for cell in line.split("|")]
    return [_plain(cell.replace("\\|", "|")) for cell in re.split(r"(?<!\\)\|", line)]


def _plain(cell: str) -> str:
    for pattern, text in _MARKUP:
        cell = pattern.sub(text, cell)
    return cell.strip()
