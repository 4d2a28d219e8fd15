"""Small valid files of every kind that a target reads: what fuzzing begins with, made here with the real libraries."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

_ROWS = {"model": ["a", "b", "c"], "accuracy": [0.9, 0.8, None], "ms": [50.0, 3.0, 1.5], "n": [10, 20, 30]}


def seeds(target: str) -> list[bytes]:
    """Return the contents of the valid files for a target, none where there are none of its own."""
    return list(_SEEDS.get(target, list)())


def _csv() -> Iterator[bytes]:
    yield b"model,accuracy,ms\na,0.9,50\nb,0.8,3\n"
    yield b'model;accuracy;ms\n"a;b";0,9;1.200\nb;0,8;3\n'
    yield "\ufeffmodel\taccuracy\tms\na\t90 %\t1 234,5\nb\t-\tN/A\n".encode()
    yield b"sep=;\nmodel;acc\na;1\n"
    yield b"# made by hand\nmodel|acc|ms\na|0.9|12.3 ms\nb|0.8|1.2 s\n"


def _json() -> Iterator[bytes]:
    records = [{"model": "a", "acc": 0.9, "cost": {"ms": 3, "j": None}}, {"model": "b", "acc": 0.8, "cost": {"ms": 1, "j": 2.5}}]
    yield json.dumps(records).encode()
    yield "\n".join(map(json.dumps, records)).encode()
    yield json.dumps({"results": records, "date": "2026-11-25"}).encode()
    yield json.dumps({"columns": ["acc", "ms"], "index": [0, 1], "data": [[1, 2], [3, 4]]}).encode()
    yield json.dumps({"a": {"acc": 1, "ms": 2}, "b": {"acc": NAN, "ms": 3}}).encode()


NAN = float("nan")


def _written(write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write(path)
        return path.read_bytes()


def _database(script: str) -> bytes:
    def write(path: Path) -> None:
        database = sqlite3.connect(path)
        database.executescript(f"PRAGMA page_size = 512; {script}")
        database.close()

    return _written(write)


def _sqlite() -> Iterator[bytes]:
    yield _database("create table models (model text, acc real, ms real); insert into models values ('a', 0.9, 3), ('b', 0.8, 1)")
    yield _database("create table archive (candidate_id text, status text, accuracy real, parameters integer);"
                    "insert into archive values ('1', 'ok', 0.9, 10), ('2', 'nan', null, 20)")  # fmt: skip
    yield _database(
        "create view archive as with recursive t(n) as (select 1 union all select n + 1 from t limit 9) select n, n * 2 m from t"
    )


def _parquet() -> Iterator[bytes]:
    for frame, how in (
        (pl.DataFrame(_ROWS), {}),
        (pl.DataFrame(_ROWS), {"compression": "uncompressed", "statistics": False, "row_group_size": 2}),
        (
            pl.DataFrame({"acc": [0.5, 0.7], "ms": [True, None], "tags": [["a"], []], "of": [{"x": 1}, None]}),
            {"use_pyarrow": True},
        ),
    ):
        buffer = io.BytesIO()
        frame.write_parquet(buffer, **how)
        yield buffer.getvalue()


def _gzip() -> Iterator[bytes]:
    yield from (gzip.compress(text) for text in _csv())


def _model() -> Iterator[bytes]:
    import torch

    buffer = io.BytesIO()
    torch.save({"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}, buffer)
    yield buffer.getvalue()
    buffer = io.BytesIO()
    torch.save({"state_dict": {"module.weight": torch.zeros(2, 3)}}, buffer, _use_new_zipfile_serialization=False)
    yield buffer.getvalue()


def _safetensors() -> Iterator[bytes]:
    from safetensors.numpy import save

    yield save({"weight": np.zeros((2, 3), np.float32), "bias": np.zeros(2, np.float32)})


def _trace() -> Iterator[bytes]:
    def frame(columns: dict[str, list[float]]) -> bytes:
        buffer = io.BytesIO()
        pl.DataFrame(columns).write_parquet(buffer)
        return buffer.getvalue()

    yield frame({"time_s": [0.0, 0.1, 0.2], "power_w": [10.0, 11.0, 12.0]})


def _replay() -> Iterator[bytes]:
    yield b"time_s,power_w\n0,10\n0.1,11\n0.2,12\n"


def _images() -> Iterator[bytes]:
    from PIL import Image

    picture = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(picture, "PNG")
    cells = [{"bytes": picture.getvalue(), "path": None}] * 6
    buffer = io.BytesIO()
    pl.DataFrame({"image": cells, "label": [0, 1, 0, 1, 0, 1]}).write_parquet(buffer)
    yield buffer.getvalue()


def _log() -> Iterator[bytes]:
    yield b"timestamp, name, power.draw.instant [W]\n" + b"".join(
        b"2026/01/02 10:00:0%d.000, A, %d.5 W\n" % (k, 50 + k) for k in range(9)
    )
    yield b"time_s,power_w\n0,10\n0.1,11\n0.2,12\n"  # not a trace: polars aborts on some damaged ones, which `trace` tries


def _arrays() -> Iterator[bytes]:
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, images=np.zeros((6, 4, 4), np.uint8), labels=np.array([0, 1] * 3))
        yield buffer.getvalue()


def _workbook() -> Iterator[bytes]:
    from openpyxl import Workbook

    book = Workbook()
    for row in (["model", "accuracy", "ms"], ["a", 0.9, 3], ["b", 0.8, None]):
        book.active.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    yield buffer.getvalue()


def _optuna() -> Iterator[bytes]:
    def write(path: Path) -> None:
        _study(f"sqlite:///{path}")
        database = sqlite3.connect(path)
        for (name,) in database.execute("select name from sqlite_master where type = 'index' and sql is not null").fetchall():
            database.execute(f"drop index {name}")
        database.executescript("pragma page_size = 512; vacuum")
        database.close()

    yield _written(write)


def _study(storage: object) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage, study_name="s", directions=["maximize", "minimize"])  # type: ignore[arg-type]
    study.set_metric_names(["acc", "ms"])
    for k in range(3):
        trial = study.ask({"lr": optuna.distributions.FloatDistribution(0.1, 1), "n": optuna.distributions.IntDistribution(1, 9)})
        trial.set_user_attr("note", k)
        study.tell(trial, [0.5 + 0.1 * k, 3.0 - k] if k else None, state=None if k else optuna.trial.TrialState.FAIL)


def _journal() -> Iterator[bytes]:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    yield _written(lambda path: _study(JournalStorage(JournalFileBackend(str(path)))))


def _mlflow() -> Iterator[bytes]:
    # the tables that are read, as MLflow makes them; its own hundred tables would be half a megabyte
    yield _database("""
        create table experiments (experiment_id integer primary key, name varchar(256) unique not null);
        create table runs (run_uuid varchar(32) primary key, name varchar(250), status varchar(9), start_time bigint,
            lifecycle_stage varchar(20), experiment_id integer);
        create table latest_metrics (key varchar(250), value float not null, timestamp bigint, step bigint, is_nan boolean,
            run_uuid varchar(32), primary key (key, run_uuid));
        create table params (key varchar(250), value varchar(8000), run_uuid varchar(32), primary key (key, run_uuid));
        insert into experiments values (0, 'Default');
        insert into runs values ('a1', 'one', 'FINISHED', 1, 'active', 0), ('b2', 'two', 'FAILED', 2, 'active', 0);
        insert into latest_metrics values ('acc', 0.9, 1, 1, 0, 'a1'), ('ms', 3, 1, 1, 0, 'a1'), ('acc', 0, 1, 1, 1, 'b2');
        insert into params values ('lr', '0.1', 'a1'), ('lr', '0.2', 'b2');""")


def _streamed() -> Iterator[bytes]:
    records = [{"model": f"m{k}", "acc": [0.9, 1, None, True, "x"][k % 5], "cost": {"ms": k, "j": [k]}} for k in range(7)]
    yield json.dumps(records).encode()
    yield json.dumps(records, indent=1).encode()
    yield "\n".join(map(json.dumps, records)).encode()
    yield "\r\n".join(json.dumps({"model": "ä\n}", "ms": 2**k, "é": 1e300}, ensure_ascii=False) for k in range(60, 66)).encode()


def _pipe() -> Iterator[bytes]:
    yield from _csv()
    yield from _json()
    text = next(_csv())
    yield from (gzip.compress(text), bz2.compress(text), lzma.compress(text), "a,b\n1,é\n".encode("utf-16"))
    yield next(_sqlite())
    yield next(_workbook())


def _duckdb() -> Iterator[bytes]:
    import duckdb

    def made(script: str) -> bytes:
        def write(path: Path) -> None:
            with duckdb.connect() as database:
                database.execute(f"attach '{path}' as d (block_size 16384); use d; {script}; use memory; detach d")

        return _written(write)

    yield made("create table models as from (values ('a', 0.9, 3), ('b', 0.8, 1)) t(model, accuracy, ms)")
    kinds = "range n, range / 7 x, 'm' || range % 5 model, [range] l, {'a': range} s, date '2026-01-01' d, 1.5::decimal(9, 2) c"
    yield made(f"create table models as select {kinds}, uuid() u, 'null'::json j from range(200)")
    yield made("create view models as select range n, 1.0 / (range + 1) x from range(9) where range % 2 = 0")
    yield made("create table models (model varchar primary key, ms double check (ms > 0)); insert into models values ('a', 3)")


def _genomes() -> Iterator[bytes]:
    from evolver.architectures.space import Space
    from evolver.architectures.variation import random_genome

    rng = np.random.default_rng(0)
    yield from (random_genome(Space((1, 8, 8), 10), rng).to_json().encode() for _ in range(3))


def _start() -> Iterator[bytes]:
    yield from _genomes()
    yield _database("create table archive (genome text, status text, accuracy real, birth integer);"
                    "insert into archive values ('{}', 'ok', 0.9, 1)")  # fmt: skip


def _onnx() -> Iterator[bytes]:
    from tests.profilers.models.onnx import files

    yield files.network().SerializeToString()
    weights = [files.tensor("w", 6, 4, 3, 3, dtype="int8"), files.values("s", [0.5], "float32"), files.values("z", [0], "int8")]
    nodes = [files.node("DequantizeLinear", "w s z", "v"), files.node("Conv", "x v", "y")]
    yield files.model(nodes, weights, {"x": ["b", 4, 8, 8]}).SerializeToString()


_SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "csv": _csv, "json": _json, "sqlite": _sqlite, "parquet": _parquet, "gzip": _gzip, "model": _model,
    "safetensors": _safetensors, "trace": _trace, "replay": _replay, "images": _images, "genome": _genomes, "start": _start,
    "log": _log, "optuna": _optuna, "journal": _journal, "mlflow": _mlflow, "arrays": _arrays, "workbook": _workbook, "onnx": _onnx,
    "streamed": _streamed, "pipe": _pipe, "duckdb": _duckdb,
}  # fmt: skip
