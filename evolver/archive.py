"""Keep every birth and outcome of a search in one SQLite file, written by one master, safe against being killed.

Births are committed before they are submitted, outcomes once, each in its own transaction (write-ahead log,
synchronous = NORMAL: commits survive the death of the process; after a power cut, the last moments may be
missing, and their births are run again).
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evolver.candidates import APPLICATION, VERSION, check_schema
from evolver.errors import EvolverError
from evolver.jobs import Outcome, Reestimate, Task
from evolver.search.optimizer import Birth

# the table's columns are the fields of an outcome; these hold JSON
_JSON = ("curve", "notes")
_KNOWN = ("parameters", "flops")  # known before training
_COLUMNS = tuple(field.name for field in fields(Outcome))
# added later: means over several trainings; older programs can also read the file
_SECOND = """
CREATE TABLE reestimates (
    birth INTEGER PRIMARY KEY REFERENCES births, accuracy REAL, low REAL, high REAL, std REAL, trainings INTEGER);
CREATE VIEW archive AS SELECT
    CAST(b.birth AS TEXT) AS candidate_id, t.status, (SELECT dataset FROM run) AS dataset,
    COALESCE(e.accuracy, t.accuracy) AS accuracy, COALESCE(e.low, t.accuracy_low) AS accuracy_low,
    COALESCE(e.high, t.accuracy_high) AS accuracy_high, t.accuracy AS first_accuracy, e.std AS accuracy_spread,
    CASE t.status WHEN 'ok' THEN COALESCE(e.trainings, 1) END AS trainings,
    m.inference_time_s, m.inference_time_s_low, m.inference_time_s_high,
    COALESCE(t.parameters, b.parameters) AS parameters, COALESCE(t.flops, b.flops) AS flops,
    m.energy_per_inference_j, m.energy_per_inference_j_low, m.energy_per_inference_j_high, m.energy_source,
    m.batch_size, COALESCE(m.device, t.device) AS device, COALESCE(m.precision, t.precision) AS precision,
    CASE f.status WHEN 'ok' THEN f.accuracy END AS test_accuracy, t.train_time_s, t.epochs, t.peak_memory_bytes,
    b.genome, t.topology, b.parents, b.seed, b.birth, b.created_at, t.finished_at, COALESCE(t.reason, m.reason) AS reason,
    m.notes AS measurement
FROM outcomes t JOIN births b USING (birth) LEFT JOIN reestimates e USING (birth)
    LEFT JOIN outcomes m ON m.birth = t.birth AND m.task = 'measure'
    LEFT JOIN outcomes f ON f.birth = t.birth AND f.task = 'final'
