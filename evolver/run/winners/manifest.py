"""Write the genome and a manifest beside a winner's weights, so that others can use them."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from evolver.candidates import candidate
from evolver.errors import EvolverError
from evolver.jobs import Outcome


def write_manifest(archive: Path, birth: int, outcome: Outcome, stem: Path) -> None:
    """Write `stem`.json and `stem`.genome.json. Raises EvolverError if they cannot be written."""
    found = candidate(archive, str(birth))
    survey = found.settings.get("survey", {})
    manifest: dict[str, Any] = {
        "candidate_id": str(birth),
        "archive": archive.name,
        "dataset": found.row["dataset"],
        "input_shape": survey.get("input_shape"),
        "classes": survey.get("classes"),
        "mean": outcome.notes.get("mean"),
        "std": outcome.notes.get("std"),
        "test_set": outcome.notes.get("test_set"),
        "test_accuracy": outcome.accuracy,
        "test_accuracy_low": outcome.accuracy_low,
        "test_accuracy_high": outcome.accuracy_high,
        "validation_accuracy": found.row["accuracy"],
        "validation_accuracy_low": found.row["accuracy_low"],
        "validation_accuracy_high": found.row["accuracy_high"],
        "validation_trainings": found.row.get("trainings"),
        "seed": found.row["seed"],
        "versions": survey.get("versions"),
        "sha256": {suffix: _digest(stem, suffix) for suffix in (".pt2", ".pt")},
        "genome": json.loads(found.genome),
        "space": found.settings["space"],
    }
    try:
        _write(stem.with_name(f"{stem.name}.genome.json"), found.genome)
        _write(stem.with_name(f"{stem.name}.json"), json.dumps(manifest, indent=1))
    except OSError as error:
        said = f"{stem}.json: the manifest cannot be written ({error.strerror or error})"
        raise EvolverError(f"{said}; finished work is kept: free some space and run the same command again") from error


def _digest(stem: Path, suffix: str) -> str | None:
    path = stem.with_name(stem.name + suffix)
    if not path.is_file():  # a cluster that does not share the folder
        return None
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text + "\n", "utf-8")
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink()
