"""Read Parquet and Arrow files, in which a few bytes can declare any number of rows, or keep a parser busy for hours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from ecosel.readers.bounds import Bounds, size_of
from ecosel.readers.patience import Patience
from ecosel.readers.table import Archive

Columnar = Literal["Parquet", "Arrow", "Arrow stream"]


def open_columnar(path: str, source: Path | bytes, kind: Columnar, *, bounds: Bounds) -> Archive:
    """Open a columnar file; what it declares is checked before it is read."""
    bounds.check_footer(path, source)
    patience = Patience(path, size_of(source), bounds)
    frame, columns = patience.call(lambda: _scan(source, kind))
    return Archive(path, columns, lambda wanted, _: patience.call(lambda: _read(path, source, frame, wanted, bounds)))


def metadata_of(path: Path, /, *, bounds: Bounds) -> dict[str, str]:
    """Return the texts that the writer of a Parquet file put beside its columns."""
    return Patience(str(path), size_of(path), bounds).call(lambda: pl.read_parquet_metadata(path))


def _scan(source: Path | bytes, kind: Columnar) -> tuple[pl.LazyFrame, tuple[str, ...]]:
    if kind == "Parquet":
        frame = pl.scan_parquet(source, glob=False)
    else:
        frame = pl.scan_ipc(source, glob=False) if kind == "Arrow" else pl.read_ipc_stream(source).lazy()
    return frame, tuple(frame.collect_schema().names())


def _read(path: str, source: Path | bytes, frame: pl.LazyFrame, columns: Sequence[str], bounds: Bounds) -> pl.DataFrame:
    rows = frame.select(pl.len()).collect().item()
    bounds.check_frame(path, rows, len(columns), size_of(source))
    read = frame.select(columns).collect()
    # one text in the file can serve as the cell of any number of rows
    texts = [read[column].cat.len_bytes() if dtype == pl.Categorical else read[column].str.len_bytes()
             for column, dtype in read.schema.items() if dtype in (pl.String, pl.Categorical)]  # fmt: skip
    bounds.check_length(path, sum(int(lengths.cast(pl.Int64).sum()) for lengths in texts), size_of(source))
    return read
