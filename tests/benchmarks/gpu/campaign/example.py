"""Write the candidates of a search as one small Parquet file, which `ecosel select` and `ecosel report` read like the archive."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl


def write_example(archive: Path, target: Path) -> int:
    """Write the view `archive`; return the size in bytes. The SQLite file is ten times as large."""
    with closing(sqlite3.connect(f"file:{archive}?immutable=1", uri=True)) as database:
        cursor = database.execute("SELECT * FROM archive")
        names = [column[0] for column in cursor.description]
        frame = pl.DataFrame(cursor.fetchall(), schema=names, orient="row", infer_schema_length=None)
    frame.write_parquet(target, compression="zstd", compression_level=19, statistics=False)
    return target.stat().st_size
