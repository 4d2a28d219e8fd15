"""The same models in every form of file give the same selection."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import polars as pl
import pyarrow as pa
import pytest

from ecosel.errors import ArchiveError
from ecosel.readers import ROW, open_archive
from ecosel.readers.text.preamble import find_separator

NAN = float("nan")
MODELS = pl.DataFrame({
    "name": [f"net {k}" for k in range(8)],
    "accuracy": [0.91, 0.85, NAN, 0.70, 0.95, 0.60, 0.88, 0.85],
    "parameters": [5e6, 2e6, 1.0, 1e6, 3e7, 4e6, 2e6, 2e6],
    "latency": [9.0, 4.0, 0.1, 2.0, 30.0, 5.0, 6.0, 4.0],
})  # fmt: skip
OBJECTIVES = ("--maximize", "accuracy", "--minimize", "parameters", "--minimize", "latency")


def picks(document: dict[str, Any]) -> list[Any]:
    return [(s["objectives"], s["front"], s["picks"], s["distance"]) for g in document["groups"] for s in g["selections"]]


def selected(ecosel: Callable[..., Any], path: object, *options: str) -> dict[str, Any]:
    outcome = ecosel("select", path, *OBJECTIVES, *options, "--format", "json")
    assert outcome.status == 0, outcome.err
    document: dict[str, Any] = json.loads(outcome.out)
    return document


@pytest.fixture
def expected(tmp_path: Path, ecosel: Callable[..., Any]) -> list[Any]:
    MODELS.write_parquet(tmp_path / "expected.parquet")
    document = selected(ecosel, tmp_path / "expected.parquet")
    assert document["archive"]["left_out"]["missing"] == 1
    # row 2, cheapest in everything, has no accuracy
    assert 2 not in document["groups"][0]["selections"][0]["front"]
    return picks(document)


def as_json_text() -> str:
    return json.dumps(MODELS.to_dicts())  # with a bare NaN, as Python and many programs write it


def zstd(raw: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(raw)
    return bytes(sink.getvalue())


def ndjson() -> bytes:
    return "".join(json.dumps(row) + "\n" for row in MODELS.to_dicts()).encode()


def table(separator: str = ",", end: str = "\n") -> bytes:
    return MODELS.write_csv(separator=separator).replace("\n", end).encode()


WRITERS: dict[str, Callable[[], bytes]] = {
    "m.csv": table,
    "m.tsv": lambda: table("\t"),
    "semicolon.csv": lambda: table(";").replace(b".", b","),
    "pipe.txt": lambda: table("|"),
    "bom_crlf.csv": lambda: b"\xef\xbb\xbf" + table(end="\r\n"),
    "thousands.csv": lambda: table().replace(b"30000000.0", b'"30,000,000"'),
    "percent.csv": lambda: MODELS.with_columns(
        pl.format("{}%", (pl.col("accuracy") * 100).round(6)).replace("NaN%", "N/A").alias("accuracy")
    ).write_csv().encode(),
    "dash.csv": lambda: table().replace(b"NaN", b"-"),
    "m.csv.gz": lambda: gzip.compress(table()),
    "m.csv.zst": lambda: zstd(table()),
    "m.json": lambda: as_json_text().encode(),
    "m.json.gz": lambda: gzip.compress(as_json_text().encode()),
    "m.json.zst": lambda: zstd(json.dumps(json.loads(as_json_text()), indent=1).encode()),
    "keyed.json": lambda: f'{{"version": 3, "models": {as_json_text()}, "empty": []}}'.encode(),
    "m.ndjson": ndjson,
    "m.jsonl.gz": lambda: gzip.compress(ndjson()),
    "m.ndjson.zst": lambda: zstd(ndjson()),
    "no_suffix": table,
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_text_of_every_kind_gives_the_same_selection(
    name: str, tmp_path: Path, ecosel: Callable[..., Any], expected: list[Any]
) -> None:
    (tmp_path / name).write_bytes(WRITERS[name]())
    if name == "percent.csv":
        found = picks(selected(ecosel, tmp_path / name))
        assert [pick[:3] for pick in found] == [pick[:3] for pick in expected]
        return
    assert picks(selected(ecosel, tmp_path / name)) == expected


def test_arrow_files_and_streams_give_the_same_selection(tmp_path: Path, ecosel: Callable[..., Any], expected: list[Any]) -> None:
    MODELS.write_ipc(tmp_path / "m.arrow")
    MODELS.write_ipc_stream(tmp_path / "stream.arrow")
    assert picks(selected(ecosel, tmp_path / "m.arrow")) == expected
    assert picks(selected(ecosel, tmp_path / "stream.arrow")) == expected


def test_a_database_table_or_view_gives_the_same_selection(
    tmp_path: Path, ecosel: Callable[..., Any], expected: list[Any]
) -> None:
    database = sqlite3.connect(tmp_path / "m #1?.db")
    database.execute('CREATE TABLE "the models" (name TEXT, accuracy, parameters, latency)')
    database.executemany('INSERT INTO "the models" VALUES (?, ?, ?, ?)', MODELS.rows())
    database.execute('CREATE VIEW archive AS SELECT * FROM "the models"')
    database.commit()
    database.close()
    assert picks(selected(ecosel, tmp_path / "m #1?.db")) == expected
    assert picks(selected(ecosel, tmp_path / "m #1?.db", "--table", "the models")) == expected


def test_a_database_is_read_while_another_process_writes(tmp_path: Path, ecosel: Callable[..., Any], expected: list[Any]) -> None:
    database = sqlite3.connect(tmp_path / "run.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE archive (name TEXT, accuracy, parameters, latency)")
    database.executemany("INSERT INTO archive VALUES (?, ?, ?, ?)", MODELS.rows())
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO archive VALUES ('not committed', 1.0, 0, 0)")
    assert picks(selected(ecosel, tmp_path / "run.db")) == expected
    database.close()


def test_a_pipe_that_can_be_read_only_once_gives_the_same_selection(
    tmp_path: Path, ecosel: Callable[..., Any], expected: list[Any]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(table()))
    writer.start()
    assert picks(selected(ecosel, tmp_path / "pipe")) == expected
    writer.join()


def test_several_files_become_one_archive_with_a_source(tmp_path: Path, ecosel: Callable[..., Any], expected: list[Any]) -> None:
    MODELS[:3].write_csv(tmp_path / "part1.csv")
    MODELS[3:].write_csv(tmp_path / "part2.csv")
    assert picks(selected(ecosel, tmp_path / "part*.csv")) == expected
    assert picks(selected(ecosel, tmp_path / "part1.csv", str(tmp_path / "part2.csv"))) == expected
    groups = selected(ecosel, tmp_path / "part*.csv", "--by", "source")["groups"]
    assert [Path(group["group"]["source"]).name for group in groups] == ["part1.csv", "part2.csv"]


def test_a_file_whose_name_looks_like_a_glob_is_read_as_it_is(
    tmp_path: Path, ecosel: Callable[..., Any], expected: list[Any]
) -> None:
    (tmp_path / "run[1].csv").write_bytes(table())
    assert picks(selected(ecosel, tmp_path / "run[1].csv")) == expected


def optuna_file(path: Path, *, names: bool = True) -> str:
    """Write MODELS as a study: trial 2 fails on its NaN, and a pruned trial and a second study stand beside."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = f"sqlite:///{path}"
    study = optuna.create_study(storage=url, study_name="models", directions=["maximize", "minimize", "minimize"])
    if names:
        study.set_metric_names(["accuracy", "parameters", "latency"])

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        trial.suggest_categorical("activation", ["relu", "tanh"])
        trial.suggest_int("layers", 1, 4)
        trial.set_user_attr("name", MODELS["name"][trial.number])
        return tuple(MODELS.row(trial.number)[1:])

    study.optimize(objective, n_trials=MODELS.height, catch=(ValueError,))
    optuna.create_study(storage=url, study_name="empty")
    return url


