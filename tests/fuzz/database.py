"""Query damaged DuckDB databases in this process, as a process for each query would let fuzzing run a few times a second.

The reader and its child's queries are those of the product. Only the child's process, its memory bound, the time limit and the
pipe between the two are left out, which other tests cover; and the file is attached to an open database, not opened as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from unittest.mock import patch

import duckdb
import numpy as np
import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.stores.duckdb import _Database
from ecosel.readers.stores.duckdb_child import config, rows_of

# Bytes of each of the three headers of a DuckDB file, and of its blocks unless it states another size.
_HEADER, _BLOCK = 1 << 12, 1 << 18


@contextmanager
def run_here() -> Iterator[None]:
    """Query in this process the one file that is read meanwhile."""
    attached: list[duckdb.DuckDBPyConnection] = []

    def run(self: _Database, sql: str, /, *, counted: str = "") -> pl.DataFrame:
        asked = self.request(sql, counted)
        try:
            if not attached:
                attached.append(_server(str(asked["file"])))
                attached[0].execute(f"ATTACH '{asked['file']}' AS d (READ_ONLY); USE d")
            return self.frame(rows_of(attached[0], asked))
        except (duckdb.Error, MemoryError, OSError, ValueError, SystemExit) as error:  # as the child does
            if isinstance(error, duckdb.FatalException | duckdb.InternalException):  # after which DuckDB answers no more
                _server.cache_clear()
            raise ArchiveError(str(error)) from error

    with patch.object(_Database, "run", run):
        try:
            yield
        finally:
            for database in attached:
                try:
                    database.execute("USE memory; DETACH DATABASE IF EXISTS d")
                except (duckdb.Error, ValueError):  # a message in no encoding
                    _server.cache_clear()


@cache
def _server(file: str) -> duckdb.DuckDBPyConnection:
    """Return a database in memory, which may attach one file and access no other."""
    settings = config(300_000_000) | {"threads": "1"}
    last = {name: settings.pop(name) for name in ("enable_external_access", "lock_configuration")}
    database = duckdb.connect(config=settings)
    for name, value in ({"allowed_paths": [file, f"{file}.wal"]} | last).items():  # the paths can be set in an open database only
        database.execute(f"SET {name} = {value!r}")
    return database


def readable(content: bytes) -> bytes:
    """Return a DuckDB file with the checksum of each of its three headers and of each block set right."""
    size = int.from_bytes(content[_HEADER + 40 : _HEADER + 48], "little") or _BLOCK  # states the size of its blocks
    size = size if 1 << 14 <= size <= 1 << 18 and not size & size - 1 else _BLOCK
    parts = [content[at : at + _HEADER] for at in range(0, 3 * _HEADER, _HEADER)]
    parts += [content[at : at + size] for at in range(3 * _HEADER, len(content), size)]
    return b"".join(_checksum(part) + part[8:] if len(part) % 8 == 0 and len(part) > 8 else part for part in parts)


def _checksum(part: bytes) -> bytes:
    numbers = np.frombuffer(part[8:], np.uint64) * np.uint64(0xBF58476D1CE4E5B9)
    return int(np.bitwise_xor.reduce(numbers) ^ np.uint64(5381)).to_bytes(8, "little")