WHERE t.task = 'train' ORDER BY b.birth;
"""
_SCHEMA = f"""
CREATE TABLE run (settings TEXT NOT NULL, dataset TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE sessions (
    session INTEGER PRIMARY KEY, started_at TEXT NOT NULL, ended_at TEXT, provenance TEXT NOT NULL, ended TEXT,
    joules REAL);
CREATE TABLE births (
    birth INTEGER PRIMARY KEY, genome TEXT NOT NULL, key TEXT NOT NULL, parents TEXT NOT NULL, seed INTEGER NOT NULL,
    told INTEGER NOT NULL, {", ".join(_KNOWN)}, created_at TEXT NOT NULL);
CREATE TABLE outcomes (
    sequence INTEGER PRIMARY KEY, birth INTEGER NOT NULL REFERENCES births, task TEXT NOT NULL,
    {", ".join(_COLUMNS)}, finished_at TEXT NOT NULL, UNIQUE (birth, task));
{_SECOND}PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
"""
_SAVE = (
    f"INSERT INTO outcomes (birth, task, {', '.join(_COLUMNS)}, finished_at) VALUES (?, ?, {', '.join('?' * len(_COLUMNS))}, ?)"
    " ON CONFLICT (birth, task) DO NOTHING"
)


class SearchArchive:
    """The only writer of an archive; a second one on the same file is refused. Others may read at any time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        new = not path.exists()
        self._lock = locked(path)
        try:
            with one_line_errors(path):
                self._database = sqlite3.connect(path, isolation_level=None)
                try:
                    self._prepare()
                except BaseException:
                    self._database.close()
                    raise
            self._identity = _identity(path)
        except BaseException:
            if new:  # a full disk has room for empty files
                _remove(path)
            os.close(self._lock)
            raise

    def _prepare(self) -> None:
        self._database.execute("PRAGMA trusted_schema = OFF")
        self._database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000_000)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        (application,) = self._database.execute("PRAGMA application_id").fetchone()
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        (tables,) = self._database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        if application != APPLICATION and tables:
            raise EvolverError(f"{self.path} is another program's database; name a new file with --archive")
        if version > VERSION:
            raise EvolverError(
                f"{self.path} was written by a newer ecosel (format {version}, this version reads {VERSION}); upgrade ecosel"
            )
        check_schema(self._database, self.path)
        if not tables:
            self._database.executescript(f"BEGIN;{_SCHEMA}COMMIT;")
        elif not self._database.execute("SELECT 1 FROM sqlite_master WHERE name = 'reestimates'").fetchone():
            self._database.executescript(f"BEGIN; DROP VIEW IF EXISTS archive; {_SECOND} COMMIT;")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()
        os.close(self._lock)

    def discard(self) -> None:
        """Remove the files of an archive to which nothing was written."""
        self._database.close()
        _remove(self.path)

    @property
    def settings(self) -> dict[str, Any] | None:
        """Return the settings with which the run began; None for a new archive."""
        with one_line_errors(self.path):
            row = self._database.execute("SELECT settings FROM run").fetchone()
            settings: dict[str, Any] | None = json.loads(row[0]) if row else None
        return settings

    def begin(self, settings: Mapping[str, Any], *, dataset: str) -> None:
        self._write("INSERT INTO run VALUES (?, ?, ?)", (json.dumps(settings), dataset, _now()))

    def start_session(self, provenance: Mapping[str, Any]) -> int:
        values = (_now(), json.dumps(provenance))
        return self._write("INSERT INTO sessions (started_at, provenance) VALUES (?, ?)", values).lastrowid or 0

    def end_session(self, session: int, why: str, *, joules: float | None) -> None:
        self._write("UPDATE sessions SET ended_at = ?, ended = ?, joules = ? WHERE session = ?", (_now(), why, joules, session))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Commit everything written within the block at its end, or nothing."""
        self._write("BEGIN", ())
        try:
            yield
        except BaseException:
            self._database.rollback()
            raise
        self._write("COMMIT", ())
        self._check_there()

    def _check_there(self) -> None:
        """Stop where the file was moved, deleted or replaced; if nothing is at its place, write what was finished there again."""
        try:
            there = _identity(self.path)
        except OSError:
            there = None
        if there == self._identity:
            return
        if there is not None:
            raise EvolverError(f"another file took the place of {self.path} while the search ran; name another --archive")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path)) as again:
                self._database.backup(again)
        except (OSError, sqlite3.Error) as error:
            raise EvolverError(f"{self.path} was moved or deleted, and cannot be written again: {error}") from error
        raise EvolverError(
            f"{self.path} was moved or deleted while the search ran; finished work was written there again: run the same command"
            " again to continue"
        )

    def save_birth(self, birth: Birth[str]) -> None:
        parents = json.dumps([str(parent) for parent in birth.parents])
        known = (birth.known.get(column) for column in _KNOWN)
        self._write(
            "INSERT INTO births VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (birth.number, birth.genome, birth.key, parents, birth.seed, birth.told, *known, _now()),
        )

    def save_outcome(self, birth: int, task: Task, outcome: Outcome) -> bool:
        """Save an outcome; if this task of this birth already has one, change nothing and return False."""
        values = [getattr(outcome, column) for column in _COLUMNS]
        for column in _JSON:
            k = _COLUMNS.index(column)
            values[k] = json.dumps(values[k]) if values[k] else None
        return self._write(_SAVE, (birth, task, *values, _now())).rowcount == 1

    def save_reestimate(self, birth: int, found: Reestimate) -> None:
        self._write("INSERT OR REPLACE INTO reestimates VALUES (?, ?, ?, ?, ?, ?)", (birth, *astuple(found)))

    def births(self) -> Iterator[Birth[str]]:
        """Yield all births in order."""
        yield from self._births("")

    def births_without(self, numbers: Iterable[int], task: Task) -> list[Birth[str]]:
        """Return those of the given births without an outcome of a task, in order."""
        only = "WHERE birth IN (SELECT value FROM json_each(?)) AND birth NOT IN (SELECT birth FROM outcomes WHERE task = ?)"
        return list(self._births(only, json.dumps(list(numbers)), task))

    def _births(self, only: str, *values_of_only: str) -> Iterator[Birth[str]]:
        with one_line_errors(self.path):
            for number, genome, key, parents, seed, told, *values in self._database.execute(
                f"SELECT birth, genome, key, parents, seed, told, {', '.join(_KNOWN)} FROM births {only} ORDER BY birth",
                values_of_only,
            ):
                came_from = tuple(int(parent) for parent in json.loads(parents))
                known = {column: value for column, value in zip(_KNOWN, values, strict=True) if value is not None}
                yield Birth(number, genome, key, came_from, seed, told, known)

    def outcomes(self) -> Iterator[tuple[int, Task, Outcome]]:
        """Yield (birth, task, outcome) in order of arrival."""
        curve, notes = map(_COLUMNS.index, _JSON)
        with one_line_errors(self.path):
            for birth, task, *values in self._database.execute(
                f"SELECT birth, task, {', '.join(_COLUMNS)} FROM outcomes ORDER BY sequence"
            ):
                values[curve] = tuple((epoch, at) for epoch, at in json.loads(values[curve])) if values[curve] else ()
                values[notes] = json.loads(values[notes]) if values[notes] else {}
                yield birth, task, Outcome(*values)

    def _write(self, sql: str, values: tuple[Any, ...]) -> sqlite3.Cursor:
        with one_line_errors(self.path):
            return self._database.execute(sql, values)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-lock"):
        with suppress(OSError):
            Path(f"{path}{suffix}").unlink()


def _identity(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_dev, state.st_ino


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def locked(path: Path) -> int:
    """Return the descriptor of a lock that the kernel releases when this process ends, however it ends."""
    try:
        lock = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise EvolverError(f"cannot write {path}: {error.strerror}; name a file in a writable folder") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(lock, 200, 0).decode("utf-8", "replace").strip()
        os.close(lock)
        raise EvolverError(
            f"{path} is being written by {owner or 'another search'}; stop it, or name another --archive"
        ) from error
    with suppress(OSError):  # the name of the owner is a courtesy: a full disk is met where it matters
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    return lock


@contextmanager
def one_line_errors(path: Path) -> Iterator[None]:
    """Turn SQLite errors into one line that tells what to do."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name == "SQLITE_FULL" or (name.startswith("SQLITE_IOERR") and not _has_room(path)):
            raise EvolverError(
                f"the disk of {path} is full; finished work is kept: free some space and run the same command again"
            ) from error
        if name in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
            raise EvolverError(f"{path} is not a readable archive ({error}); name another --archive") from error
        if isinstance(error, sqlite3.IntegrityError):
            raise
        raise EvolverError(f"cannot write {path}: {error}") from error
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, MemoryError) as error:
        what = f"{type(error).__name__}: {error}"
        raise EvolverError(f"{path} holds values that ecosel did not write ({what}); choose another --archive") from error


def _has_room(path: Path) -> bool:
    try:
        state = os.statvfs(path.parent)
    except OSError:  # the folder is gone
        return True
    return state.f_bavail * state.f_frsize > 1 << 20
