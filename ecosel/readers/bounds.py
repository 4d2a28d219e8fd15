"""Bound the cost of a stranger's file: memory, time, rows, columns, the length of a cell.

All bounds follow from one size, 1 GB unless `--max-size` states another, so that one option raises them together.
"""

from __future__ import annotations

import csv
import io
import re
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np

from ecosel.errors import ArchiveError
from ecosel.readers.packing import opened, pieces

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
# A text that unpacks to more than this many times the size of its file is a bomb, if it is also large.
_TIMES = 200
# Bytes that a cell takes in Python while a database or document is read, and bytes allowed beyond the file's own size.
_CELL_IN_MEMORY, _BESIDE = 32, 200_000_000
# Bytes that a row of text takes until a model is chosen, and that rows may take beside four times their text.
_ROW_IN_MEMORY, _FOR_ROWS = 130, 240_000_000
# Bytes that a value of a JSON document takes, including its share of the lists and objects around it, and one in a long list.
_VALUE_IN_MEMORY, _LISTED_IN_MEMORY = 120, 40
_SEPARATORS = re.compile(rb"[,;\t|\n]")


class Query(Protocol):
    """A query of a study, with its rows counted."""

    def __call__(self, sql: str, values: Sequence[object] = (), /) -> Iterator[tuple[Any, ...]]: ...


