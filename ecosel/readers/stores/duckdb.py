"""Turn a table of a DuckDB database into a frame."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds, said, size_of
from ecosel.readers.table import Archive, listed

# Number of rows fetched at once, as each may hold a long text.
_ROWS = 2048
# Lists and structures are neither measures nor names, and may have any length.
_NESTED = re.compile(r"\]$|^(STRUCT|MAP|UNION)\(")


def open_duckdb(path: str, source: Path | bytes, *, table: str | None, bounds: Bounds) -> Archive:
    """Read one table or view, which cannot access other files."""
    if not find_spec("duckdb"):
        raise ArchiveError(
            f"{path} is a DuckDB database, which needs duckdb: pip install 'ecosel[duckdb]';"
            " or write the table as Parquet: COPY t TO 't.parquet'"
        )
    if isinstance(source, bytes):
        raise ArchiveError(f"{path}: a DuckDB database cannot be read from a pipe; name its file")
    database = _Database(path, source, bounds)
    chosen = _name(_table(path, database, table))
    named = database.run(f"DESCRIBE {chosen}").select("column_name", "column_type").iter_rows()
    columns = tuple(name for name, kind in named if not _NESTED.search(kind))

    def load(wanted: Sequence[str], _: Sequence[str]) -> pl.DataFrame:
        rows = int(database.run(f"SELECT count(*) FROM (SELECT 1 FROM {chosen} LIMIT {bounds.rows + 1})").item())
        bounds.check_frame(path, rows, len(wanted), size_of(source))
        frame = database.run(f"SELECT {', '.join(map(_name, wanted))} FROM {chosen}")
        return frame.with_columns(pl.col(pl.Decimal).cast(pl.Float64))

    return Archive(path, columns, load)


@dataclass(frozen=True)
class _Database:
    """A stranger's database: its views may read no file, load no extension, and use bounded time and memory."""

    path: str
    file: Path
    bounds: Bounds

    @property
    def _room(self) -> int:
        """Largest number of bytes for the work of a query, and for its rows."""
        return self.bounds.max_size // 20 + 2 * size_of(self.file)

    def _check_length(self, length: int) -> None:
        if length > self._room:
            self.bounds.refuse(self.path, f"its rows take more than {said(self._room)}, which is too much for its size")

    def run(self, sql: str, /) -> pl.DataFrame:
        import duckdb

        config = {
            "enable_external_access": "false", "autoload_known_extensions": "false", "lock_configuration": "true",
            "threads": "2", "temp_directory": "", "memory_limit": f"{self._room // 1000 + 20_000}KB",
        }  # fmt: skip
        patience_s = self.bounds.patience(size_of(self.file))
        try:
            with duckdb.connect(str(self.file), read_only=True, config=config) as database:
                return pl.concat(_in_time(database, sql, patience_s, self._check_length))
        except (duckdb.Error, MemoryError, OSError, ValueError) as error:  # also raised by Arrow, which returns the rows
            if isinstance(error, duckdb.InterruptException) or "Interrupted" in str(error):
                self.bounds.refuse(self.path, f"a query of it (a view?) takes more than {patience_s:g} s")
            if isinstance(error, (duckdb.OutOfMemoryException, MemoryError)) or "bad_alloc" in str(error):
                self.bounds.refuse(self.path, "a query of it (a view?) takes more memory than its size and --max-size allow")
            raise ArchiveError(f"cannot read {self.path}: {str(error).splitlines()[0]}") from error


def _table(path: str, database: _Database, named: str | None) -> str:
    """Return the named table, or the only one there is."""
    found = database.run("SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' ORDER BY 1")
    tables: list[str] = found["table_name"].to_list()
    if named is not None and named not in tables:
        raise ArchiveError(f"{path}: no table or view {named!r}; it has: {listed(tables)}")
    if named is None and len(tables) != 1:
        several = f"holds several tables; name one with --table: {listed(tables)}" if tables else "holds no table"
        raise ArchiveError(f"{path} {several}")
    return named or tables[0]


def _in_time(database: Any, sql: str, seconds: float, check: Callable[[int], None]) -> Iterator[pl.DataFrame]:
    """Yield the rows of a query in parts, checking their total size in bytes."""
    watch, length = threading.Timer(seconds, database.interrupt), 0
    watch.start()
    try:
        reader = database.sql(sql).to_arrow_reader(_ROWS)
        yield pl.DataFrame(reader.schema.empty_table())
        for batch in reader:
            length += batch.nbytes
            check(length)
            yield pl.DataFrame(batch)
    finally:
        watch.cancel()


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