def test_an_optuna_study_gives_the_same_selection_by_trial_number(
    tmp_path: Path, ecosel: Callable[..., Any], expected: list[Any]
) -> None:
    url = optuna_file(tmp_path / "study.db")
    outcome = ecosel("select", tmp_path / "study.db", "--study", "models", "--format", "json")  # directions are the study's
    document = json.loads(outcome.out)
    assert picks(document) == expected
    assert document["archive"] == {
        "path": str(tmp_path / "study.db"), "rows": 8, "used": 7, "left_out": {"missing": 0, "filtered": 0, "unfinished": 1},
    }  # fmt: skip
    archive = open_archive([str(tmp_path / "study.db")], study="models")
    ours = archive.read(["params_activation", "params_layers", "user_attrs_name"])
    theirs = optuna.load_study(study_name="models", storage=url).trials_dataframe().query("state == 'COMPLETE'")
    assert ours[ROW].to_list() == theirs["number"].to_list()
    for column in ("params_activation", "params_layers", "user_attrs_name"):
        assert ours[column].to_list() == theirs[column].to_list()


def test_an_optuna_study_without_metric_names_has_optunas_own(tmp_path: Path) -> None:
    optuna_file(tmp_path / "study.db", names=False)
    archive = open_archive([str(tmp_path / "study.db")], study="models")
    assert [(o.column, o.sense) for o in archive.objectives] == [
        ("values_0", "max"),
        ("values_1", "min"),
        ("values_2", "min"),
    ]


