"""Rebuild the network of a candidate from its archive."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from torch import nn

from evolver.architectures.canonical import canonical
from evolver.architectures.genome import Genome
from evolver.architectures.space import Space
from evolver.archive import foreign
from evolver.errors import EvolverError
from evolver.training.network import build


def candidate_network(archive_path: str | Path, candidate_id: str) -> tuple[nn.Module, tuple[int, int, int]]:
    """Return the network of a candidate in an archive, in normal form and with fresh weights, and the shape of its images.

    EvolverError where the archive cannot be read or does not hold the candidate.
    """
    path = Path(archive_path)
    if not path.is_file():
        raise EvolverError(f"{path}: no such archive")
    try:
        with foreign(path) as database:
            row = database.execute("SELECT genome FROM archive WHERE candidate_id = ?", (candidate_id,)).fetchone()
            settings = database.execute("SELECT settings FROM run").fetchone()
    except sqlite3.Error as error:
        raise EvolverError(f"{path}: not an archive of `ecosel evolve` ({error})") from None
    if row is None or row[0] is None:
        raise EvolverError(f"{path}: holds no candidate {candidate_id}; its column candidate_id names those that it holds")
    try:
        space = Space(**json.loads(settings[0])["space"])
        genome = canonical(Genome.from_json(row[0]), space)
        return build(genome, space), space.input_shape
    except (ValueError, TypeError, KeyError) as error:
        raise EvolverError(f"{path}: candidate {candidate_id} cannot be built ({error})") from None
