"""Read the genomes that a population is started from: a seed genome, or the best of an earlier archive."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from evolver.errors import EvolverError


def genomes(path: Path, most: int) -> tuple[str, ...]:
    """Return the genome of a JSON file, or those of an archive's candidates with the highest accuracy, at most so many.

    Raises EvolverError where there is none.
    """
    try:
        with path.open("rb") as file:
            is_database = file.read(16) == b"SQLite format 3\0"
        if not is_database:
            return (path.read_text("utf-8").strip(),)
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            found = database.execute(
                "SELECT genome FROM archive WHERE status = 'ok' AND genome IS NOT NULL ORDER BY accuracy DESC, birth LIMIT ?",
                (most,),
            ).fetchall()
    except (OSError, UnicodeDecodeError, sqlite3.Error) as error:
        raise EvolverError(
            f"--start: cannot read {path} ({error}); name a genome (JSON) or an archive of ecosel evolve"
        ) from error
    if not found:
        raise EvolverError(f"--start: {path} holds no candidate that was trained")
    return tuple(str(genome) for (genome,) in found)
