"""Find out which tool wrote a folder, and open it so."""

from __future__ import annotations

from pathlib import Path

from ecosel.errors import ArchiveError
from ecosel.readers.table import Archive
from ecosel.readers.tools.keras_tuner import open_keras_tuner
from ecosel.readers.tools.mlflow import open_file_store
from ecosel.readers.tools.ray import open_ray_results


def open_folder(path: str, folder: Path, *, study: str | None) -> Archive:
    found = (
        open_ray_results(path, folder) or open_file_store(path, folder, study) or open_keras_tuner(path, folder)
    )  # fmt: skip
    if found is not None:
        return found
    if (folder / "result.json").exists():
        raise ArchiveError(f"{path} is one trial of Ray Tune; name the folder of all trials, {folder.resolve().parent}")
    raise ArchiveError(
        f"{path} is a folder without Ray Tune results (*/result.json), MLflow runs or KerasTuner trials;"
        f" name files, e.g. '{path}/*.csv'"
    )
