"""Turn delimited text (CSV, TSV, separated by ; or |; plain or compressed) into a frame."""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import BOUNDS, Bounds, long_cells
from ecosel.readers.cells.headings import PLAIN_NUMBER
from ecosel.readers.cells.numerals import Mark, decimal_mark, with_points
from ecosel.readers.table import RESERVED, Archive, distinct, refuse_twice
from ecosel.readers.text.preamble import Layout, layout_of

# Rows from which polars infers the type of a column; a later cell of another type makes it text.
_INFER_ROWS = 1000
_LAST = f"{RESERVED}last"
# polars takes 8 kB for each column that it parses; of wider tables, only the wanted columns are parsed where that is safe.
_WIDE = 1000


def open_delimited(
    path: str, source: Path | bytes, sample: str, *, decimal: Mark | None = None, bounds: Bounds = BOUNDS
) -> Archive:
    layout = layout_of(sample, check_columns=lambda count: bounds.check_columns(path, count))
    options: dict[str, Any] = {"separator": layout.separator, "skip_lines": layout.skipped, "glob": False}
    if layout.has_comments:
        options["comment_prefix"] = "#"
    columns = tuple(pl.scan_csv(source, infer_schema=False, **options).collect_schema().names())
    if layout.hidden_header:
        columns = (layout.header[0], *columns[1:])
    if layout.header_rows > 1:
        columns = distinct(layout.header)
        options["skip_rows_after_header"] = layout.header_rows - 1
    if layout.hidden_header or layout.header_rows > 1:
        options["with_column_names"] = lambda _: list(columns)
    table = _Text(path, source, layout, columns, options, decimal)
    return Archive(path, columns, table.load_or_explain, remarks=layout.remarks)


