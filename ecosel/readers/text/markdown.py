"""Turn the first table of a Markdown text into a frame."""

from __future__ import annotations

import re
from typing import Any

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds
from ecosel.readers.table import Archive, from_records, twice

# the line under the header: | --- | :---: |
_RULE = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)+\|?\s*$", re.MULTILINE)
_MARKUP = (
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"), (re.compile(r"(\*\*|__|~~|`)(.+?)\1"), r"\2"),
    (re.compile(r"(?<!\w)([*_])(?=\S)(.+?)(?<=\S)\1(?!\w)"), r"\2"), (re.compile(r"<br\s*/?>|&nbsp;"), " "),
)  # fmt: skip


def is_markdown(sample: str, /) -> bool:
    return bool(_RULE.search(sample))


def open_markdown(path: str, text: str, *, bounds: Bounds) -> Archive:
    """Read the first table; emphasis, code and links in its cells are only their text."""
    rule = _RULE.search(text)
    above = text[: rule.start()].rstrip("\n").splitlines() if rule else []
    if rule is None or not above:
        raise ArchiveError(f"{path}: a Markdown table needs a line of names above its line of dashes")
    header = _cells(above[-1])
    records: list[dict[str, Any]] = []
    for line in text[rule.end() :].lstrip("\n").splitlines():
        if "|" not in line:
            break
        cells = _cells(line)
        if len(cells) != len(header):
            raise ArchiveError(
                f"{path}: row {len(records)} has {len(cells)} cells, but the header has {len(header)}; correct the row"
            )
        records.append({name: cell or None for name, cell in zip(header, cells, strict=True)})
    again = twice(header)
    if again is not None:
        raise ArchiveError(f"{path}: column {again!r} appears more than once in the header; rename one of them")
    others = len(_RULE.findall(text)) - 1
    remarks = (f"reading the first of {others + 1} tables in the file",) if others else ()
    return from_records(path, records, bounds=bounds, size=len(text), columns=header, remarks=remarks)


def _cells(line: str) -> list[str]:
    line = line.strip()
    line = line[1:] if line.startswith("|") else line
    line = line[:-1] if line.endswith("|") and not line.endswith("\\|") else line
    return [_plain(cell.replace("\\|", "|")) for cell in re.split(r"(?<!\\)\|", line)]


def _plain(cell: str) -> str:
    for pattern, text in _MARKUP:
        cell = pattern.sub(text, cell)
    return cell.strip()
