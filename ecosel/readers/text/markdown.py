"""Turn the first table of a Markdown text into a frame."""

from __future__ import annotations

import re

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds
from ecosel.readers.table import Archive, from_rows

# the line under the header, | --- | :---: |, also of tables as terminals show them, +-----+-----+
_RULE = re.compile(r"^[ \t]*[|+]?[ \t]*:?[-=]{2,}:?[ \t]*([|+][ \t]*:?[-=]{2,}:?[ \t]*)+[|+]?[ \t]*$")
# of bounded length, as an opening sign without an end would be looked for through the whole cell, again and again
_MARKUP = (
    (re.compile(r"!?\[([^\[\]]{0,300})\]\([^()]{0,2000}\)"), r"\1"), (re.compile(r"(\*\*|__|~~|`)(.{1,100}?)\1"), r"\2"),
    (re.compile(r"(?<!\w)([*_])(?=\S)(.{1,100}?)(?<=\S)\1(?!\w)"), r"\2"), (re.compile(r"<br\s*/?>|&nbsp;"), " "),
)  # fmt: skip


def is_markdown(sample: str, /) -> bool:
    lines = sample.splitlines() if "|" in sample else []
    return any(_RULE.match(line) and k and "|" in lines[k - 1] for k, line in enumerate(lines))


def open_markdown(path: str, text: str, *, bounds: Bounds) -> Archive:
    """Read the first table; emphasis, code and links in its cells are only their text."""
    lines = text.splitlines()
    rule = next((k for k, line in enumerate(lines) if _RULE.match(line) and k and "|" in lines[k - 1]), None)
    if rule is None:
        raise ArchiveError(f"{path}: a Markdown table needs a line of names above its line of dashes")
    rows: list[list[str | None]] = [list(_cells(lines[rule - 1]))]
    end = rule + 1
    while end < len(lines) and ("|" in lines[end] or _RULE.match(lines[end])):
        line, end = lines[end], end + 1
        if _RULE.match(line):
            continue
        cells = _cells(line)
        if len(cells) != len(rows[0]):
            raise ArchiveError(
                f"{path}: row {len(rows) - 1} has {len(cells)} cells, but the header has {len(rows[0])}; correct the row"
            )
        rows.append([cell or None for cell in cells])
    others = sum(1 for k in range(end, len(lines)) if _RULE.match(lines[k]) and "|" in lines[k - 1])
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
