"""Turn a table of a DuckDB database into a frame."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds, size_of
from ecosel.readers.table import Archive, listed


def open_duckdb(path: str, source: Path | bytes, *, table: str | None, bounds: Bounds) -> Archive:
    """Read one table or view, which can reach no other file."""
    try:
        import duckdb
    except ImportError as error:
        raise ArchiveError(
            f"{path} is a DuckDB database, which needs duckdb: pip install 'ecosel[duckdb]';"
            " or write the table as Parquet: COPY t TO 't.parquet'"
        ) from error
    if isinstance(source, bytes):
        raise ArchiveError(f"{path}: a DuckDB database cannot be read from a pipe; name its file")
    file = source

    def run(sql: str) -> pl.DataFrame:
        # a stranger's view may read no file and load no extension
        config = {
            "enable_external_access": "false", "autoload_known_extensions": "false", "lock_configuration": "true",
            "temp_directory": "", "memory_limit": f"{(bounds.max_size + 4 * size_of(file)) // 1000 + 50_000}KB",
        }  # fmt: skip
        try:
            with duckdb.connect(str(file), read_only=True, config=config) as database:
                return _in_time(database, sql, bounds.patience(size_of(file)))
        except duckdb.InterruptException:
            bounds.refuse(path, f"a query of it (a view?) takes more than {bounds.patience(size_of(file)):g} s")
        except duckdb.OutOfMemoryException:
            bounds.refuse(path, "a query of it (a view?) takes more memory than its size and --max-size allow")
        except duckdb.Error as error:
            raise ArchiveError(f"cannot read {path}: {str(error).splitlines()[0]}") from error

    tables = run("SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' ORDER BY 1")[
        "table_name"
    ].to_list()
    if table is not None and table not in tables:
        raise ArchiveError(f"{path}: no table or view {table!r}; it has: {listed(tables)}")
    if table is None and len(tables) != 1:
        several = f"holds several tables; name one with --table: {listed(tables)}" if tables else "holds no table"
        raise ArchiveError(f"{path} {several}")
    chosen = _name(tables[0] if table is None else table)
    columns = tuple(run(f"DESCRIBE {chosen}")["column_name"].to_list())

    def load(wanted: Sequence[str], _: Sequence[str]) -> pl.DataFrame:
        rows = int(run(f"SELECT count(*) FROM (SELECT 1 FROM {chosen} LIMIT {bounds.rows + 1})").item())
        bounds.check_frame(path, rows, len(wanted), size_of(file))
        frame = run(f"SELECT {', '.join(map(_name, wanted))} FROM {chosen}")
        return frame.with_columns(pl.col(pl.Decimal).cast(pl.Float64))

    return Archive(path, columns, load)


def _in_time(database: Any, sql: str, seconds: float) -> pl.DataFrame:
    watch = threading.Timer(seconds, database.interrupt)
    watch.start()
    try:
        return pl.DataFrame(database.sql(sql).to_arrow_table())
    finally:
        watch.cancel()


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
