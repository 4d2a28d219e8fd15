"""Append a profile as one row to an archive that `ecosel select` reads: SQLite, or NDJSON, a record a line."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from profilers.errors import ProfilerError
from profilers.results.inference_profile import InferenceProfile

_SQLITE = b"SQLite format 3\0"
_WAIT_S = 60.0

Row = Mapping[str, Any]

# Canonical columns first. Columns of an archive never change: an old file must take new rows.
_SCHEMA = """
    candidate_id TEXT PRIMARY KEY, status TEXT NOT NULL, dataset TEXT, accuracy REAL, accuracy_low REAL, accuracy_high REAL,
    inference_time_s REAL, inference_time_s_low REAL, inference_time_s_high REAL, parameters INTEGER,
    energy_per_inference_j REAL, energy_per_inference_j_low REAL, energy_per_inference_j_high REAL, energy_source TEXT,
    batch_size INTEGER, device TEXT, precision TEXT, mode TEXT, channels_last INTEGER, compiled INTEGER, model TEXT,
    configuration TEXT, throughput_per_s REAL, latency_p50_s REAL, latency_p90_s REAL, latency_p95_s REAL, latency_p99_s REAL,
    energy_counter_j REAL, energy_power_j REAL, energy_naive_j REAL, mean_power_w REAL, peak_power_w REAL, idle_cold_w REAL,
    idle_warm_w REAL, flops INTEGER, parameter_bytes INTEGER, peak_memory_bytes INTEGER, compile_time_s REAL,
    compile_energy_j REAL, break_even_images REAL, trace TEXT, remarks TEXT, created_at TEXT
