"""Turn the runs of MLflow into a frame."""

from __future__ import annotations

import sqlite3
import sys
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
