"""Read candidates from an archive that may be a stranger's: reading runs nothing, and takes bounded time and memory."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from evolver.errors import EvolverError
from profilers.files import read_file
from profilers.results.foreign_schema import SQLITE, foreign_part

VERSION = 1  # of the layout of an archive
APPLICATION = 0x65636F73  # "ecos": identifies such a database, also for `file`
_TABLES = ("run", "sessions", "births", "outcomes", "reestimates")
# Settings and genomes are the longest cells; a genome with the most slots that `Genome.from_json` reads is far shorter.
_LONGEST, _PATIENCE_S = 1_000_000, 10.0
_EARLIER = 128  # outcomes of an earlier run for the surrogate: bounded, as settings must remain a readable cell


@contextmanager
def foreign(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an archive that may be a stranger's for reading: its views may neither run forever nor return endless cells.

    Raises sqlite3.Error and OSError.
    """
    # SQLite would create the log's files, and leave them there, if nobody has the archive open
    in_use = any(Path(f"{path}-{part}").exists() for part in ("wal", "journal"))
    how = "mode=ro" if in_use else "immutable=1"
    with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?{how}", uri=True)) as database:
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        end = time.monotonic() + _PATIENCE_S
        database.set_progress_handler(lambda: time.monotonic() > end, 10_000)
        database.execute("PRAGMA trusted_schema = OFF")
        (application,), (version,) = (
            database.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
        )
        if application == APPLICATION and version > VERSION:
            newer = f"format {version}, this version reads {VERSION}"
            raise sqlite3.DatabaseError(f"it was written by a newer ecosel ({newer}); upgrade ecosel")
        database.row_factory = sqlite3.Row
        try:
            yield database
        except sqlite3.OperationalError as error:
            if str(error) != "interrupted":
                raise
            raise sqlite3.OperationalError(f"a query of it (a view?) takes more than {_PATIENCE_S:g} s") from error


def _head(path: Path) -> bytes:
    if not path.is_file():  # a pipe or a device, which may never end
        return read_file(path, most=_LONGEST)
    with path.open("rb") as file:
        return file.read(_LONGEST + 1)


def genomes(path: Path, most: int) -> tuple[str, ...]:
    """Return the genome in a JSON file, or those of an archive's candidates with the highest accuracy, up to a number.

    Raises EvolverError if there is none.
    """
    try:
        start = _head(path)
        if not start.startswith(SQLITE):
            if len(start) > _LONGEST:
                raise EvolverError(f"--start: {path} is not a genome: it is longer than {_LONGEST:,} bytes")
            return (start.decode("utf-8").strip(),)
        with foreign(path) as database:
            found = database.execute(
                "SELECT genome FROM archive WHERE status = 'ok' AND genome IS NOT NULL ORDER BY accuracy DESC, birth LIMIT ?",
                (most,),
            ).fetchall()
    except (OSError, UnicodeDecodeError, MemoryError, sqlite3.Error) as error:  # SQLite raises MemoryError for some damaged files
        raise EvolverError(
            f"--start: cannot read {path} ({error}); name a genome (JSON) or an archive of ecosel evolve"
        ) from error
    if not found:
        raise EvolverError(f"--start: {path} has no trained candidate")
    return tuple(str(row["genome"]) for row in found)


def check_schema(database: sqlite3.Connection, path: Path) -> None:
    """Refuse parts that this program never makes: a trigger, an index or a condition would run whenever a row is written."""
    part = foreign_part(database, {"table": _TABLES, "view": ("archive",)})
    if part is not None and part.is_ours:
        raise EvolverError(f"{path}: the table {part.name!r} computes as it is written; choose another --archive")
    if part is not None:
        raise EvolverError(f"{path} holds the {part.kind} {part.name!r}, which ecosel did not make; choose another --archive")


def outcomes(path: Path) -> tuple[tuple[str, float], ...]:
    """Return genome and accuracy (0 if failed) of candidates spread over an archive; () for the file of a genome."""
    try:
        if not path.is_file():
            return ()
        with path.open("rb") as file:
            if file.read(len(SQLITE)) != SQLITE:
                return ()
        with foreign(path) as database:
            found = database.execute(
                "SELECT genome, COALESCE(accuracy, 0) FROM archive WHERE status != 'lost' AND genome IS NOT NULL ORDER BY birth"
            ).fetchall()
    except (OSError, sqlite3.Error) as error:
        raise EvolverError(f"--start: cannot read {path} ({error}); name an archive of ecosel evolve") from error
    kept = [found[k * len(found) // _EARLIER] for k in range(_EARLIER)] if len(found) > _EARLIER else found
    return tuple((str(genome), float(accuracy)) for genome, accuracy in kept)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate, as stored in an archive."""

    genome: str
    settings: dict[str, Any]  # settings of the run
    row: dict[str, Any]  # its row in the view `archive`


def candidate(path: Path, candidate_id: str) -> Candidate:
    """Return a candidate from an archive. Raises EvolverError if there is none."""
    if not path.is_file():
        raise EvolverError(f"{path}: no such archive")
    try:
        with foreign(path) as database:
            row = database.execute("SELECT * FROM archive WHERE candidate_id = ?", (candidate_id,)).fetchone()
            settings = json.loads(database.execute("SELECT settings FROM run").fetchone()[0])
    except (sqlite3.Error, TypeError, ValueError, RecursionError) as error:
        raise EvolverError(f"{path}: not an archive of `ecosel evolve` ({error})") from None
    if row is None or row["genome"] is None:
        raise EvolverError(f"{path}: has no candidate {candidate_id}; its column candidate_id lists its candidates")
    return Candidate(row["genome"], settings, dict(row))


def weights_of(archive: Path, birth: int | str) -> Path:
    """Return the path at which trained weights of a candidate near the front are kept."""
    return archive.with_name(f"{archive.stem}-weights") / f"{birth}.pt"
