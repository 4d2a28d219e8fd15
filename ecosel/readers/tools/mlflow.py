"""Turn the runs of MLflow, in a database or a folder of files, into a frame."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

from ecosel.errors import ArchiveError
from ecosel.readers.table import Archive, frame_of, from_frame, listed

# MLflow stores an infinite metric as the largest float.
_INFINITE = sys.float_info.max


def read_mlflow(path: str, database: sqlite3.Connection, experiment: str | None) -> Archive:
    """Read the latest metrics of every run that is not deleted, in the order in which the runs were stored.

    Columns: `run_id`, `run_name`, `experiment`, `status`, the metrics by their keys, `params.<key>`.
    MLflow stores a NaN metric as value 0 with is_nan = 1: that is a missing value, never the number 0.
    """
    experiments = dict(database.execute("SELECT name, experiment_id FROM experiments").fetchall())
    if experiment is not None and experiment not in experiments:
        raise ArchiveError(f"{path}: no experiment {experiment!r}; it has: {listed(list(experiments))}")
    runs: dict[str, dict[str, Any]] = {}
    for run, name, in_experiment, status in database.execute(
        "SELECT run_uuid, r.name, e.name, status FROM runs r LEFT JOIN experiments e USING (experiment_id)"
        " WHERE r.lifecycle_stage = 'active' AND (?1 IS NULL OR e.name = ?1) ORDER BY r.start_time, r.rowid", (experiment,)
    ):  # fmt: skip
        runs[run] = {"run_id": run, "run_name": name, "experiment": in_experiment, "status": status}
    own = frozenset(("run_id", "run_name", "experiment", "status"))
    for run, key, value, is_nan in database.execute("SELECT run_uuid, key, value, is_nan FROM latest_metrics ORDER BY rowid"):
        if run in runs:
            column = f"metrics.{key}" if key in own or key.startswith("params.") else key
            runs[run][column] = None if is_nan or abs(value) >= _INFINITE else value
    for run, key, value in database.execute("SELECT run_uuid, key, value FROM params ORDER BY rowid"):
        if run in runs:
            runs[run][f"params.{key}"] = value
    frame = frame_of(runs.values(), ["run_id", "run_name", "experiment", "status"])
    return from_frame(path, frame)


_STATUSES = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}
_OWN = ("run_id", "run_name", "experiment", "status")


def open_file_store(path: str, folder: Path, experiment: str | None) -> Archive | None:
    """Read a store of MLflow as text files (`mlruns`), one experiment of it, or one run; None where folder is none of these.

    Columns as from the database. The last value of a metric is the one of its largest step.
    """
    if (folder / "mlruns").is_dir():
        folder = folder / "mlruns"
    runs = [folder / "meta.yaml"] if "run_id" in _meta(folder) else sorted(folder.glob("*/meta.yaml"))
    runs = [file for file in runs if "run_id" in _meta(file.parent)] or sorted(folder.glob("*/*/meta.yaml"))
    metas = [(file.parent, _meta(file.parent)) for file in runs]
    found = [(run, meta) for run, meta in metas if "run_id" in meta and meta.get("lifecycle_stage", "active") == "active"]
    if not found and "experiment_id" in {
        *_meta(folder),
        *(key for file in folder.glob("*/meta.yaml") for key in _meta(file.parent)),
    }:
        raise ArchiveError(f"{path} is an MLflow file store without runs")
    if not found:
        return None
    names = {run.parent: _meta(run.parent).get("name", run.parent.name) for run, _ in found}
    if experiment is not None and experiment not in names.values():
        raise ArchiveError(f"{path}: no experiment {experiment!r}; it has: {listed(sorted(set(names.values())))}")
    records = []
    for run, meta in sorted(found, key=lambda one: (int(one[1].get("start_time", 0) or 0), one[0].name)):
        if experiment is None or names[run.parent] == experiment:
            status = meta.get("status", "")
            record: dict[str, Any] = {"run_id": meta["run_id"], "run_name": meta.get("run_name"), "experiment": names[run.parent],
                                      "status": _STATUSES.get(status, status)}  # fmt: skip
            for key, file in _files(run / "metrics"):
                column = f"metrics.{key}" if key in _OWN or key.startswith("params.") else key
                record[column] = _last_metric(path, file)
            record |= {f"params.{key}": file.read_text("utf-8", "replace") for key, file in _files(run / "params")}
            records.append(record)
    return from_frame(path, frame_of(records, _OWN))


def _files(folder: Path) -> list[tuple[str, Path]]:
    return sorted((file.relative_to(folder).as_posix(), file) for file in folder.rglob("*") if file.is_file())


def _last_metric(path: str, file: Path) -> float | None:
    points = []
    for line in file.read_text("utf-8", "replace").splitlines():
        try:
            stamp, value, *step = line.split(" ")
            points.append((int(step[0]) if step else 0, int(stamp), float(value)))
        except ValueError as error:
            raise ArchiveError(
                f"{path}: the metric file {file.name} holds {line[:40]!r}, not a time, a value and a step"
            ) from error
    last = max(points, default=None)
    return None if last is None or last[2] != last[2] or abs(last[2]) >= _INFINITE else last[2]


def _meta(folder: Path) -> dict[str, str]:
    """Return the plain values of a meta.yaml; nothing nested stands there that is needed."""
    try:
        lines = (folder / "meta.yaml").read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(": ") for line in lines if line[:1].strip())
    return {key: value.strip().strip("'\"") for key, _, value in pairs if value.strip() not in ("", "null")}
