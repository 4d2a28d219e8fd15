"""Turn an SQLite database (ecosel's own archive, an Optuna study, MLflow runs, one table or view) into a frame."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.objectives import Objective
from ecosel.readers.bounds import Bounds, size_of
from ecosel.readers.table import Archive, as_text, column_of, frame_of, from_frame

# The application ids of `ecosel evolve` ("ecos") and `ecosel profile` ("ecop"), and the newest layout of their tables.
_OURS, _LAYOUT = (0x65636F73, 0x65636F70), 1
# MLflow stores an infinite metric as the largest float.
_MLFLOW_INF = sys.float_info.max


def open_sqlite(path: str, source: Path | bytes, *, table: str | None, study: str | None, bounds: Bounds) -> Archive:
    with _connection(path, source, bounds) as database:
        _check_layout(path, database)
        tables = [name for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name")]  # fmt: skip # noqa: E501
        if table is not None:
            if table not in tables:
                raise ArchiveError(f"{path}: no table or view {table!r}; it has: {_list(tables)}")
            return _open_table(path, source, database, bounds, table)
        try:
            if {"studies", "trials", "trial_values"} <= set(tables):
                return _read_optuna(path, database, study)
            if {"experiments", "runs", "latest_metrics"} <= set(tables):
                return _read_mlflow(path, database, study)
        except sqlite3.OperationalError as error:
            if "no such" not in str(error):
                raise
            upgrade = f"optuna storage upgrade --storage sqlite:///{path}, or mlflow db upgrade sqlite:///{path}"
            raise ArchiveError(f"{path} is of an older version ({error}); upgrade a copy of it first: {upgrade}") from error
        except (ValueError, LookupError, TypeError) as error:
            raise ArchiveError(
                f"{path}: the tables of the study do not fit together ({type(error).__name__}: {error})"
            ) from error
        if study is not None:
            raise ArchiveError(f"{path} is neither an Optuna nor an MLflow database; --study does not apply")
        if "archive" in tables:
            return _open_table(path, source, database, bounds, "archive")
        if len(tables) == 1:
            return _open_table(path, source, database, bounds, tables[0])
        if not tables:
            raise ArchiveError(f"{path} holds no table")
        raise ArchiveError(f"{path} holds several tables; name one with --table: {_list(tables)}")


def _check_layout(path: str, database: sqlite3.Connection) -> None:
    (application,), (layout,) = (database.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version"))
    if application in _OURS and layout > _LAYOUT:
        newer = f"its format is {layout}, this one knows {_LAYOUT}"
        raise ArchiveError(f"{path} was written by a newer ecosel ({newer}); upgrade ecosel")


@contextmanager
def _connection(path: str, source: Path | bytes, bounds: Bounds) -> Iterator[sqlite3.Connection]:
    if isinstance(source, bytes):
        database = sqlite3.connect(":memory:")
        # a write-ahead log cannot come through a pipe: read what has been moved into the database itself
        database.deserialize(source[:18] + b"\1\1" + source[20:])
    else:
        database = sqlite3.connect(f"file:{quote(str(source.absolute()))}?{_mode(source)}", uri=True, timeout=10)
    with closing(database), bounds.one_line_limits(path):
        bounds.guard(path, database, size_of(source))
        # a stranger's views may call no function that has a side effect
        database.execute("PRAGMA trusted_schema = OFF")
        database.text_factory = lambda raw: raw.decode("utf-8", "replace")
        database.execute("BEGIN")  # all that is read is of one moment, also while a study runs
        yield database


def _mode(source: Path) -> str:
    """Return how to open a database file without changing it or its folder."""
    with source.open("rb") as file:
        logs_ahead = file.read(20)[18:20] == b"\2\2"
    # SQLite would create the shared-memory file of the log, and leave it, where nobody has the database open
    return "immutable=1" if logs_ahead and not Path(f"{source}-wal").exists() else "mode=ro"


def _open_table(path: str, source: Path | bytes, database: sqlite3.Connection, bounds: Bounds, table: str) -> Archive:
    # the last is 1 for a hidden column; a generated one has 2 or 3
    columns = tuple(row[1] for row in database.execute(f"PRAGMA table_xinfo({_name(table)})") if row[-1] != 1)

    def load(wanted: Sequence[str], _: Sequence[str]) -> pl.DataFrame:
        with _connection(path, source, bounds) as database:
            cursor = database.execute(f"SELECT {', '.join(map(_name, wanted))} FROM {_name(table)}")
            cells = bounds.fetch(path, cursor, wanted, size_of(source))
        return pl.DataFrame([column_of(name, column) for name, column in zip(wanted, cells, strict=True)])

    return Archive(path, columns, load)


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _list(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _read_optuna(path: str, database: sqlite3.Connection, study: str | None) -> Archive:
    """Read the complete, feasible trials of one study; numbers, names and directions are the study's own.

    Columns: the objectives by their metric names (else `value`, or `values_0`, ...), `params_<name>`, `user_attrs_<key>`.
    """
    studies = dict(database.execute("SELECT study_name, study_id FROM studies ORDER BY study_id").fetchall())
    if study is None and len(studies) != 1:
        raise ArchiveError(f"{path} holds {len(studies)} studies; name one with --study: {_list(list(studies))}")
    if study is not None and study not in studies:
        raise ArchiveError(f"{path}: no study {study!r}; it has: {_list(list(studies))}")
    key = (studies[study] if study is not None else next(iter(studies.values())),)
    directions = [direction for (direction,) in database.execute(
        "SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective", key)]  # fmt: skip
    attributes = dict(database.execute("SELECT key, value_json FROM study_system_attributes WHERE study_id = ?", key).fetchall())
    if "study:metric_names" in attributes:
        names = json.loads(attributes["study:metric_names"])
    else:
        names = ["value"] if len(directions) == 1 else [f"values_{k}" for k in range(len(directions))]
    # a metric may be called like another column, or two alike
    names = [
        f"values_{k}_{name}" if name == "number" or name.startswith(("params_", "user_attrs_")) or names.count(name) > 1 else name
        for k, name in enumerate(names)
    ]
    states = dict(database.execute("SELECT state, COUNT(*) FROM trials WHERE study_id = ? GROUP BY state", key).fetchall())
    trials: dict[int, dict[str, Any]] = {trial: {"number": number} for trial, number in database.execute(
        "SELECT trial_id, number FROM trials WHERE study_id = ? AND state = 'COMPLETE' ORDER BY number", key)}  # fmt: skip
    of_study = "JOIN trials USING (trial_id) WHERE study_id = ? AND state = 'COMPLETE'"
    for trial, k, value, value_type in database.execute(
        f"SELECT trial_id, objective, value, value_type FROM trial_values {of_study}", key
    ):
        trials[trial][names[k]] = value if value_type == "FINITE" else None
    for trial, name, value, distribution in database.execute(
        f"SELECT trial_id, param_name, param_value, distribution_json FROM trial_params {of_study} ORDER BY param_id",
        key,
    ):
        trials[trial][f"params_{name}"] = _parameter(value, json.loads(distribution))
    for trial, name, value in database.execute(
        f"SELECT trial_id, key, value_json FROM trial_user_attributes {of_study} ORDER BY trial_user_attribute_id", key
    ):
        trials[trial][f"user_attrs_{name}"] = json.loads(value)
    # a trial is feasible where no constraint is above 0: one attribute each since Optuna 5, a list in one before
    constraints = database.execute(
        f"SELECT trial_id, value_json FROM trial_system_attributes {of_study}"
        " AND (key = 'constraints' OR key LIKE 'constraints:%')",
        key,
    )
    infeasible = {trial for trial, value in constraints if _violated(json.loads(value))}
    feasible = [record for trial, record in trials.items() if trial not in infeasible]
    return from_frame(
        path,
        frame_of(feasible, ["number", *names]),
        objectives=tuple(
            Objective(name, "max" if direction == "MAXIMIZE" else "min")
            for name, direction in zip(names, directions, strict=True)
        ),
        row_numbers=tuple(record["number"] for record in feasible),
        unfinished=sum(states.values()) - len(trials) + len(infeasible),
        remarks=(f"{len(infeasible)} trials break the study's constraints and count as unfinished",) if infeasible else (),
    )


def _violated(constraint: Any) -> bool:
    return any(part > 0 for part in (constraint if isinstance(constraint, list) else [constraint or 0]))


def _parameter(value: float, distribution: dict[str, Any]) -> Any:
    """Return a stored parameter as the objective function saw it; a categorical one is stored as an index."""
    attributes = distribution["attributes"]
    if "choices" in attributes:
        choice = attributes["choices"][int(value)]
        return choice if isinstance(choice, (bool, int, float, str)) or choice is None else as_text(choice)
    return int(value) if distribution["name"].startswith("Int") else value


def _read_mlflow(path: str, database: sqlite3.Connection, experiment: str | None) -> Archive:
    """Read the latest metrics of every run that is not deleted, in the order in which the runs were stored.

    Columns: `run_id`, `run_name`, `experiment`, `status`, the metrics by their keys, `params.<key>`.
    MLflow stores a NaN metric as value 0 with is_nan = 1: that is a missing value, never the number 0.
    """
    experiments = dict(database.execute("SELECT name, experiment_id FROM experiments").fetchall())
    if experiment is not None and experiment not in experiments:
        raise ArchiveError(f"{path}: no experiment {experiment!r}; it has: {_list(list(experiments))}")
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
            runs[run][column] = None if is_nan or abs(value) >= _MLFLOW_INF else value
    for run, key, value in database.execute("SELECT run_uuid, key, value FROM params ORDER BY rowid"):
        if run in runs:
            runs[run][f"params.{key}"] = value
    open_ends = sum(record["status"] != "FINISHED" for record in runs.values())
    remark = f"{open_ends} of {len(runs)} runs are not FINISHED; leave them out with --where \"status = 'FINISHED'\""
    frame = frame_of(runs.values(), ["run_id", "run_name", "experiment", "status"])
    return from_frame(path, frame, remarks=(remark,) if open_ends else ())