class _Text:
    """The columns of a delimited text, read when asked for."""

    def __init__(
        self, path: str, source: Path | bytes, layout: Layout, columns: Sequence[str], options: dict[str, Any],
        decimal: Mark | None,
    ) -> None:  # fmt: skip
        self.path, self.source, self.layout, self.columns = path, source, layout, columns
        self._options, self._decimal = options, decimal

    def load_or_explain(self, wanted: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
        refuse_twice(self.path, wanted, self.layout.header)
        try:
            frame = self._load(wanted, labels)
        except pl.exceptions.ComputeError as error:
            raise ArchiveError(f"{self.path}: {self._explain(str(error))}") from error
        last = frame.drop_in_place(_LAST)
        if last.any():
            blank = self._blank_rows(frame.height)
            kept = np.ones(frame.height, np.bool_)
            kept[np.frombuffer(blank, np.int64)] = False
            frame = frame.filter(pl.Series(kept)) if blank else frame
        frame = self._numbered(frame, labels)
        stated = {name: unit for name, unit in self.layout.units.items() if name in wanted}
        return frame.with_columns(_with_unit(frame[name], unit) for name, unit in stated.items()) if stated else frame

    def _load(self, wanted: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
        asked_for = set(wanted)
        others = [name for name in self.columns if name not in asked_for]
        # If polars reads no cell of a column, it does not notice that a row has too many cells, and every later cell of that
        # row would end up in another column. So all columns are parsed, the unwanted ones as text, and dropped in the stream.
        skips = len(self.columns) > _WIDE and self._is_rectangular()
        seen = [pl.any_horizontal(pl.col(others).is_null()).alias(f"{RESERVED}seen")] if others and not skips else []
        # polars pads a row with too few cells; then its last cell is missing
        asked = [*wanted, *seen, pl.col(self.columns[-1]).is_null().alias(_LAST)]
        if self.layout.separator == "," and self._decimal is None:
            texts = dict.fromkeys([*others, *labels], pl.String)
            try:
                lazy = pl.scan_csv(self.source, schema_overrides=texts, infer_schema_length=_INFER_ROWS, **self._options)
                return lazy.select(asked).collect(engine="streaming").select(*wanted, _LAST)
            except pl.exceptions.ComputeError as error:
                if "could not parse" not in str(error):
                    raise
            # a cell after the first rows has another type than its column: read all cells as text
        lazy = pl.scan_csv(self.source, infer_schema=False, **self._options)
        return lazy.select(asked).collect(engine="streaming").select(*wanted, _LAST)

    def _numbered(self, frame: pl.DataFrame, labels: Sequence[str]) -> pl.DataFrame:
        """Write numbers with a decimal point, where a file may write them otherwise."""
        if self.layout.separator == "," and self._decimal is None:
            return frame
        mark = self._decimal
        if mark is None:
            shown = [pl.Series(values) for values in zip(*self.layout.rows, strict=True)]
            # a file with ; between cells comes from a country that writes 3,14
            comma = self.layout.separator == ";" and any(_has_comma(cells) for cells in shown)
            mark = decimal_mark([*(frame[name] for name in frame.columns if name not in labels), *shown])
            mark = mark or ("comma" if comma else None)
        return frame.with_columns(
            _typed(with_points(frame[name], mark, forced=self._decimal is not None))
            for name, dtype in frame.schema.items() if dtype == pl.String and name not in labels
        )  # fmt: skip

    def _blank_rows(self, height: int) -> array[int]:
        """Return which of the `height` rows are blank lines; raise ArchiveError for one with too few cells."""
        width, row = len(self.columns), 0
        blank = array("q")
        if self._has_no_short_line():
            return blank
        for row, cells in enumerate(self._records()):
            if row and len(cells) <= 1 and not "".join(cells).strip() and width > 1:
                blank.append(row - 1)
            elif row and len(cells) < width:
                found = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
                raise ArchiveError(
                    f"{self.path}: row {row - 1} has {found}, but the header has {width}; correct the row,"
                    " or remove it if it is a note"
                )
        if row != height:
            raise ArchiveError(f"{self.path}: a carriage return (\\r) or a quote stands inside a line, so its rows are unclear")
        return blank

    def _is_rectangular(self) -> bool:
        """Tell whether each line has as many cells as the header, so that no cell has to be parsed to know that."""
        return self._separators == (len(self.columns) - 1,) * 2

    def _has_no_short_line(self) -> bool:
        return self._separators is not None and self._separators[0] >= len(self.columns) - 1

    @cached_property
    def _separators(self) -> tuple[int, int] | None:
        """Count the separators of all lines at once, the fewest and the most; None if quoted cells may contain some."""
        line = pl.col("line").fill_null("")
        count = line.str.count_matches(self.layout.separator, literal=True).slice(self.layout.skipped)
        quotes = line.str.contains('"', literal=True).any()
        counts = pl.scan_lines(self.source).select(least=count.min(), most=count.max(), quotes=quotes)
        least, most, has_quotes = counts.collect(engine="streaming").row(0)
        return None if has_quotes or least is None else (least, most)

    def _records(self) -> Iterator[list[str]]:
        """Return the cells of each line, from the header on."""
        with self._open() as stream, long_cells():
            for _ in range(self.layout.skipped):
                stream.readline()
            records = csv.reader(stream, delimiter=self.layout.separator)
            below_names = self.layout.header_rows - 1
            try:
                for number, cells in enumerate(records):
                    if 0 < number <= below_names:
                        continue
                    if not (self.layout.has_comments and cells and cells[0].startswith("#")):
                        yield cells
            except csv.Error as error:
                line = self.layout.skipped + records.line_num
                reason = str(error).partition(" - ")[0]
                raise ArchiveError(f"{self.path}: line {line} cannot be split into cells ({reason}); correct the line") from error

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        if isinstance(self.source, bytes) or self.source.suffix.lower() in (".gz", ".zst"):
            yield io.StringIO("\n".join(pl.read_lines(self.source)["line"].fill_null("")) + "\n")
            return
        with self.source.open(encoding="utf-8-sig", errors="replace", newline="\n") as stream:
            yield stream

    def _explain(self, message: str) -> str:
        width = len(self.columns)
        if "more fields" in message:
            for number, cells in enumerate(self._records(), start=-1):
                if len(cells) > width:
                    return (
                        f"row {number} has {len(cells)} cells, but the header has {width};"
                        f" quote cells that contain {self.layout.separator!r}"
                    )
            return f"a row has more cells than the header ({width}); quote cells that contain {self.layout.separator!r}"
        if "utf-8" in message:
            return "the text is not UTF-8; convert it, e.g. iconv -f latin1 -t utf-8"
        if "could not parse" in message or "malformed" in message:
            return f"a quoted cell does not end, or text follows its closing quote; correct the quotes{self._suspect()}"
        return message.splitlines()[0]

    def _suspect(self) -> str:
        """Name the first line with a quote inside a cell that does not begin with one, or text after a closing quote."""
        mark = re.escape(self.layout.separator)
        quoted = r'\s*+"(?:[^"]|"")*+"\s*+'
        wrong = rf'\s*+[^"{mark}\s][^"{mark}]*+"|{quoted}[^{mark}"\s]'
        inside = re.compile(rf'(?:(?:{quoted}|[^"{mark}]*+){mark})*+(?:{wrong})')
        with self._open() as stream:
            found = next((number for number, line in enumerate(stream, start=1) if inside.match(line[:2000])), None)
        return "" if found is None else f", perhaps in line {found}"


def _typed(cells: pl.Series) -> pl.Series:
    """Convert text that holds nothing but plain numbers."""
    for dtype in (pl.Int64, pl.Float64):
        numbers = cells.cast(dtype, strict=False)
        if numbers.null_count() == cells.null_count() < len(cells):
            return numbers
    return cells


def _with_unit(cells: pl.Series, unit: str) -> pl.Series:
    """Append a unit to the numbers of a column."""
    text = cells.cast(pl.String)
    is_plain = text.str.contains(PLAIN_NUMBER)
    return pl.select(pl.when(is_plain).then(text + f" {unit}").otherwise(text)).to_series().alias(cells.name)


def _has_comma(cells: pl.Series) -> bool:
    return bool(cells.str.contains(r"^\s*[+-]?\d+,\d+\s*%?\s*$").any())