"""
COLUMNS = tuple(column.split()[0] for column in _SCHEMA.split(","))


def row_of(profile: InferenceProfile, /, *, candidate: str, configuration: str, trace: str | None = None) -> dict[str, Any]:
    """Return a profile as a row with the canonical columns of an archive; None where a number was not measured."""
    facts, energy = profile.facts, profile.energy
    estimates = {
        "accuracy": profile.accuracy,
        "inference_time_s": profile.inference_time,
        "energy_per_inference_j": energy.per_inference,
    }
    row: dict[str, Any] = {"candidate_id": candidate, "status": profile.status, "dataset": facts.dataset}
    for name, estimate in estimates.items():
        row |= {
            name: estimate.value if estimate else None,
            f"{name}_low": estimate.low if estimate else None,
            f"{name}_high": estimate.high if estimate else None,
        }
    row |= {f"latency_{name}_s": seconds for name, seconds in profile.latency_s.items()}
    row |= {
        "device": facts.device_name,
        "energy_source": energy.source,
        "configuration": configuration,
        "throughput_per_s": profile.throughput.value,
        "energy_counter_j": energy.counter.value if energy.counter else None,
        "energy_power_j": energy.power.value if energy.power else None,
        "energy_naive_j": energy.naive_j,
        "trace": trace,
        "remarks": "; ".join((*profile.warnings, *energy.reasons)) or None,
    }
    for name in COLUMNS:
        for place in (facts, energy, profile):
            if name not in row and hasattr(place, name):
                row[name] = getattr(place, name)
    return {name: row.get(name) for name in COLUMNS}


def append(path: Path, row: Row, /) -> str:
    """Append one row and return its candidate_id, made unique; nothing else in the archive changes.

    Another process may append at the same time, and a crash at any moment leaves all earlier rows.
    Raise ProfilerError where the file is not an archive that profiles can be appended to.
    """
    try:
        if _is_sqlite(path):
            return _append_sqlite(path, row)
        return _append_line(path, row)
    except (OSError, sqlite3.Error) as error:
        raise ProfilerError(f"cannot append to {path}: {getattr(error, 'strerror', None) or error}") from None


def done(path: Path, /) -> dict[str, str]:
    """Return the status by configuration of the rows that an archive holds.

    Raise ProfilerError where `append` would: an archive that takes no row must not cost a measurement.
    """
    try:
        sqlite = _is_sqlite(path)
        if (sqlite or not path.exists()) and not os.access(folder := path.absolute().parent, os.W_OK | os.X_OK):
            raise ProfilerError(f"cannot append to {path}: {folder} is no folder that can be written to")
        if not path.exists():
            return {}
        with path.open("r+b") as file:
            if not sqlite:
                return {row["configuration"]: row["status"] for row in _lines(file.read(), path) if "configuration" in row}
        if not path.stat().st_size:  # a writer died before its first row
            return {}
        # read and write, as what a killed writer left is undone by the next that opens it so
        with closing(sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            _check(database, path)
            return dict(database.execute("SELECT configuration, status FROM profile ORDER BY rowid"))
    except (OSError, sqlite3.Error) as error:
        raise ProfilerError(f"cannot append to {path}: {getattr(error, 'strerror', None) or error}") from None


def _is_sqlite(path: Path) -> bool:
    if path.is_dir():
        raise ProfilerError(f"{path} is a folder; name a file for the archive (runs.db or runs.ndjson)")
    if path.exists() and path.stat().st_size:
        with path.open("rb") as file:
            start = file.read(len(_SQLITE))
        if start == _SQLITE:
            return True
        if not start.lstrip().startswith(b"{"):
            raise ProfilerError(f"{path} is neither SQLite nor NDJSON; name another file for the archive")
        return False
    if path.suffix in (".db", ".sqlite", ".sqlite3"):
        return True
    if path.suffix in (".ndjson", ".jsonl"):
        return False
    raise ProfilerError(f"{path}: name the archive .db (SQLite) or .ndjson (a record a line)")


def _append_sqlite(path: Path, row: Row) -> str:
    with closing(sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            database.execute(f"CREATE TABLE profile ({_SCHEMA})")
            database.execute("CREATE VIEW archive AS SELECT * FROM profile")
        _check(database, path)
        taken = {name for (name,) in database.execute("SELECT candidate_id FROM profile")}
        name = _unique(row["candidate_id"], taken)
        values = [name, *(row.get(column) for column in COLUMNS[1:])]
        database.execute(f"INSERT INTO profile ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})", values)
        database.execute("COMMIT")
    return name


def _check(database: sqlite3.Connection, path: Path) -> None:
    columns = {name for _, name, *_ in database.execute("PRAGMA table_info(profile)")}
    if not set(COLUMNS) <= columns:
        raise ProfilerError(f"{path} is a database that profile did not make; name a new file for the archive")


def _append_line(path: Path, row: Row) -> str:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    with os.fdopen(handle, "r+b") as file:
        fcntl.flock(handle, fcntl.LOCK_EX)
        content = file.read()
        name = _unique(row["candidate_id"], {str(old.get("candidate_id")) for old in _lines(content, path)})
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            # the last writer died: a record that is whole only lacks its end, anything else was never finished
            if _is_record(content[whole:]):
                os.write(handle, b"\n")
            else:
                os.ftruncate(handle, whole)
        begin = os.fstat(handle).st_size
        line = (json.dumps({**row, "candidate_id": name}, allow_nan=False) + "\n").encode()
        try:
            written = 0
            while written < len(line):  # a disk that is nearly full takes a part, and says so at the next attempt only
                written += os.write(handle, line[written:])
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, begin)
            raise
    return name


def _lines(content: bytes, path: Path) -> list[dict[str, Any]]:
    lines = [line for line in content.split(b"\n") if line.strip()]
    if lines and not content.endswith(b"\n") and not _is_record(lines[-1]):
        lines.pop()
    try:
        rows = [json.loads(line) for line in lines]
    except ValueError as error:
        raise ProfilerError(f"{path} is not NDJSON ({error}); name another file for the archive") from None
    if not all(isinstance(row, dict) for row in rows):
        raise ProfilerError(f"{path} is not NDJSON, a record a line; name another file for the archive")
    return rows


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _unique(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"