@dataclass(frozen=True)
class Bounds:
    """Limits on reading a file, derived from one size in bytes."""

    max_size: int = 10**9
    seconds: float = 10.0
    """Seconds that a query may take on a database of up to 10 MB; in proportion for larger ones."""

    @property
    def rows(self) -> int:
        return self.max_size // 50

    @property
    def columns(self) -> int:
        return self.max_size // 10_000

    @property
    def files(self) -> int:
        """Largest number of files in a folder."""
        return self.max_size // 5000

    @property
    def cell(self) -> int:
        """Largest number of bytes in one cell."""
        return self.max_size // 1000

    def cells(self, size: int) -> int:
        """Return the number of cells that may be read at once from a database or a document of `size` bytes."""
        return int((_BESIDE * (self.max_size / 10**9) + 4 * size) / _CELL_IN_MEMORY)

    def entries(self, size: int) -> int:
        """Return the total number of values that records from a file of `size` bytes may have."""
        return self.cells(size) // 8 + size // 5

    def check_values(self, path: str, count: int, size: int, *, listed: bool) -> None:
        """Refuse a document to be read whole if its values, `listed` in columns or not, take far more memory than its size."""
        if count * (_LISTED_IN_MEMORY if listed else _VALUE_IN_MEMORY) > _BESIDE * (self.max_size / 10**9) + 4 * size:
            self.refuse(path, f"its {count:,} values need too much memory for its size; write one record a line (NDJSON)")

    def check_content(self, path: str, length: int, size: int) -> None:
        """Refuse texts and blobs far longer than the file of `size` bytes that they come from."""
        if length > _BESIDE * (self.max_size / 10**9) + 4 * size:
            self.refuse(path, f"its texts are longer than {said(length)}, which is too much for its size")

    def check_columns(self, path: str, count: int) -> None:
        if count > self.columns:
            self.refuse(path, f"it has more than {self.columns:,} columns")

    def check_rows(self, path: str, count: int) -> None:
        if count > self.rows:
            self.refuse(path, f"it has more than {self.rows:,} rows")

    def check_frame(self, path: str, rows: int, columns: int, size: int) -> None:
        """Refuse a table that takes far more memory than the file of `size` bytes declaring it."""
        self.check_rows(path, rows)
        if rows * columns * 8 > max(self.max_size, _TIMES * size):
            self.refuse(
                path, f"{rows:,} rows of {columns:,} columns are more than {_TIMES} times its size and {said(self.max_size)}"
            )

    def check_footer(self, path: str, source: Path | bytes) -> None:
        """Refuse a columnar file whose metadata is too long: libraries need ten times its size to read it."""
        with opened(source) as file:
            file.seek(max(0, size_of(source) - 10))
            tail = file.read()
        length = int.from_bytes(tail[-8:-4] if tail.endswith(b"PAR1") else tail[:4], "little")
        if tail.endswith((b"PAR1", b"ARROW1")) and length > self.max_size // 40:
            self.refuse(path, f"its own description of its columns is longer than {said(self.max_size // 40)}")

    def check_length(self, path: str, length: int, size: int) -> None:
        """Refuse texts that are in total far longer than the columnar file of `size` bytes in which cells share them."""
        if length > max(self.max_size, _TIMES * size):
            self.refuse(path, f"its texts are longer than {_TIMES} times its size and {said(self.max_size)}")

    def check_text(self, path: str, source: Path | bytes, *, compressed: bool) -> None:
        """Read a text in pieces; refuse it if it unpacks to too much, or has too many rows or too long a cell."""
        size = size_of(source)
        if not compressed and size <= self.cell:  # too small for too many rows, too
            return
        with opened(source) as file:
            most = max(self.max_size, _TIMES * size) if compressed else sys.maxsize
            reason = f"it unpacks to more than {_TIMES} times its size and {said(self.max_size)}"
            for _ in self._checked(path, pieces(file, compressed=compressed), most, reason):
                pass

    def drained(self, path: str, pieces: Iterable[bytes], *, is_text: bool) -> bytes:
        """Return everything that comes through a pipe, which may never end."""
        content = io.BytesIO()
        reason = f"more than {said(self.max_size)} come through it"
        for piece in self._checked(path, pieces, self.max_size, reason, is_text=is_text):
            content.write(piece)
        return content.getvalue()

    def _checked(self, path: str, pieces: Iterable[bytes], most: int, reason: str, *, is_text: bool = True) -> Iterator[bytes]:
        """Yield pieces of a text; refuse more than `most` bytes for the reason given, too many rows, and too long a cell."""
        length = rows = blank = 0
        for piece in pieces:
            length += len(piece)
            if length > most:
                self.refuse(path, reason)
            if is_text:
                rows += int(np.count_nonzero(np.frombuffer(piece, dtype=np.uint8) == ord("\n")))
                self.check_rows(path, rows)
                blank += piece.count(b"\n\n") + piece.count(b"\n\r\n")  # half of those in a row
                if blank > self.cell:
                    self.refuse(path, f"it has more than {self.cell:,} blank lines")
                if len(piece) >= self.cell and not _SEPARATORS.search(piece):
                    self.refuse(path, f"a cell near byte {length - len(piece):,} is longer than {said(self.cell)}")
            yield piece
        if rows * _ROW_IN_MEMORY > _FOR_ROWS * (self.max_size / 10**9) + 4 * length:
            self.refuse(path, f"its {rows:,} rows need too much memory for its size")

    def patience(self, size: int) -> float:
        """Return the seconds that a query of a database of `size` bytes may take."""
        return self.seconds * max(1.0, size / 10_000_000) * self.max_size / 10**9

    def guard(self, path: str, database: sqlite3.Connection, size: int) -> None:
        """Let SQLite itself end slow queries and refuse long cells."""
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(self.cell, 10_000))
        end = time.monotonic() + self.patience(size)
        database.set_progress_handler(lambda: time.monotonic() > end, 10_000)

    @contextmanager
    def one_line_limits(self, path: str) -> Iterator[None]:
        """Return which limit of `guard` a query exceeded, in words."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                self.refuse(path, f"a query of it (a view?) takes more than {self.seconds * self.max_size / 10**9:g} s")
            raise
        except (sqlite3.DataError, OverflowError) as error:
            if "too big" in str(error) or isinstance(error, OverflowError):
                self.refuse(path, f"a cell is longer than {said(self.cell)}")
            raise

    def counted(self, path: str, rows: Iterable[tuple[Any, ...]], size: int) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of the queries of a study, each an entry of a record; refuse too many."""
        length = 0
        for number, row in enumerate(rows):
            length += _length(row)
            self.check_content(path, length, size)
            if number > self.entries(size) // 2:
                self.refuse(path, f"it gives more than {number:,} rows, which is too much for its size")
            yield row

    def fetch(self, path: str, cursor: sqlite3.Cursor, columns: Sequence[str], size: int) -> list[list[Any]]:
        """Return the cells of each column of a query, at most as many as `cells` allows."""
        cells: list[list[Any]] = [[] for _ in columns]
        most = self.cells(size) // max(1, len(columns))
        length = 0
        while rows := cursor.fetchmany(max(1, 100 // len(columns))):  # each cell may be as long as `cell`
            length += sum(map(_length, rows))
            self.check_content(path, length, size)
            for column, some in zip(cells, zip(*rows, strict=True), strict=True):
                column.extend(some)
            if len(cells[0]) > most:
                self.refuse(path, f"it gives more than {most:,} rows of {len(columns)} columns, which is too much for its size")
        return cells

    def refuse(self, path: str, reason: str) -> NoReturn:
        raise ArchiveError(f"{path}: {reason}; if this is intended, raise --max-size (now {said(self.max_size)})")


BOUNDS = Bounds()


def _length(row: tuple[Any, ...]) -> int:
    """Return the total length of the texts and blobs of a row."""
    return sum(len(cell) for cell in row if type(cell) in (str, bytes))


@contextmanager
def long_cells() -> Iterator[None]:
    """Let the csv module read cells of any length, which are bounded by `check_text`."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def size_of(source: Path | bytes, /) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def parse_size(text: str, /) -> int:
    """Return "2GB", "500 MB" or "1e9" as bytes. Raises ValueError for other texts."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?(?:e\d+)?)\s*([KMGT]?)i?B?\s*", text, re.IGNORECASE)
    if match is None or not float(match[1]) * _UNITS[match[2].upper()] >= 1:
        raise ValueError(f"--max-size {text}: name a size such as 500MB or 4GB")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def said(size: int) -> str:
    for unit in ("TB", "GB", "MB", "kB"):
        if size >= _UNITS[unit[0].upper()]:
            return f"{size / _UNITS[unit[0].upper()]:.4g} {unit}"
    return f"{size} bytes"
