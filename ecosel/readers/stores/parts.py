"""Bound the memory of a workbook before it is read, by scanning the XML of its parts in pieces.

A sheet is held in memory as the whole rectangle around its cells, and a text shared by many cells once for each of them.
"""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from ecosel.readers.bounds import Bounds, size_of
from ecosel.readers.stores.zipped import BOUNDED

# A sheet of numbers unpacks to 5 to 30 times its size, and is slower to read than other tables.
_TIMES = 40
# the attributes of cells and rows with content: readers ignore an empty cell that only has a style
_CELL = re.compile(rb"<(?:\w+:)?c(\s[^<>]*|)(?<!/)>")
_ROW = re.compile(rb"<(?:\w+:)?row(\s[^<>]*)(?<!/)>")
_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Za-z]{1,4})(\d{1,9})["']""")
_NUMBER = re.compile(rb"""\br\s*=\s*["'](\d{1,9})["']""")
_TEXT = re.compile(rb"<(?:\w+:)?si\b[^<>]*>")
_SHARED = re.compile(rb"""\bt\s*=\s*["']s["'][^<>]*>\s*<(?:\w+:)?v>\s*(\d{1,9})\s*<""")


def check_parts(path: str, source: Path | bytes, bounds: Bounds) -> None:
    """Refuse a workbook that unpacks to too much, has cells too far apart, or repeats a long text too often."""
    size = size_of(source)
    left, lengths = max(bounds.max_size // 10, _TIMES * size), [0]
    with zipfile.ZipFile(source if isinstance(source, Path) else io.BytesIO(source)) as parts:
        for part in sorted(parts.infolist(), key=lambda part: "sharedstrings" not in part.filename.lower()):
            if part.filename.endswith("/"):
                continue
            if part.compress_type not in BOUNDED:
                raise zipfile.BadZipFile(f"its part {part.filename[:80]} is packed by bzip2 or LZMA, which no workbook is")
            part.file_size = sys.maxsize  # count the actual size, not the declared one
            sheet = _Sheet(lengths)
            with parts.open(part) as file:
                for piece in _pieces(cast("BinaryIO", file)):
                    left -= len(piece)
                    if left < 0:
                        bounds.refuse(path, f"it unpacks to more than {_TIMES} times its size")
                    sheet.take(piece)
                    if "sharedstrings" in part.filename.lower():
                        before, *texts = map(len, _TEXT.split(piece))
                        lengths[-1] += before
                        lengths += texts
                    elif sheet.text > bounds.max_size:
                        bounds.refuse(path, "its cells repeat long texts too often")
                    elif sheet.area > bounds.cells(size):
                        bounds.refuse(
                            path, f"it has a cell in row {sheet.last:,}, with cells in column {sheet.column:,}: too far apart"
                        )


class _Sheet:
    """The extent of a sheet's cells, and the text that they share, as far as it was read."""

    def __init__(self, lengths: list[int]) -> None:
        """Record lengths: of the text before the first shared one, and of each shared one."""
        self.lengths = lengths
        self.text = self.column = self.last = 0
        self._first, self._left = sys.maxsize, sys.maxsize

    @property
    def area(self) -> int:
        return max(0, self.last - self._first + 1) * max(0, self.column - self._left + 1)

    def take(self, piece: bytes) -> None:
        attributes = _CELL.findall(piece)
        places = _PLACE.findall(b"\n".join(attributes))
        cells = set(places)
        rows = {int(row) for _, row in cells}
        if len(places) < len(attributes):  # cells without a position take that of their row
            rows |= {1, *map(int, _NUMBER.findall(b"\n".join(_ROW.findall(piece))))}
            cells.add((b"A", b"1"))
        columns = {_number(letters) for letters in {letters for letters, _ in cells}}
        if rows and columns:
            self._first, self.last = min(self._first, *rows), max(self.last, *rows)
            self._left, self.column = min(self._left, *columns), max(self.column, *columns)
        self.text += sum(self.lengths[k + 1] for k in map(int, _SHARED.findall(piece)) if k + 1 < len(self.lengths))


def _number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = 26 * number + letter - 64
    return number


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield a part in pieces of about 1 MB that end at the end of a tag, if they contain one."""
    rest = b""
    while read := file.read(1 << 20):
        text = rest + read
        end = text.rfind(b">") + 1 or len(text)
        yield text[:end]
        rest = text[end:]
    yield rest
