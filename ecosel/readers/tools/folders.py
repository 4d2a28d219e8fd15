"""Find out which tool wrote a folder, and open it accordingly."""

from __future__ import annotations

from pathlib import Path

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds
from ecosel.readers.table import Archive
from ecosel.readers.tools.folder_reading import FolderReading
from ecosel.readers.tools.keras_tuner import open_keras_tuner
from ecosel.readers.tools.mlflow import open_file_store
from ecosel.readers.tools.ray import open_ray_results


def open_folder(path: str, folder: Path, *, study: str | None, bounds: Bounds) -> Archive:
    reading = FolderReading(path, bounds)
    found = (
        open_ray_results(folder, reading) or open_file_store(folder, study, reading) or open_keras_tuner(folder, reading)
    )  # fmt: skip
    if found is not None:
        return found
    if (folder / "result.json").exists():
        raise ArchiveError(f"{path} is one trial of Ray Tune; name the folder of all trials, {folder.resolve().parent}")
    raise ArchiveError(
        f"{path} is a folder without Ray Tune results (*/result.json), MLflow runs or KerasTuner trials;"
        f" name files, e.g. '{path}/*.csv'"
    )
