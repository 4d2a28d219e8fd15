"""Databases written by the real Optuna and MLflow, and result folders by the real Ray Tune, are read as those libraries mean them."""

from __future__ import annotations

import json
import logging
import math
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import optuna
import pytest

from ecosel.errors import ArchiveError
from ecosel.readers import ROW, open_archive, tools
from tests.conftest import environment
from tests.ecosel.readers.test_formats import MODELS, OBJECTIVES, picks, selected


@pytest.fixture
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("quiet")
def test_mlflow_runs_give_the_same_selection_and_a_nan_is_not_zero(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.create_experiment("nets", artifact_location="unused")
    for name, accuracy, parameters, latency in MODELS.rows():
        run = client.create_run(experiment, run_name=name).info.run_id
        # steps 0, 2, 1: the last step counts, in whatever order they come
        steps = [Metric("accuracy", value, 0, step) for value, step in ((0.99, 0), (accuracy, 2), (0.1, 1))]
        metrics = [*steps, Metric("parameters", parameters, 0, 0), Metric("latency", latency, 0, 0)]
        client.log_batch(run, metrics, params=[Param("accuracy", "high"), Param("lr", "0.1")])
        client.set_terminated(run)
    deleted = client.create_run(experiment).info.run_id
    client.log_batch(deleted, [Metric("accuracy", 1.0, 0, 0), Metric("parameters", 0.0, 0, 0), Metric("latency", 0.0, 0, 0)])
    client.delete_run(deleted)

    MODELS.write_csv(tmp_path / "models.csv")
    document = selected(ecosel, tmp_path / "mlflow.db")
    assert picks(document) == picks(selected(ecosel, tmp_path / "models.csv"))
    assert document["archive"]["left_out"]["missing"] == 1

    # what the regression is about: MLflow stores the NaN of row 2 as the number 0, marked is_nan
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert database.execute("SELECT value FROM latest_metrics WHERE is_nan").fetchall() == [(0.0,)]
    archive = open_archive([str(tmp_path / "mlflow.db")], study="nets")
    read = archive.read(["run_name", "accuracy", "params.accuracy", "params.lr", "experiment", "status"])
    assert read["run_name"].to_list() == MODELS["name"].to_list()
    assert read["accuracy"].to_list() == [None if math.isnan(a) else a for a in MODELS["accuracy"]]
    assert set(read["params.accuracy"]) == {"high"}
    assert archive.remarks == ()

    running = client.create_run(experiment, run_name="late").info.run_id
    client.log_batch(running, [Metric("accuracy", math.inf, 0, 0), Metric("run_id", 2.0, 0, 0)])
    archive = open_archive([str(tmp_path / "mlflow.db")])
    document = selected(ecosel, tmp_path / "mlflow.db")
    assert document["archive"]["left_out"]["unfinished"] == 1
    assert document["remarks"][-1] == "left out as unfinished: 1 RUNNING by status"
    last = archive.read(["run_id", "accuracy", "metrics.run_id"]).row(-1, named=True)
    assert last == {ROW: 8, "run_id": running, "accuracy": None, "metrics.run_id": 2.0}
    with pytest.raises(ArchiveError, match="no experiment 'x'; it has: Default, nets"):
        open_archive([str(tmp_path / "mlflow.db")], study="x")


RAY = """
import json, logging, os, sys
os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled", RAY_AIR_NEW_OUTPUT="0", TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1")
import ray
from ray import tune
from ray.tune.logger import JsonLoggerCallback

MODELS = json.loads(sys.argv[2])
FAILED = sys.argv[1] + "/failed"

def trial(config):
    if config["k"] == 1 and not os.path.exists(FAILED):
        open(FAILED, "w").close()
        tune.report({"accuracy": 0.5, "parameters": 0.0, "latency": 0.0})
        raise ValueError("tried again, and ended well")
    if config["k"] == len(MODELS):
        tune.report({"accuracy": 1.0, "parameters": 0.0, "latency": 0.0})
        raise ValueError("lost")
    tune.report({"accuracy": 0.99, "parameters": 0.0, "latency": 0.0})
    name, accuracy, parameters, latency = MODELS[config["k"]]
    tune.report({"accuracy": accuracy, "parameters": parameters, "latency": latency, "name": name})

for attempt in range(5):
    try:
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
        break
    except Exception as error:  # Ray waits for its own processes for 30 s, which a busy machine may need
        assert "timed out during startup" in str(error)
        ray.shutdown()
logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
tune.Tuner(
    trial, param_space={"k": tune.grid_search(list(range(len(MODELS) + 1))), "net": {"width": 8}},
    tune_config=tune.TuneConfig(reuse_actors=True),
    run_config=tune.RunConfig(storage_path=sys.argv[1], name="exp", verbose=0, failure_config=tune.FailureConfig(max_failures=1), callbacks=[JsonLoggerCallback()]),
).fit()
ray.shutdown()
"""


def test_ray_tune_results_give_the_same_selection_and_no_pickle_is_opened(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    outcome = subprocess.run(
        [sys.executable, "-c", RAY, str(tmp_path), json.dumps(MODELS.rows())],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    MODELS.write_csv(tmp_path / "models.csv")
    (tmp_path / "exp" / "trainer.pkl").write_bytes(b"cos\nabort\n(tR.")  # would end this process if it were loaded
    document = selected(ecosel, tmp_path / "exp")
    assert picks(document) == picks(selected(ecosel, tmp_path / "models.csv"))
    assert document["archive"]["left_out"] == {"missing": 1, "filtered": 0, "unfinished": 1}
    read = open_archive([str(tmp_path / "exp")]).read(["name", "config/k", "config/net/width"])
    assert read["name"].to_list() == MODELS["name"].to_list()
    assert read["config/k"].to_list() == list(range(8))
    assert set(read["config/net/width"]) == {8}


def test_a_ray_trial_killed_while_it_wrote_counts_with_its_last_whole_line(tmp_path: Path) -> None:
    for trial, text in (("a", '{"acc": 0.5}\n{"acc": 0.6}\n{"acc": 0.'), ("b", ""), ("c", '{"acc": NaN, "n": 3}\n')):
        (tmp_path / trial).mkdir()
        (tmp_path / trial / "result.json").write_text(text)
    archive = open_archive([str(tmp_path)])
    assert archive.read(["trial", "acc", "n"])["acc"].to_list()[0] == 0.6
    assert archive.unfinished == 1
    with pytest.raises(ArchiveError, match="is one trial of Ray Tune; name the folder"):
        open_archive([str(tmp_path / "a")])


def constrained(path: Path, *, old: bool) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = (
        optuna.samplers.NSGAIISampler(constraints_func=lambda t: (t.params["x"] - 0.5,), seed=1)
        if old
        else optuna.samplers.RandomSampler(1)
    )
    study = optuna.create_study(storage=f"sqlite:///{path}", directions=["maximize", "minimize"], sampler=sampler)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        if not old:
            trial.set_constraint("limit", x - 0.5)
        return x, x * x

    study.optimize(objective, n_trials=20)
    return study


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_trials_that_break_a_constraint_of_the_study_are_left_out(old: bool, tmp_path: Path) -> None:
    if not old and not hasattr(optuna.Trial, "set_constraint"):
        pytest.skip("this Optuna has no Trial.set_constraint")
    study = constrained(tmp_path / "c.db", old=old)
    archive = open_archive([str(tmp_path / "c.db")])
    feasible = [trial.number for trial in study.trials if trial.params["x"] <= 0.5]
    assert 0 < len(feasible) < 20
    assert archive.read(["values_0"])[ROW].to_list() == feasible
    assert archive.unfinished == 20 - len(feasible)
    assert "violate the study's constraints" in archive.remarks[0]


def test_metrics_named_like_other_columns_stand_beside_them(tmp_path: Path) -> None:
    study = optuna.create_study(
        storage=f"sqlite:///{tmp_path / 'n.db'}", directions=["maximize", "minimize", "minimize", "minimize"]
    )
    study.set_metric_names(["number", "params_x", "acc", "acc"])
    study.optimize(lambda trial: (trial.suggest_float("x", 5, 6), 1.0, 2.0, 3.0), n_trials=1)
    archive = open_archive([str(tmp_path / "n.db")])
    names = [objective.column for objective in archive.objectives]
    assert names == ["values_0_number", "values_1_params_x", "values_2_acc", "values_3_acc"]
    assert archive.read(names).row(0)[2:] == (1.0, 2.0, 3.0)


def test_a_study_is_read_as_it_was_at_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'run.db'}"
    study = optuna.create_study(storage=url, direction="minimize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    with sqlite3.connect(tmp_path / "run.db") as database:
        database.execute("PRAGMA journal_mode = WAL")
    parameter = tools.optuna.parameter
    grown: list[int] = []

    def grow_meanwhile(value: float, distribution: dict[str, Any]) -> Any:
        if not grown:  # another process finishes a trial while this one is between two queries
            study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
            grown.append(1)
        return parameter(value, distribution)

    monkeypatch.setattr(tools.optuna, "parameter", grow_meanwhile)
    archive = open_archive([str(tmp_path / "run.db")])
    assert grown
    assert archive.read(["value"]).height == 3
    assert archive.unfinished == 0


def test_reading_a_database_leaves_no_file_beside_it(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "w.db") as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (1)")
    database.close()
    assert [file.name for file in tmp_path.iterdir()] == ["w.db"]
    assert open_archive([str(tmp_path / "w.db")]).read(["x"])["x"].to_list() == [1]
    assert [file.name for file in tmp_path.iterdir()] == ["w.db"]


def test_a_database_with_a_write_ahead_log_comes_through_a_pipe(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "w.db") as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE t (acc, cost)")
        database.execute("INSERT INTO t VALUES (1, 2)")
    database.close()
    outcome = subprocess.run(
        [sys.executable, "-m", "ecosel", "select", "-", "--maximize", "acc", "--minimize", "cost", "--format", "json"],
        input=(tmp_path / "w.db").read_bytes(), env=environment(), capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(outcome.stdout)["archive"]["used"] == 1


def test_several_studies_are_one_archive_and_state_what_they_agree_in(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    directions: dict[str, Literal["maximize", "minimize"]] = {"a.db": "maximize", "b.db": "minimize"}
    for name, direction in directions.items():
        study = optuna.create_study(storage=f"sqlite:///{tmp_path / name}", directions=[direction, "minimize"])
        study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=2)
    outcome = ecosel("select", tmp_path / "a.db", tmp_path / "b.db")
    assert (outcome.status, "name the objectives" in outcome.err) == (2, True)
    assert ecosel("select", tmp_path / "a.db", tmp_path / "b.db", "--maximize", "values_0", "--minimize", "values_1").status == 0
    shutil.copy(tmp_path / "a.db", tmp_path / "c.db")
    document = json.loads(ecosel("select", tmp_path / "a.db", tmp_path / "c.db", "--format", "json").out)
    front = document["groups"][0]["selections"][0]["front"]
    assert (document["archive"]["rows"], front[1] - front[0]) == (4, 2)  # the same trial in both
    answer = " ".join(ecosel("select", tmp_path / "a.db", tmp_path / "c.db").out.split())
    assert f"/a.db / number {front[0]} (and 1 more that tie)" in answer


def test_an_old_optuna_schema_is_reported(tmp_path: Path) -> None:
    study = optuna.create_study(storage=f"sqlite:///{tmp_path / 'old.db'}")
    study.optimize(lambda trial: 1.0, n_trials=1)
    with sqlite3.connect(tmp_path / "old.db") as database:
        database.execute("ALTER TABLE trial_values RENAME COLUMN value_type TO other")
    with pytest.raises(ArchiveError, match="optuna storage upgrade"):
        open_archive([str(tmp_path / "old.db")])


def test_an_mlflow_file_store_without_a_run_is_reported(tmp_path: Path) -> None:
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").write_text("experiment_id: '0'\nname: Default\n")
    for folder in (tmp_path, tmp_path / "mlruns"):
        with pytest.raises(ArchiveError, match="is an MLflow file store without runs"):
            open_archive([str(folder)])


def test_ndjson_lines_end_only_at_line_ends(tmp_path: Path) -> None:
    (tmp_path / "u.ndjson").write_text('{"x": 1, "note": "a\u2028b\u0085c"}\n{"x": 2}\n', encoding="utf-8")
    assert open_archive([str(tmp_path / "u.ndjson")]).read(["x", "note"])["note"].to_list() == ["a\u2028b\u0085c", None]


def test_unused_options_are_not_ignored(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    with sqlite3.connect(tmp_path / "t.db") as database:
        database.execute("CREATE TABLE t (x, y)")
    outcome = ecosel("select", tmp_path / "t.db", *OBJECTIVES, "--study", "x")
    assert (outcome.status, "--study does not apply" in outcome.err) == (1, True)
