"""Turn an SQLite database (ecosel's own archive, an Optuna study, MLflow runs, one table or view) into a frame."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds, size_of
from ecosel.readers.table import Archive, column_of, listed
from ecosel.readers.tools.mlflow import read_mlflow
from ecosel.readers.tools.optuna import read_optuna

# The application ids of `ecosel evolve` ("ecos") and `ecosel profile` ("ecop"), and the newest layout of their tables.
_OURS, _LAYOUT = (0x65636F73, 0x65636F70), 1
# Longest wait for writers: SQLite keeps no queue, and on a slow disk a row takes a second.
_WAIT_S = 60.0


def open_sqlite(path: str, source: Path | bytes, *, table: str | None, study: str | None, bounds: Bounds) -> Archive:
    with _connection(path, source, bounds) as database:
        _check_layout(path, database)
        tables = [name for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND typeof(name) = 'text' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name")]  # fmt: skip # noqa: E501
        if table is not None:
            if table not in tables:
                raise ArchiveError(f"{path}: no table or view {table!r}; it has: {listed(tables)}")
            return _open_table(path, source, database, bounds, table)
        try:
            size = size_of(source)

            def query(sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
                return bounds.counted(path, database.execute(sql, values), size)

            if {"studies", "trials", "trial_values"} <= set(tables):
                return read_optuna(path, query, study, bounds=bounds, size=size)
            if {"experiments", "runs", "latest_metrics"} <= set(tables):
                return read_mlflow(path, query, study, bounds=bounds, size=size)
        except sqlite3.OperationalError as error:
            if "no such" not in str(error):
                raise
            upgrade = f"optuna storage upgrade --storage sqlite:///{path}, or mlflow db upgrade sqlite:///{path}"
            raise ArchiveError(f"{path} is from an older version ({error}); upgrade a copy of it first: {upgrade}") from error
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ArchiveError(f"{path}: the tables of the study are inconsistent ({type(error).__name__}: {error})") from error
        if study is not None:
            raise ArchiveError(f"{path} is neither an Optuna nor an MLflow database; --study does not apply")
        if "archive" in tables:
            return _open_table(path, source, database, bounds, "archive")
        if len(tables) == 1:
            return _open_table(path, source, database, bounds, tables[0])
        if not tables:
            raise ArchiveError(f"{path} holds no table")
        raise ArchiveError(f"{path} holds several tables; name one with --table: {listed(tables)}")


def _check_layout(path: str, database: sqlite3.Connection) -> None:
    (application,), (layout,) = (database.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version"))
    if application in _OURS and layout > _LAYOUT:
        newer = f"format {layout}, this version reads {_LAYOUT}"
        raise ArchiveError(f"{path} was written by a newer ecosel ({newer}); upgrade ecosel")


@contextmanager
def _connection(path: str, source: Path | bytes, bounds: Bounds) -> Iterator[sqlite3.Connection]:
    if isinstance(source, bytes):
        database = sqlite3.connect(":memory:")
        # a write-ahead log cannot come through a pipe; read the database itself
        database.deserialize(source[:18] + source[18:20].replace(b"\2", b"\1") + source[20:])
    else:
        database = sqlite3.connect(f"file:{quote(str(source.absolute()))}?{_mode(source)}", uri=True, timeout=_WAIT_S)
    with closing(database), bounds.one_line_limits(path):
        database.execute("BEGIN")  # everything is read as of one moment, even while a study runs
        database.execute("PRAGMA user_version").fetchone()  # waits for writers, which is no fault of a query
        bounds.guard(path, database, size_of(source))
        # a stranger's views may call no function that has a side effect
        database.execute("PRAGMA trusted_schema = OFF")
        database.text_factory = lambda raw: raw.decode("utf-8", "replace")
        yield database


def _mode(source: Path) -> str:
    """Return the URI that opens a database file without changing it or its folder."""
    with source.open("rb") as file:
        logs_ahead = file.read(20)[18:20] == b"\2\2"
    # SQLite would create the shared-memory file of the log, and leave it there, if nobody has the database open
    return "immutable=1" if logs_ahead and not Path(f"{source}-wal").exists() else "mode=ro"


def _open_table(path: str, source: Path | bytes, database: sqlite3.Connection, bounds: Bounds, table: str) -> Archive:
    # the last is 1 for a hidden column; a generated one has 2 or 3
    columns = tuple(row[1] for row in database.execute(f"PRAGMA table_xinfo({_name(table)})") if row[-1] != 1)

    def load(wanted: Sequence[str], _: Sequence[str]) -> pl.DataFrame:
        with _connection(path, source, bounds) as database:
            cursor = database.execute(f"SELECT {', '.join(map(_name, wanted))} FROM {_name(table)}")
            cells = bounds.fetch(path, cursor, wanted, size_of(source))
        return pl.DataFrame([column_of(name, column) for name, column in zip(wanted, cells, strict=True)])

    return Archive(path, columns, load)


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
