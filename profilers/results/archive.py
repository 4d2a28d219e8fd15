"""Append a profile as one row to an archive that `ecosel select` reads: SQLite, or NDJSON with one record per line."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from profilers.energy.intervals import Estimate
from profilers.errors import ProfilerError
from profilers.results.foreign_schema import SQLITE, foreign_part
from profilers.results.inference_profile import FIGURES, InferenceProfile

# Marks such a database for `file` and ecosel, with the layout of its tables; raise that if an older ecosel cannot append.
_APPLICATION, _LAYOUT = 0x65636F70, 1  # "ecop"
# Longest wait for other writers: before a measurement, and for its rows, which would be lost (with many writers on a slow
# disk, each may take seconds, and SQLite keeps no queue).
_WAIT_S, _WAIT_WITH_ROWS_S = 60.0, 600.0

Row = Mapping[str, Any]

_TYPES = {column: figure.type for figure in FIGURES for column in figure.columns}
COLUMNS = tuple(_TYPES)
# Columns of the first version: a table with these holds profiles, and later columns may be added.
_FIRST = ("candidate_id", "status", "configuration", "energy_per_inference_j", "trace", "remarks")


def row_of(profile: InferenceProfile, /, *, candidate: str, configuration: str, trace: str | None = None) -> dict[str, Any]:
    """Return a profile as a row with an archive's canonical columns; a number that was not measured is None."""
    row: dict[str, Any] = {}
    for figure in FIGURES:
        value = figure.of(profile)
        numbers = (value.value, value.low, value.high) if isinstance(value, Estimate) else (value, None, None)
        row |= dict(zip(figure.columns, numbers, strict=False))
    return row | {"candidate_id": candidate, "configuration": configuration, "trace": trace}


def failed_row(settings: object, /, *, candidate: str, configuration: str, status: str, reason: str | None) -> dict[str, Any]:
    """Return the row of a measurement that failed: its settings, and the reason as its remark."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {str(figure.column): getattr(settings, figure.setting) for figure in FIGURES if figure.setting}
    return row | {"candidate_id": candidate, "configuration": configuration, "status": status, "remarks": reason}


def append(path: Path, *rows: Row) -> list[dict[str, Any]]:
    """Append all rows, or none, and return them, their candidate_id made unique; nothing else in the archive changes.

    A row whose `parent` is one before it follows that to its new name.
    Another process may append at the same time, and a crash at any moment leaves all earlier rows intact.
    Raise ProfilerError if the file is not an archive that profiles can be appended to.
    """
    try:
        return _append_sqlite(path, rows) if _is_sqlite(path) else _append_lines(path, rows)
    except (OSError, MemoryError, sqlite3.Error) as error:
        raise ProfilerError(
            f"cannot append to {path}: {getattr(error, 'strerror', None) or str(error) or 'it is damaged'}"
        ) from None


def done(path: Path, /) -> dict[str, str]:
    """Return the status of the rows in an archive by configuration.

    Raise ProfilerError if `append` would, so that an unusable archive does not cost a measurement.
    """
    try:
        sqlite = _is_sqlite(path)
        if (sqlite or not path.exists()) and not os.access(folder := path.absolute().parent, os.W_OK | os.X_OK):
            raise ProfilerError(f"cannot append to {path}: {folder} is not a writable folder")
        if not path.exists():
            return {}
        with path.open("r+b") as file:
            if not sqlite:
                return {row["configuration"]: row["status"] for row in _lines(file.read(), path) if "configuration" in row}
        if not path.stat().st_size:  # left by a writer that died before its first row
            return {}
        # for reading and writing, which rolls back what a killed writer left
        with closing(sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            _check(database, path)
            return dict(database.execute("SELECT configuration, status FROM profile ORDER BY rowid"))
    except (OSError, MemoryError, sqlite3.Error) as error:
        raise ProfilerError(
            f"cannot append to {path}: {getattr(error, 'strerror', None) or str(error) or 'it is damaged'}"
        ) from None


def _is_sqlite(path: Path) -> bool:
    if path.is_dir():
        raise ProfilerError(f"{path} is a folder; name a file for the archive (runs.db or runs.ndjson)")
    if path.exists() and path.stat().st_size:
        with path.open("rb") as file:
            start = file.read(len(SQLITE))
        if start == SQLITE:
            return True
        if not start.lstrip().startswith(b"{"):
            raise ProfilerError(f"{path} is neither SQLite nor NDJSON; name another file for the archive")
        return False
    if path.suffix in (".db", ".sqlite", ".sqlite3"):
        return True
    if path.suffix in (".ndjson", ".jsonl"):
        return False
    raise ProfilerError(f"{path}: name the archive .db (SQLite) or .ndjson (one record per line)")


def _append_sqlite(path: Path, rows: Sequence[Row]) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path, timeout=_WAIT_WITH_ROWS_S, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            database.execute(f"CREATE TABLE profile ({', '.join(f'{name} {type}' for name, type in _TYPES.items())})")
            database.execute("CREATE VIEW archive AS SELECT * FROM profile")
            database.execute(f"PRAGMA application_id = {_APPLICATION}")
            database.execute(f"PRAGMA user_version = {_LAYOUT}")
        for column in _check(database, path):
            database.execute(f"ALTER TABLE profile ADD COLUMN {column} {_TYPES[column]}")
        taken = {name for (name,) in database.execute("SELECT candidate_id FROM profile")}
        named = _named(rows, taken)
        values = [[row.get(column) for column in COLUMNS] for row in named]
        database.executemany(f"INSERT INTO profile ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})", values)
        database.execute("COMMIT")
    return named


def _check(database: sqlite3.Connection, path: Path) -> list[str]:
    """Return the columns that an archive of an older version lacks; raise ProfilerError if it is newer, or not ecosel's."""
    database.execute("PRAGMA trusted_schema = OFF")
    (layout,) = database.execute("PRAGMA user_version").fetchone()
    if layout > _LAYOUT:
        newer = f"format {layout}, this version reads {_LAYOUT}"
        raise ProfilerError(f"{path} was written by a newer ecosel ({newer}); upgrade ecosel, or name a new file")
    columns = {name for _, name, *_ in database.execute("PRAGMA table_info(profile)")}
    if not set(_FIRST) <= columns:
        raise ProfilerError(f"{path} is a database not made by ecosel profile; name a new file for the archive")
    # a trigger, an index or a condition would run whenever a row is written
    part = foreign_part(database, {"table": ("profile",), "view": ("archive",)})
    if part is not None:
        raise ProfilerError(f"{path} holds the {part.kind} {part.name!r}, which ecosel profile did not make; choose a new file")
    return [name for name in COLUMNS if name not in columns]


