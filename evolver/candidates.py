"""Read candidates from an archive without changing it, even while a search writes it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolver.errors import EvolverError
from evolver.foreign import SQLITE, foreign

_EARLIER = 128  # outcomes of an earlier run that a surrogate begins with: its settings must stay a cell that can be read


def outcomes(path: Path) -> tuple[tuple[str, float], ...]:
    """Return genome and accuracy, 0 if it failed, of candidates all over an archive; () of a genome's file."""
    try:
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
    """What an archive holds of one candidate."""

    genome: str
    settings: dict[str, Any]  # of the run
    row: dict[str, Any]  # of the view `archive`


def candidate(path: Path, candidate_id: str) -> Candidate:
    """Return a candidate of an archive. Raises EvolverError if there is none."""
    if not path.is_file():
        raise EvolverError(f"{path}: no such archive")
    try:
        with foreign(path) as database:
            row = database.execute("SELECT * FROM archive WHERE candidate_id = ?", (candidate_id,)).fetchone()
            settings = json.loads(database.execute("SELECT settings FROM run").fetchone()[0])
    except (sqlite3.Error, TypeError, ValueError) as error:
        raise EvolverError(f"{path}: not an archive of `ecosel evolve` ({error})") from None
    if row is None or row["genome"] is None:
        raise EvolverError(f"{path}: has no candidate {candidate_id}; its column candidate_id lists its candidates")
    return Candidate(row["genome"], settings, dict(row))


def weights_of(archive: Path, birth: int | str) -> Path:
    """Return where the trained weights of a candidate near the front are kept."""
    return archive.with_name(f"{archive.stem}-weights") / f"{birth}.pt"
