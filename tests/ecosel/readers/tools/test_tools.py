"""What trackers, tuners and benchmarks write: by the real library where it is installed, else in its documented layout."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from ecosel.errors import ArchiveError
from ecosel.readers import open_archive
from ecosel.readers.bounds import Bounds
from ecosel.readers.table import ROW, Archive
from tests.ecosel.readers.test_formats import MODELS, OBJECTIVES, picks, selected


def rows(archive: Archive, *columns: str) -> list[tuple[Any, ...]]:
    return archive.read(list(columns)).drop(ROW).rows()


@pytest.fixture
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    backend = JournalFileBackend(str(tmp_path / "study.log"))
    storage = optuna.storages.JournalStorage(backend)
    study = optuna.create_study(storage=storage, study_name="nets", directions=["maximize", "minimize"])
    study.set_metric_names(["acc", "ms"])

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        trial.set_user_attr("note", "hi")
        depth = trial.suggest_int("depth", 1, 9)
        trial.suggest_categorical("kind", ["wide", "deep"])
        if trial.number == 1:
            raise ValueError
        return 0.5 + trial.number / 10, float(depth)

    study.optimize(objective, n_trials=4, catch=ValueError)
    study.enqueue_trial({"depth": 1})
    optuna.create_study(storage=storage, study_name="gone")
    optuna.delete_study(storage=storage, study_name="gone")
    return tmp_path / "study.log"


@pytest.mark.usefixtures("quiet")
def test_an_optuna_journal_is_read_as_its_study(journal: Path, ecosel: Callable[..., Any]) -> None:
    backend = JournalFileBackend(str(journal))
    study = optuna.load_study(storage=optuna.storages.JournalStorage(backend), study_name="nets")
    theirs = study.trials_dataframe().query("state == 'COMPLETE'")
    archive = open_archive([str(journal)])
    frame = archive.read(archive.columns)
    assert frame[ROW].to_list() == theirs["number"].to_list() == [0, 2, 3]
    assert frame["acc"].to_list() == theirs["values_acc"].to_list()
    for column in ("params_depth", "params_kind", "user_attrs_note"):
        assert frame[column].to_list() == theirs[column].to_list()
    assert [(o.column, o.sense) for o in archive.objectives] == [("acc", "max"), ("ms", "min")]
    assert archive.unfinished == 2
    joint = json.loads(ecosel("select", journal, "--format", "json").out)["groups"][0]["selections"][-1]
    assert joint["front"] == sorted(trial.number for trial in study.best_trials)
    assert "1 was left out: its state is FAIL" in ecosel("why", journal, "1").err
    assert "no study 'x'; it has: nets" in ecosel("select", journal, "--study", "x").err


def test_a_damaged_journal_is_reported(tmp_path: Path) -> None:
    (tmp_path / "j.log").write_text('{"op_code": 4, "study_id": 0}\n{"op_code": 0}\n')
    with pytest.raises(ArchiveError, match="the operations of the journal are inconsistent"):
        open_archive([str(tmp_path / "j.log")])


@pytest.mark.usefixtures("quiet")
def test_an_mlflow_file_store_gives_the_same_selection(
    tmp_path: Path, ecosel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = MlflowClient(tracking_uri=f"file:{tmp_path / 'mlruns'}")
    experiment = client.create_experiment("nets")
    for name, accuracy, parameters, latency in MODELS.rows():
        run = client.create_run(experiment, run_name=name).info.run_id
        steps = [Metric("accuracy", value, 0, step) for value, step in ((0.99, 0), (accuracy, 2), (0.1, 1))]
        metrics = [*steps, Metric("parameters", parameters, 0, 0), Metric("latency", latency, 0, 0), Metric("val/f1", 0.5, 0, 0)]
        client.log_batch(run, metrics, params=[Param("lr", "0.1")])
        client.set_terminated(run)
    client.delete_run(client.create_run(experiment).info.run_id)
    failed = client.create_run(experiment, run_name="failed").info.run_id
    client.log_batch(failed, [Metric("accuracy", 1.0, 0, 0), Metric("parameters", 1.0, 0, 0), Metric("latency", 0.1, 0, 0)])
    client.set_terminated(failed, "FAILED")

    MODELS.write_csv(tmp_path / "models.csv")
    document = selected(ecosel, tmp_path / "mlruns")
    assert picks(document) == picks(selected(ecosel, tmp_path / "models.csv"))
    assert document["archive"]["left_out"]["statuses"] == {"FAILED": 1}
    assert picks(selected(ecosel, tmp_path)) == picks(document)  # the folder above it
    archive = open_archive([str(tmp_path / "mlruns")], study="nets")
    assert rows(archive, "experiment", "val/f1", "params.lr")[0] == ("nets", 0.5, "0.1")
    assert [a for (a,) in rows(archive, "accuracy")][:8] == [None if math.isnan(a) else a for a in MODELS["accuracy"]]
    assert rows(open_archive([str(tmp_path / "mlruns" / experiment / run)]), "run_id") == [(run,)]
    assert "no experiment 'x'; it has: nets" in ecosel("select", tmp_path / "mlruns", *OBJECTIVES, "--study", "x").err
    (tmp_path / "mlruns" / experiment / run / "metrics" / "accuracy").write_text("never 1\n")
    with pytest.raises(ArchiveError, match="the metric file accuracy holds 'never 1', not a time, a value and a step"):
        open_archive([str(tmp_path / "mlruns")])


def test_a_ray_trial_counts_by_its_status_and_without_one_by_what_came_last(tmp_path: Path) -> None:
    def trial(name: str, dates: list[str], failed: str | None, *, csv: bool = False) -> None:
        (tmp_path / "exp" / name).mkdir(parents=True)
        results = [{"acc": k, "trial_id": name, "date": date} for k, date in enumerate(dates)]
        lines = ["acc,trial_id,date", *(f"{r['acc']},{name},{r['date']}" for r in results)] if csv else map(json.dumps, results)
        (tmp_path / "exp" / name / ("progress.csv" if csv else "result.json")).write_text("\n".join(lines) + "\n")
        if failed:
            (tmp_path / "exp" / name / "error.txt").write_text(f"Failure # 1 (occurred at {failed})\nTraceback\n")

    trial("a", ["2026-01-01_00-00-01"], None)
    trial("b", ["2026-01-01_00-00-01", "2026-01-01_00-00-09"], "2026-01-01_00-00-05")  # tried again, and ended well
    trial("c", ["2026-01-01_00-00-01"], "2026-01-01_00-00-05")
    trial("d", ["2026-01-01_00-00-02"], None, csv=True)
    archive = open_archive([str(tmp_path / "exp")])
    assert [name for (name,) in rows(archive, "trial")] == ["a", "b", "d"]
    assert archive.remarks == (
        "trials left out as unfinished: 1 ERROR",
        "1 trial failed once and has a later result, which is used",
    )
    assert archive.absent == {"c": "its status is ERROR"}
    states = [{"trial_id": name, "relative_logdir": name, "status": status} for name, status in
              (("a", "RUNNING"), ("b", "ERROR"), ("c", "TERMINATED"), ("d", "TERMINATED"))]  # fmt: skip
    state = {"trial_data": [[json.dumps(one), "{}"] for one in states]}
    (tmp_path / "exp" / "experiment_state-2026-01-01.json").write_text(json.dumps(state))
    assert [name for (name,) in rows(open_archive([str(tmp_path / "exp")]), "trial")] == ["c", "d"]
    for one in states:
        one["status"] = "PENDING"
    (tmp_path / "exp" / "experiment_state-2026-01-02.json").write_text(json.dumps({"checkpoints": list(map(json.dumps, states))}))
    with pytest.raises(ArchiveError, match=r"no row is left to choose from: no trial of .* is complete: .* 4 PENDING"):
        open_archive([str(tmp_path / "exp")])


def test_keras_tuner_trials_are_read_with_all_their_metrics(tmp_path: Path) -> None:
    for k, status in enumerate(["COMPLETED", "INVALID", "COMPLETED"]):
        (tmp_path / f"trial_{k}").mkdir()
        metrics = {
            "val_accuracy": {
                "direction": "max",
                "observations": [{"value": [0.8 + k / 10, 0.9], "step": 0}, {"value": [0.5], "step": 1}],
            },
            "val_loss": {"direction": "min", "observations": [{"value": [0.3], "step": 0}, {"value": [0.2], "step": 1}]},
        }
        document = {"trial_id": str(k), "hyperparameters": {"space": [], "values": {"units": 32 * k, "lr": 0.1}},
                    "metrics": {"metrics": metrics}, "score": 0.9, "best_step": 0, "status": status, "message": None}  # fmt: skip
        (tmp_path / f"trial_{k}" / "trial.json").write_text(json.dumps(document))
    archive = open_archive([str(tmp_path)])
    assert rows(archive, "trial", "score", "val_accuracy", "val_loss", "hp.units") == [
        ("0", 0.9, pytest.approx(0.85), 0.2, 0), ("2", 0.9, pytest.approx(0.95), 0.2, 64),
    ]  # fmt: skip
    assert archive.remarks == ("trials left out as unfinished: 1 INVALID",)


def test_nni_exports_hold_several_metrics_in_one_text(tmp_path: Path) -> None:
    trials = [{"parameter": {"lr": 0.1}, "value": '{"default": 0.9, "latency": 3}', "id": "a"},
              {"parameter": {"lr": 0.2}, "value": '{"default": 0.8, "latency": 1}', "id": "b"}]  # fmt: skip
    (tmp_path / "nni.json").write_text(json.dumps(trials))
    assert rows(open_archive([str(tmp_path / "nni.json")]), "id", "value.default", "value.latency", "parameter.lr") == [
        ("a", 0.9, 3, 0.1), ("b", 0.8, 1, 0.2),
    ]  # fmt: skip


@pytest.mark.parametrize("as_lists", [True, False])
def test_a_smac_runhistory_holds_several_costs(tmp_path: Path, as_lists: bool) -> None:
    runs: list[Any] = [{"config_id": k, "instance": None, "seed": 0, "budget": None, "cost": [0.1 * k, 9 - k], "time": 1.5,
                        "status": 1 if k < 3 else 2, "starttime": 1.0, "endtime": 2.0, "additional_info": {}} for k in (1, 2, 3)]  # fmt: skip
    if as_lists:
        runs = [list(run.values()) for run in runs]
    document = {"stats": {}, "data": runs, "configs": {str(k): {"x": k} for k in (1, 2, 3)}, "config_origins": {}}
    (tmp_path / "runhistory.json").write_text(json.dumps(document))
    assert rows(open_archive([str(tmp_path / "runhistory.json")]), "cost.0", "cost.1", "status", "config.x") == [
        (0.1, 8, "SUCCESS", 1), (0.2, 7, "SUCCESS", 2), (pytest.approx(0.3), 6, "CRASHED", 3),
    ]  # fmt: skip


def test_results_of_lm_evaluation_harness_are_one_model_a_file(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    for name, acc in (("a", 0.7), ("b", 0.6)):
        task = {"alias": "arc_easy", "acc,none": acc, "acc_stderr,none": 0.01, "acc_norm,none": 0.5, "em,strict-match": 0.4}
        document = {"results": {"arc_easy": task}, "configs": {"arc_easy": {}}, "n-shot": {"arc_easy": 0},
                    "config": {"model": "hf", "model_args": f"pretrained={name}", "batch_size": 8}, "model_name": name,
                    "total_evaluation_time_seconds": str(10 * acc)}  # fmt: skip
        (tmp_path / f"results_{name}.json").write_text(json.dumps(document))
    archive = open_archive([str(tmp_path / "*.json")])
    assert rows(archive, "model", "arc_easy.acc", "arc_easy.acc_stderr", "arc_easy.em,strict-match")[0] == ("a", 0.7, 0.01, 0.4)
    options = ("--maximize", "arc_easy.acc", "--minimize", "total_evaluation_time_seconds", "--format", "json")
    document = json.loads(ecosel("select", tmp_path / "*.json", *options).out)
    assert "arc_easy.acc_stderr is taken as the error of arc_easy.acc" in document["remarks"]
    assert document["groups"][0]["selections"][0]["resamples"] == 1000


def test_reports_of_optimum_benchmark_are_one_model_a_file(tmp_path: Path) -> None:
    report = {"prefill": {"latency": {"unit": "s", "mean": 0.02, "stdev": 0.001, "values": [0.02]}, "energy": {"unit": "kWh", "total": 1e-6}},
              "decode": {"throughput": {"unit": "tokens/s", "value": 50.0}, "memory": None}}  # fmt: skip
    (tmp_path / "benchmark_report.json").write_text(json.dumps(report))
    (tmp_path / "benchmark.json").write_text(
        json.dumps({"config": {"name": "x", "backend": {"model": "gpt2"}}, "report": report})
    )
    assert rows(open_archive([str(tmp_path / "benchmark_report.json")]), "prefill.latency.mean", "decode.throughput.value") == [
        (0.02, 50.0)
    ]
    assert rows(open_archive([str(tmp_path / "benchmark.json")]), "config.backend.model", "report.prefill.energy.total") == [
        ("gpt2", 1e-6)
    ]


def test_codecarbon_and_weights_and_biases_tables_are_read(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "emissions.csv").write_text(
        "timestamp,project_name,run_id,duration,emissions,energy_consumed,country_name\n"
        "2026-01-01T00:00:00,a,1,10.5,0.001,0.002,France\n2026-01-01T00:00:00,b,2,9.5,0.002,0.004,France\n"
    )
    assert rows(open_archive([str(tmp_path / "emissions.csv")]), "project_name", "energy_consumed") == [
        ("a", 0.002),
        ("b", 0.004),
    ]
    (tmp_path / "project.csv").write_text(
        ",summary,config,name\n0,\"{'acc': 0.9, '_wandb': {'runtime': 5}, 'loss': nan}\",\"{'lr': 0.1, 'layers': [1, 2]}\",run-a\n"
        "1,\"{'acc': 0.8, '_wandb': {'runtime': 2}, 'loss': inf}\",{},run-b\n2,not a dict,,run-c\n"
    )
    archive = open_archive([str(tmp_path / "project.csv")])
    assert rows(archive, "name", "summary.acc", "summary._wandb.runtime", "summary.loss", "config.lr") == [
        ("run-a", 0.9, 5, None, 0.1), ("run-b", 0.8, 2, None, None), ("run-c", None, None, None, None),
    ]  # fmt: skip
    outcome = ecosel("select", tmp_path / "project.csv", "--maximize", "acc", "--minimize", "summary._wandb.runtime")
    assert "did you mean 'summary.acc'" in outcome.err


def test_dicts_of_other_names_in_each_row_and_long_literals_are_refused(tmp_path: Path) -> None:
    for cells, says in (
        ((f"{{'k{k}': 1}}" for k in range(2000)), "more than 1,000 columns"),
        (("{'a': (" + "1," * 200 + ")}",), "its cells hold long Python literals"),
        (("{'a': (" + "1," * 50 + ")}" for _ in range(200)), "its cells hold long Python literals"),
    ):
        (tmp_path / "p.csv").write_text("summary,x\n" + "".join(f'"{cell}",1\n' for cell in cells))
        with pytest.raises(ArchiveError, match=f"{says}.*raise --max-size"):
            open_archive([str(tmp_path / "p.csv")], bounds=Bounds(10_000_000))


def test_texts_in_dicts_of_python_keep_their_words(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("summary,x\n\"{'a': \"\"None's\"\", 'b': 'True nan', 'c': (1, 2), 'd': True}\",1\n")
    archive = open_archive([str(tmp_path / "p.csv")])
    assert rows(archive, "summary.a", "summary.b", "summary.c", "summary.d") == [("None's", "True nan", "[1, 2]", True)]
    (tmp_path / "p.csv").write_text("summary,x\n\"{'a': \"\"None's\"\", 'b': 'True nan'}\",1\n")
    assert rows(open_archive([str(tmp_path / "p.csv")]), "summary.a", "summary.b") == [("None's", "True nan")]


def test_a_dict_in_a_cell_runs_no_code(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("summary,x\n\"{'acc': __import__('os').abort()}\",1\n" + '"' + "{'a': " * 500 + '",2\n')
    assert open_archive([str(tmp_path / "p.csv")]).columns == ("summary", "x")
