"""Turn delimited text (CSV, TSV, also ; and | separated, plain or compressed) into a frame."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.cells import point_commas
from ecosel.readers.table import Archive

_SEPARATORS = ",;\t|"
# Rows that polars looks at to find the type of a column; a later cell of another type makes it text.
_INFER_ROWS = 1000


def open_delimited(path: str, source: Path | bytes, sample: str) -> Archive:
    separator = find_separator(sample)
    # a file with ; between cells comes from a place that writes 3,14
    options = {
        "separator": separator,
        "decimal_comma": separator == ";",
        "infer_schema_length": _INFER_ROWS,
        "glob": False,
    }
    schema = pl.scan_csv(source, **options).collect_schema()  # type: ignore[arg-type]
    columns = tuple(schema.names())

    header = next(csv.reader(io.StringIO(sample), delimiter=separator), [])

    def load(wanted: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
        twice = [name for name in wanted if header.count(name) > 1]
        if twice:
            raise ArchiveError(f"{path}: column {twice[0]!r} stands in the header more than once; rename one of them")
        others = [name for name in columns if name not in set(wanted)]
        # Reading no cell of a column, polars does not see that a row has too many cells, and every later cell of that
        # row would be another column's. So all columns are parsed, the unwanted ones as text, and dropped in the stream.
        seen = [pl.any_horizontal(pl.col(others).is_null()).alias("ecosel:seen")] if others else []
        try:
            texts = dict.fromkeys([*others, *labels], pl.String)
            lazy = pl.scan_csv(source, schema_overrides=texts, **options)  # type: ignore[arg-type]
            return numbered(lazy.select(*wanted, *seen).collect(engine="streaming").select(wanted), labels)
        except pl.exceptions.ComputeError as error:
            if "could not parse" not in str(error):
                raise
        # a cell past the first rows is of another type than its column: all cells as text
        lazy = pl.scan_csv(source, infer_schema=False, separator=separator, glob=False)
        return numbered(lazy.select(*wanted, *seen).collect(engine="streaming").select(wanted), labels)

    def numbered(frame: pl.DataFrame, labels: Sequence[str]) -> pl.DataFrame:
        if separator == ",":  # a comma in a cell stands in quotes there, and groups digits
            return frame
        cells = [series for series in frame if series.dtype == pl.String and series.name not in labels]
        return frame.with_columns(point_commas(series, comma_is_decimal=separator == ";") for series in cells)

    def load_or_explain(wanted: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
        try:
            return load(wanted, labels)
        except pl.exceptions.ComputeError as error:
            raise ArchiveError(f"{path}: {_explain(str(error), source, separator, len(columns))}") from error

    return Archive(path, columns, load_or_explain)


def find_separator(sample: str, /) -> str:
    """Return the separator that splits the lines of sample into the same number of cells, the more the better."""
    # quoted cells, with their separators and line ends, do not count
    lines = [line for line in re.sub(r'"[^"]*"', "", sample).splitlines() if line.strip()][:50]
    if not lines:
        return ","

    def fit(separator: str) -> tuple[int, int]:
        cells = lines[0].count(separator)
        return (sum(line.count(separator) == cells for line in lines) if cells else 0, cells)

    return max(_SEPARATORS, key=fit)


def _explain(message: str, source: Path | bytes, separator: str, width: int) -> str:
    if "more fields" in message and (isinstance(source, bytes) or source.suffix.lower() not in (".gz", ".zst")):
        stream = io.StringIO(source.decode("utf-8-sig", "replace")) if isinstance(source, bytes) else source.open(encoding="utf-8-sig", errors="replace", newline="")  # fmt: skip # noqa: E501
        with stream:
            for number, cells in enumerate(csv.reader(stream, delimiter=separator), start=-1):
                if len(cells) > width:
                    return (
                        f"row {number} has {len(cells)} cells where the header has {width}; quote cells that hold {separator!r}"
                    )
    if "more fields" in message:
        return f"a row has more cells than the header ({width}); quote cells that hold {separator!r}"
    if "utf-8" in message:
        return "the text is not UTF-8; convert it, e.g. iconv -f latin1 -t utf-8"
    if "could not parse" in message or "malformed" in message:
        return "a quoted cell does not end, or text stands behind the closing quote; mend the quotes"
    return message.splitlines()[0]