def test_several_studies_ask_for_one(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    optuna_file(tmp_path / "study.db")
    outcome = ecosel("select", tmp_path / "study.db")
    assert (outcome.status, "name one with --study: models, empty" in outcome.err) == (1, True)
    assert "no study 'x'" in ecosel("select", tmp_path / "study.db", "--study", "x").err


def test_a_real_optuna_study_by_others_is_read(shared_archive: Callable[[str], Path], ecosel: Callable[..., Any]) -> None:
    path = shared_archive("optuna-stock-lstm.db")
    archive = open_archive([str(path)])
    assert [(o.column, o.sense) for o in archive.objectives] == [("MAE", "min"), ("RMSE", "min"), ("MAPE", "min")]
    assert archive.unfinished == 3
    theirs = optuna.load_study(study_name=None, storage=f"sqlite:///{path}").trials_dataframe().query("state == 'COMPLETE'")
    ours = archive.read(["MAE", "params_hidden_size"])
    assert ours[ROW].to_list() == theirs["number"].to_list()
    assert ours["MAE"].to_list() == theirs["values_MAE"].to_list()
    assert ours["params_hidden_size"].to_list() == theirs["params_hidden_size"].to_list()
    joint = json.loads(ecosel("select", path, "--format", "json").out)["groups"][0]["selections"][-1]
    best = optuna.load_study(study_name=None, storage=f"sqlite:///{path}").best_trials
    assert joint["front"] == [trial.number for trial in best]


@pytest.mark.parametrize(
    ("sample", "separator"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2\n", ";"),
        ("a\tb c,d\n1\t2\n", "\t"),
        ("a|b\n", "|"),
        ("a\n1\n", ","),
        ('"x;y;z",b\n1,2\n', ","),
        ("", ","),
    ],
)
def test_the_separator_is_the_one_that_splits_all_lines_alike(sample: str, separator: str) -> None:
    assert find_separator(sample) == separator


def test_nested_json_is_spread_over_columns(tmp_path: Path) -> None:
    (tmp_path / "n.json").write_text('[{"m": {"acc": 0.5, "deep": {"x": [1, 2]}}, "n": 1}, {"n": 2.5}]')
    frame = open_archive([str(tmp_path / "n.json")]).read(["m.acc", "m.deep.x", "n"])
    assert frame.to_dict(as_series=False) == {
        ROW: [0, 1],
        "m.acc": [0.5, None],
        "m.deep.x": ["[1, 2]", None],
        "n": [1.0, 2.5],
    }


def test_only_the_columns_asked_for_are_read(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(table())
    assert open_archive([str(tmp_path / "m.csv")]).read(["latency"]).columns == [ROW, "latency"]


@pytest.mark.parametrize("name", ["*", "^a.*$"])
def test_a_column_called_like_a_pattern_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(f"{name},acc,ms\nx,0.9,3\ny,0.8,1\n")
    archive = open_archive([str(tmp_path / "m.csv")])
    assert archive.read(["acc", "ms"]).height == 2
    with pytest.raises(ArchiveError, match="which is a pattern here; rename it"):
        archive.read([name, "acc"])