def _append_lines(path: Path, rows: Sequence[Row]) -> list[dict[str, Any]]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    with os.fdopen(handle, "r+b") as file:
        fcntl.flock(handle, fcntl.LOCK_EX)
        content = file.read()
        named = _named(rows, {str(old.get("candidate_id")) for old in _lines(content, path)})
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            # the last writer died: a whole record only lacks its line end; anything else was never finished
            if _is_record(content[whole:]):
                os.write(handle, b"\n")
            else:
                os.ftruncate(handle, whole)
        begin = os.fstat(handle).st_size
        lines = "".join(json.dumps(row, allow_nan=False) + "\n" for row in named).encode()
        try:
            written = 0
            while written < len(lines):  # a nearly full disk accepts a part, and reports this only at the next attempt
                written += os.write(handle, lines[written:])
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, begin)
            raise
    return named


def _lines(content: bytes, path: Path) -> list[dict[str, Any]]:
    lines = [line for line in content.split(b"\n") if line.strip()]
    if lines and not content.endswith(b"\n") and not _is_record(lines[-1]):
        lines.pop()
    try:
        rows = [json.loads(line) for line in lines]
    except (ValueError, RecursionError) as error:
        raise ProfilerError(f"{path} is not NDJSON ({error}); name another file for the archive") from None
    if not all(isinstance(row, dict) for row in rows):
        raise ProfilerError(f"{path} is not NDJSON (one record per line); name another file for the archive")
    return rows


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _named(rows: Sequence[Row], taken: set[str]) -> list[dict[str, Any]]:
    """Return the rows under names that none has yet."""
    names: dict[str, str] = {}
    named = []
    for row in rows:
        wanted, parent = row["candidate_id"], row.get("parent")
        renamed = {}
        if parent in names:
            renamed = {"parent": names[parent]}
            wanted = wanted.replace(parent, names[parent], 1) if wanted.startswith(parent) else wanted
        name = _unique(wanted, taken)
        taken.add(name)
        names[row["candidate_id"]] = name
        named.append({**row, **renamed, "candidate_id": name})
    return named


def _unique(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"
