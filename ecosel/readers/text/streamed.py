"""Turn a long list of JSON records, or long NDJSON, into a frame without holding it all as Python objects."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds, said, size_of
from ecosel.readers.packing import pieces_of
from ecosel.readers.table import Archive, as_text, column_of, counted_names, flatten, one_line_halves
from ecosel.readers.tools.shapes import unpacked_texts

# Number of records held at once.
_AT_ONCE = 20_000
# Lists are long if they hold this many values for each list, object and name of a document.
_LONG = 5000
_BLANKS = re.compile(r"[ \t\n\r]*")


def open_streamed(path: str, source: Path | bytes, *, length: int, compressed: bool, bounds: Bounds) -> Archive | None:
    """Read records one by one, once for their names and once for the wanted columns; None if they are not plain records."""
    records = _Records(path, source, compressed, bounds)
    try:
        first = next(records.values(bounds.cell), None)
    except ArchiveError:  # one object that holds everything, or not JSON: to be read whole
        return None
    if not isinstance(first, dict) or "op_code" in first or not records.are_many:
        return None
    names, rows = counted_names(path, records, bounds=bounds, size=length)

    def load(columns: Sequence[str], _: Sequence[str]) -> pl.DataFrame:
        if rows * len(columns) > bounds.cells(length):
            bounds.refuse(path, f"{rows:,} records of {len(columns):,} names are too much for its size")
        with one_line_halves(path):
            parts = _parts(records, columns, column_of)
        mixed = {name for name in columns if not _of_one_kind([part[name] for part in parts])}
        texts = _parts(records, sorted(mixed), _as_texts) if mixed else []
        return pl.DataFrame({name: _joined([part[name] for part in (texts if name in mixed else parts)]) for name in columns})

    return Archive(path, tuple(names), load)


@dataclass
class _Records:
    """The records of a document, from its beginning each time."""

    path: str
    source: Path | bytes
    compressed: bool
    bounds: Bounds
    are_many: bool = False
    """Whether they stand in a list, or a second one follows the first."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        most = self.bounds.entries(size_of(self.source))
        for number, value in enumerate(self.values(10 * self.bounds.cell)):
            if not isinstance(value, dict):
                raise ArchiveError(f"{self.path}: record {number} is not an object with named values")
            yield flatten(unpacked_texts(value), most=most)

    def values(self, longest: int) -> Iterator[Any]:
        """Yield the records of the document one by one; refuse one longer than `longest` bytes."""
        with pieces_of(self.source, compressed=self.compressed) as pieces:
            text = _Text(self.path, pieces, longest)
            in_list = self.are_many = text.take("[")
            number = 0
            while not (text.take("]") if in_list else text.is_at_end):
                if number and in_list and not text.take(","):
                    raise ArchiveError(f"{self.path} is not valid JSON: no comma follows record {number - 1}")
                found = text.several(in_list=in_list) or [text.value(number, self.bounds)]
                number += len(found)
                self.are_many = in_list or not text.is_at_end or len(found) > 1
                yield from found
            if not text.is_at_end:
                raise ArchiveError(f"{self.path} is not valid JSON: text follows the list")


class _Text:
    """A text that is decoded as needed, and the position up to which it was read."""

    def __init__(self, path: str, pieces: Iterable[bytes], longest: int) -> None:
        self._path, self._pieces, self._longest = path, iter(pieces), longest
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._decode: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().raw_decode
        self._text, self._at, self._is_split = "", 0, False

    @property
    def is_at_end(self) -> bool:
        self._skip()
        return self._at == len(self._text)

    def take(self, sign: str) -> bool:
        """Skip a character, if it comes next."""
        self._skip()
        found = self._text.startswith(sign, self._at)
        self._at += len(sign) if found else 0
        return found

    def several(self, *, in_list: bool) -> list[Any]:
        """Return the complete values in the current text, decoded at once; none if that cannot be determined."""
        self._skip()
        cut = self._text.rfind("}," if in_list else "}\n", self._at) + 1
        if self._is_split or cut <= self._at:
            return []
        self._is_split = True  # the rest of this text is decoded one by one
        part = self._text[self._at : cut]
        try:
            found: list[Any] = json.loads("[" + (part if in_list else part.replace("}\n", "}\n,")) + "]")
        except (ValueError, RecursionError):
            return []
        self._at = cut
        return found

    def value(self, number: int, bounds: Bounds) -> Any:
        self._skip()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if isinstance(error, json.JSONDecodeError) and self._more(number, bounds):
                    continue
                words = f"record {number} is not valid JSON: {getattr(error, 'msg', error)}"
                raise ArchiveError(f"{self._path}: {words}") from error
            if end < len(self._text) or self._text[end - 1] in '}]"' or not self._more(number, bounds):
                self._at = end
                return value

    def _skip(self) -> None:
        while True:
            found = _BLANKS.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text) or not self._more():
                return

    def _more(self, number: int = 0, bounds: Bounds | None = None) -> bool:
        """Read more until the remaining text is twice as long; refuse a record that is too long."""
        left = self._text[self._at :]
        if bounds is not None and len(left) > self._longest:
            bounds.refuse(self._path, f"record {number} is longer than {said(self._longest)}")
        parts, wanted = [left], 2 * len(left)
        for piece in self._pieces:
            parts.append(self._decoder.decode(piece))
            wanted -= len(piece)
            if wanted <= 0:
                break
        more = "".join(parts)
        grew = len(more) > len(left)
        self._text, self._at, self._is_split = more, 0, False
        return grew


def _parts(
    records: Iterable[Mapping[str, Any]], columns: Sequence[str], make: Callable[[str, list[Any]], pl.Series]
) -> list[dict[str, pl.Series]]:
    parts, cells = list[dict[str, pl.Series]](), {name: list[Any]() for name in columns}
    for number, record in enumerate(records, start=1):
        for name, column in cells.items():
            column.append(record.get(name))
        if number % _AT_ONCE == 0:
            parts.append({name: make(name, column) for name, column in cells.items()})
            cells = {name: [] for name in columns}
    return [*parts, {name: make(name, column) for name, column in cells.items()}]


def _as_texts(name: str, cells: list[Any]) -> pl.Series:
    return pl.Series(name, [None if cell is None else as_text(cell) for cell in cells], dtype=pl.String)


def _of_one_kind(parts: Sequence[pl.Series]) -> bool:
    """Tell whether all parts that hold anything hold numbers, or all truth values, or all texts."""
    return len({part.dtype.is_numeric() or str(part.dtype) for part in parts if part.null_count() < len(part)}) < 2


def _joined(parts: Sequence[pl.Series]) -> pl.Series:
    kinds = {part.dtype for part in parts if part.null_count() < len(part)} or {pl.String()}
    kind = pl.Float64() if len(kinds) > 1 else kinds.pop()
    return pl.concat([part.cast(kind) if part.null_count() < len(part) else pl.Series(part.name, [None] * len(part), kind)
                      for part in parts])  # fmt: skip


def measured(source: Path | bytes, *, compressed: bool) -> tuple[int, int, bool]:
    """Return the length of a document, the number of values it may hold, and whether nearly all stand in long lists."""
    length = values = others = 0
    with pieces_of(source, compressed=compressed) as pieces:
        for piece in pieces:
            length += len(piece)
            values += piece.count(b",")
            begun = sum(map(piece.count, (b"[", b"{")))
            values, others = values + begun, others + begun + piece.count(b":")
    return length, values, others * _LONG < values
