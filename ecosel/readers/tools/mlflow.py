"""Turn the runs of MLflow, in a database or a folder of files, into a frame."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds, Query
from ecosel.readers.table import Archive, from_records, listed
from ecosel.readers.tools.folder_reading import FolderReading

# MLflow stores an infinite metric as the largest finite float.
_INFINITE = sys.float_info.max


def read_mlflow(path: str, query: Query, experiment: str | None, *, bounds: Bounds, size: int) -> Archive:
    """Read the latest metrics of every run that is not deleted, in the order in which the runs were stored.

    Columns: `run_id`, `run_name`, `experiment`, `status`, the metrics by their keys, `params.<key>`.
    MLflow stores a NaN metric as value 0 with is_nan = 1: this is read as a missing value, never as 0.
    """
    experiments = dict(query("SELECT name, experiment_id FROM experiments"))
    if experiment is not None and experiment not in experiments:
        raise ArchiveError(f"{path}: no experiment {experiment!r}; it has: {listed(list(experiments))}")
    runs: dict[str, dict[str, Any]] = {}
    for run, name, in_experiment, status in query(
        "SELECT run_uuid, r.name, e.name, status FROM runs r LEFT JOIN experiments e USING (experiment_id)"
        " WHERE r.lifecycle_stage = 'active' AND (?1 IS NULL OR e.name = ?1) ORDER BY r.start_time, r.rowid", (experiment,)
    ):  # fmt: skip
        runs[run] = {"run_id": run, "run_name": name, "experiment": in_experiment, "status": status}
    own = frozenset(("run_id", "run_name", "experiment", "status"))
    for run, key, value, is_nan in query("SELECT run_uuid, key, value, is_nan FROM latest_metrics ORDER BY rowid"):
        if run in runs:
            column = f"metrics.{key}" if key in own or key.startswith("params.") else key
            runs[run][column] = None if is_nan or abs(value) >= _INFINITE else value
    for run, key, value in query("SELECT run_uuid, key, value FROM params ORDER BY rowid"):
        if run in runs:
            runs[run][f"params.{key}"] = value
    return from_records(path, runs.values(), bounds=bounds, size=size, columns=("run_id", "run_name", "experiment", "status"))


_STATUSES = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}
_OWN = ("run_id", "run_name", "experiment", "status")


def open_file_store(folder: Path, experiment: str | None, reading: FolderReading) -> Archive | None:
    """Read an MLflow store of text files (`mlruns`), one experiment of it, or one run; None if folder is none of these.

    The columns are those of the database. The last value of a metric is the one at its largest step.
    """
    path, folder = reading.path, folder / "mlruns" if (folder / "mlruns").is_dir() else folder
    metas: dict[Path, dict[str, str]] = {}
    found: list[Path] = []
    for level in range(3):
        metas |= {below: _meta(below, reading) for below in reading.below(folder, level) if (below / "meta.yaml").is_file()}
        found = [run for run, meta in metas.items() if "run_id" in meta]
        if found:
            break
    found = [run for run in found if metas[run].get("lifecycle_stage", "active") == "active"]
    if not found and any("experiment_id" in meta for meta in metas.values()):
        raise ArchiveError(f"{path} is an MLflow file store without runs")
    if not found:
        return None
    names = {parent: _meta(parent, reading).get("name", parent.name) for parent in {run.parent for run in found}}
    if experiment is not None and experiment not in names.values():
        raise ArchiveError(f"{path}: no experiment {experiment!r}; it has: {listed(sorted(set(names.values())))}")
    chosen = [run for run in found if experiment is None or names[run.parent] == experiment]
    records = [
        _run(run, metas[run], names[run.parent], reading)
        for run in sorted(chosen, key=lambda run: (_start(metas[run]), run.name))
    ]
    return from_records(path, records, bounds=reading.bounds, size=reading.size, columns=_OWN)


def _start(meta: dict[str, str]) -> int:
    stamp = meta.get("start_time", "")
    return int(stamp) if stamp.isdecimal() and len(stamp) < 20 else 0


def _run(run: Path, meta: dict[str, str], experiment: str, reading: FolderReading) -> dict[str, Any]:
    status = meta.get("status", "")
    record: dict[str, Any] = {"run_id": meta["run_id"], "run_name": meta.get("run_name"), "experiment": experiment,
                              "status": _STATUSES.get(status, status)}  # fmt: skip
    for file in reading.files(run / "metrics"):
        key = file.relative_to(run / "metrics").as_posix()
        column = f"metrics.{key}" if key in _OWN or key.startswith("params.") else key
        record[column] = _last_metric(file, reading)
    params = run / "params"
    return record | {f"params.{file.relative_to(params).as_posix()}": reading.text(file) for file in reading.files(params)}


def _last_metric(file: Path, reading: FolderReading) -> float | None:
    last: tuple[int, int, float] | None = None
    for line in reading.lines(file):
        try:
            stamp, value, *step = line.rstrip("\n").split(" ")
            point = (int(step[0]) if step else 0, int(stamp), float(value))
        except ValueError as error:
            raise ArchiveError(
                f"{reading.path}: the metric file {file.name} holds {line.rstrip()[:40]!r}, not a time, a value and a step"
            ) from error
        last = point if last is None else max(last, point)
    return None if last is None or last[2] != last[2] or abs(last[2]) >= _INFINITE else last[2]


def _meta(folder: Path, reading: FolderReading) -> dict[str, str]:
    """Return the plain values of a meta.yaml; nested ones are not needed."""
    pairs = (line.partition(": ") for line in reading.text(folder / "meta.yaml").splitlines() if line[:1].strip())
    return {key: value.strip().strip("'\"") for key, _, value in pairs if value.strip() not in ("", "null")}
