"""Find out which tool wrote a folder, and open it so."""

from __future__ import annotations

from pathlib import Path

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds
from ecosel.readers.table import Archive
from ecosel.readers.tools.ray import open_ray_results


def open_folder(path: str, folder: Path, *, study: str | None, bounds: Bounds) -> Archive:
    results = open_ray_results(path, folder)
    if results is not None:
        return results
    if (folder / "result.json").exists():
        raise ArchiveError(f"{path} is one trial of Ray Tune; name the folder of all trials, {folder.resolve().parent}")
    raise ArchiveError(
        f"{path} is a folder without Ray Tune results (*/result.json) or MLflow runs; name files, e.g. '{path}/*.csv'"
    )
