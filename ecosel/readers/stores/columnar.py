"""Read Parquet and Arrow files, in which a few bytes can declare any number of rows, or keep a parser busy for hours."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds, size_of
from ecosel.readers.packing import opened
from ecosel.readers.patience import Patience
from ecosel.readers.table import Archive

Columnar = Literal["Parquet", "Arrow", "Arrow stream"]


def open_columnar(path: str, source: Path | bytes, kind: Columnar, *, bounds: Bounds) -> Archive:
    """Open a columnar file; what it declares is checked before it is read."""
    bounds.check_footer(path, source)
    patience = Patience(path, size_of(source), bounds)
    if kind == "Arrow stream":
        return _open_stream(path, source, patience, bounds)
    if kind == "Arrow":  # a stream between a first and a last part
        bounds.check_rows(path, _rows_of_file(path, source))
    frame, columns = patience.call(lambda: _scan(source, kind))

    def load(wanted: Sequence[str], _: Sequence[str]) -> pl.DataFrame:
        return patience.call(lambda: _read(path, source, frame, wanted, bounds))

    return Archive(path, columns, load)


def _open_stream(path: str, source: Path | bytes, patience: Patience, bounds: Bounds) -> Archive:
    rows = rows_of_stream(path, source)
    bounds.check_rows(path, rows)
    columns = tuple(patience.call(lambda: pl.read_ipc_stream(source, n_rows=0)).columns)

    def load(wanted: Sequence[str], _: Sequence[str]) -> pl.DataFrame:
        bounds.check_frame(path, rows, len(wanted), size_of(source))
        read = patience.call(lambda: pl.read_ipc_stream(source, columns=list(wanted))).select(wanted)
        return _checked(path, source, read, bounds)

    return Archive(path, columns, load)


def metadata_of(path: Path, /, *, bounds: Bounds) -> dict[str, str]:
    """Return the texts that the writer of a Parquet file put beside its columns."""
    return Patience(str(path), size_of(path), bounds).call(lambda: pl.read_parquet_metadata(path))


def _scan(source: Path | bytes, kind: Columnar) -> tuple[pl.LazyFrame, tuple[str, ...]]:
    frame = pl.scan_parquet(source, glob=False) if kind == "Parquet" else pl.scan_ipc(source, glob=False)
    return frame, tuple(frame.collect_schema().names())


def _read(path: str, source: Path | bytes, frame: pl.LazyFrame, columns: Sequence[str], bounds: Bounds) -> pl.DataFrame:
    rows = frame.select(pl.len()).collect().item()
    bounds.check_frame(path, rows, len(columns), size_of(source))
    return _checked(path, source, frame.select(columns).collect(), bounds)


def _checked(path: str, source: Path | bytes, read: pl.DataFrame, bounds: Bounds) -> pl.DataFrame:
    # one text in the file can serve as the cell of any number of rows
    texts = [read[column].cat.len_bytes() if dtype == pl.Categorical else read[column].str.len_bytes()
             for column, dtype in read.schema.items() if dtype in (pl.String, pl.Categorical)]  # fmt: skip
    bounds.check_length(path, sum(int(lengths.cast(pl.Int64).sum()) for lengths in texts), size_of(source))
    return read


# org.apache.arrow.flatbuf: fields of a Message, kinds of its header, and fields of these
_KIND, _HEADER, _BODY = 1, 2, 3
_DICTIONARY, _BATCH = 2, 3
_LENGTH, _DATA = 0, 1


def _rows_of_file(path: str, source: Path | bytes) -> int:
    """Return what `rows_of_stream` counts behind the first bytes of a file; 0 if the messages are not in order."""
    try:
        return rows_of_stream(path, source, begin=8)
    except ArchiveError:
        return 0


def rows_of_stream(path: str, source: Path | bytes, /, *, begin: int = 0) -> int:
    """Return the number of rows, and entries of dictionaries, that the messages of an Arrow stream declare."""
    rows = 0
    try:
        with opened(source) as file:
            file.seek(begin)
            while (start := file.read(8))[4:] not in (b"", b"\0\0\0\0"):
                message = file.read(struct.unpack("<4xI", start)[0])
                of_message = _Table(message, 0)
                kind = message[of_message.place(_KIND)] if of_message.place(_KIND) else 0
                if kind in (_DICTIONARY, _BATCH):
                    header = _Table(message, of_message.place(_HEADER))
                    batch = header if kind == _BATCH else _Table(message, header.place(_DATA))
                    rows += max(0, batch.long(_LENGTH))
                file.seek(max(0, of_message.long(_BODY)), os.SEEK_CUR)
    except (struct.error, IndexError, OverflowError, OSError) as error:
        raise ArchiveError(f"cannot read {path}: its Arrow stream is damaged") from error
    return rows


class _Table:
    """A table of a flatbuffer: where its fields begin, 0 for one that is absent."""

    def __init__(self, content: bytes, pointer: int) -> None:
        self._content = content
        self._at = pointer + struct.unpack_from("<I", content, pointer)[0]
        self._fields = self._at - struct.unpack_from("<i", content, self._at)[0]

    def place(self, field: int) -> int:
        if 4 + 2 * field >= struct.unpack_from("<H", self._content, self._fields)[0]:
            return 0
        offset: int = struct.unpack_from("<H", self._content, self._fields + 4 + 2 * field)[0]
        return self._at + offset if offset else 0

    def long(self, field: int) -> int:
        place = self.place(field)
        return int(struct.unpack_from("<q", self._content, place)[0]) if place else 0
