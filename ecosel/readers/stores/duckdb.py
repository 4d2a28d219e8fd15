"""Turn a table of a DuckDB database into a frame."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds, size_of
from ecosel.readers.table import Archive, listed


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
    columns = tuple(database.run(f"DESCRIBE {chosen}")["column_name"].to_list())

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

    def run(self, sql: str, /) -> pl.DataFrame:
        import duckdb

        config = {
            "enable_external_access": "false", "autoload_known_extensions": "false", "lock_configuration": "true",
            "temp_directory": "", "memory_limit": f"{(self.bounds.max_size // 4 + 4 * size_of(self.file)) // 1000 + 20_000}KB",
        }  # fmt: skip
        patience_s = self.bounds.patience(size_of(self.file))
        try:
            with duckdb.connect(str(self.file), read_only=True, config=config) as database:
                return _in_time(database, sql, patience_s)
        except duckdb.InterruptException:
            self.bounds.refuse(self.path, f"a query of it (a view?) takes more than {patience_s:g} s")
        except duckdb.OutOfMemoryException:
            self.bounds.refuse(self.path, "a query of it (a view?) takes more memory than its size and --max-size allow")
        except duckdb.Error as error:
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


def _in_time(database: Any, sql: str, seconds: float) -> pl.DataFrame:
    watch = threading.Timer(seconds, database.interrupt)
    watch.start()
    try:
        return pl.DataFrame(database.sql(sql).to_arrow_table())
    finally:
        watch.cancel()


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
