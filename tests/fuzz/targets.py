"""The readers that meet strangers' files, each as a function from bytes to nothing: it may refuse them, and no more.

A target raises only what its package promises for a bad file (and ValueError, which the command line shows as wrong usage).
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zlib import crc32

import polars as pl

Target = Callable[[bytes], None]
_COLUMNS = 16
_FOLDER = Path(tempfile.mkdtemp(prefix="ecosel-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))


@contextmanager
def _file(name: str, content: bytes) -> Iterator[Path]:
    path = _FOLDER / f"{os.getpid()}-{name}"
    path.write_bytes(content)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Reading:
    """Read a file called `name` with the content given; `allowed` are the errors that refuse a bad file."""

    name: str
    read: Callable[[Path], Any]
    allowed: tuple[type[Exception], ...]

    def __call__(self, content: bytes) -> None:
        with _file(self.name, content) as path, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.read(path)
            except self.allowed:
                return


def _archive(name: str) -> Target:
    from ecosel.errors import ArchiveError
    from ecosel.readers import open_archive
    from ecosel.selection import select

    def read(path: Path) -> None:
        archive = open_archive([str(path)])
        frame = archive.read(archive.columns[:_COLUMNS])  # as a command does, which asks for those that it needs
        columns = frame.columns[1:]
        # the choice takes ten times as long as reading, and is of the cells alone: now and then is enough
        if len(columns) >= 2 and crc32(path.read_bytes()) % 16 == 0:
            select(frame, {columns[0]: "max", columns[1]: "min"}, labels=columns[2:3])

    return _Reading(name, read, (ArchiveError, ValueError))


def _streamed() -> Target:
    """Read a short document as if it were long, in pieces of a few bytes, and compare it with the same document read whole."""
    from ecosel.errors import ArchiveError
    from ecosel.readers import opening
    from ecosel.readers.bounds import BOUNDS
    from ecosel.readers.text import documents, streamed

    @contextmanager
    def small(source: bytes, *, compressed: bool) -> Iterator[Iterator[bytes]]:
        size = 1 + crc32(source) % 64
        yield (source[at : at + size] for at in range(0, len(source), size))

    def read(path: Path) -> None:
        content = path.read_bytes()
        with patch.object(streamed, "_AT_ONCE", 2), patch.object(streamed, "pieces_of", small):
            archive = streamed.open_streamed("models", content, length=len(content), compressed=False, bounds=BOUNDS)
            if archive is None:
                return
            found = archive.load(archive.columns[:_COLUMNS], ())
        try:
            text = opening._decode("models", content)
            whole = documents.open_json("models", text, table=None, study=None, bounds=BOUNDS)
        except ArchiveError:  # a line that holds several records, or half of one
            return
        check_same(found, whole.load(archive.columns[:_COLUMNS], ()))
        assert archive.columns == whole.columns

    return _Reading("models.json", read, (ArchiveError, ValueError))


def _pipe() -> Target:
    """Read what comes through a pipe, and compare it with the same content in a file."""
    from ecosel.errors import ArchiveError
    from ecosel.readers import open_archive

    def frame(path: str) -> pl.DataFrame:
        archive = open_archive([path])
        return archive.read(archive.columns[:_COLUMNS])

    def read(path: Path) -> None:
        content = path.read_bytes()
        if content.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")):  # on which polars may abort
            return
        came = _through_pipe(content, frame)
        try:
            stood = frame(str(path))
        except ArchiveError as error:
            if "invalid gzip header" in str(error):  # polars takes the zeros that may follow a member for another one
                return
            raise AssertionError(f"refused in a file only: {error}") from error
        check_same(came, stood)

    return _Reading("models", read, (ArchiveError, ValueError))


def _through_pipe(content: bytes, read: Callable[[str], Any]) -> Any:
    reading, writing = os.pipe()
    try:
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, max(4096, len(content)))
        os.write(writing, content)
        os.close(writing)
        return read(f"/dev/fd/{reading}")
    finally:
        os.close(reading)


def check_same(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    assert found.schema == expected.schema, f"{found.schema} differs from {expected.schema}"
    assert found.equals(expected), f"{found} differs from {expected}"


def _duckdb() -> Target:
    from tests.fuzz.database import readable, run_here

    read = _archive("models.duckdb")

    def one(content: bytes) -> None:
        with run_here():
            read(readable(content))

    return one


def _model(name: str) -> Target:
    from profilers.errors import ModelError
    from profilers.models.opening import open_model

    return _Reading(name, lambda path: open_model(str(path), factory="torch.nn:Identity"), (ModelError, ValueError))


def _onnx() -> Target:
    from profilers.errors import ProfilerError
    from profilers.models.onnx.checking import check_file
    from profilers.models.onnx.flops import count_flops
    from profilers.models.onnx.graph import Constants
    from profilers.models.onnx.parameters import count_parameters, left_out
    from profilers.models.onnx.precision import precision_of
    from profilers.models.onnx.shapes import inputs_of, shapes_of

    def read(path: Path) -> None:
        model = check_file(path)
        constants = Constants(model)
        for look in (count_parameters, left_out, precision_of):
            look(model, constants)
        shapes = {one.name: tuple(2 if isinstance(size, str) else size for size in one.sizes) for one in inputs_of(model)}
        count_flops(model, shapes_of(model, shapes))

    return _Reading("model.onnx", read, (ProfilerError, ValueError))


def _trace() -> Target:
    from profilers.energy.sampling.trace import read_trace
    from profilers.errors import ProfilerError

    return _Reading("run.parquet", read_trace, (ProfilerError, ValueError))


def _replay() -> Target:
    from profilers.errors import ProfilerError
    from profilers.meters import find_meter

    return _Reading("power.csv", lambda path: find_meter(f"replay:{path}", "cpu"), (ProfilerError, ValueError))


def _log() -> Target:
    from profilers.errors import ProfilerError
    from profilers.logs.power_log import read_log

    return _Reading("power.csv", read_log, (ProfilerError,))


def _arrays() -> Target:
    from profilers.datasets import load_dataset
    from profilers.errors import DataError

    return _Reading("images.npz", lambda path: load_dataset(str(path)), (DataError, ValueError))


def _images() -> Target:
    from profilers.datasets import load_dataset
    from profilers.errors import DataError

    return _Reading("images.parquet", lambda path: load_dataset(str(path)), (DataError, ValueError))


def _genome() -> Target:
    from evolver.architectures.genome import Genome
    from evolver.errors import EvolverError

    def read(content: bytes) -> None:
        with suppress(EvolverError, ValueError):
            Genome.from_json(content.decode("utf-8", "replace"))

    return read


def _start() -> Target:
    from evolver.candidates import genomes
    from evolver.errors import EvolverError

    return _Reading("start.db", lambda path: genomes(path, 10), (EvolverError, ValueError))


# name: (what makes the target, the files of this checkout and of ../shared that its corpus begins with)
TARGETS: dict[str, tuple[Callable[[], Target], tuple[str, ...]]] = {
    "csv": (lambda: _archive("models.csv"), ("data/*.csv",)),
    "json": (lambda: _archive("models.json"), ("../shared/archives/*.json",)),
    "sqlite": (lambda: _archive("models.db"), ("../shared/archives/*.db",)),
    "parquet": (lambda: _archive("models.parquet"), ()),
    "gzip": (lambda: _archive("models.csv.gz"), ()),
    "model": (lambda: _model("model.pt"), ()),
    "safetensors": (lambda: _model("model.safetensors"), ()),
    "onnx": (_onnx, ()),
    "trace": (_trace, ()),
    "replay": (_replay, ()),
    "images": (_images, ()),
    "log": (_log, ("../shared/traces/*.csv",)),
    "arrays": (_arrays, ()),
    "workbook": (lambda: _archive("models.xlsx"), ()),
    "optuna": (lambda: _archive("study.db"), ()),
    "journal": (lambda: _archive("journal.log"), ()),
    "mlflow": (lambda: _archive("mlflow.db"), ()),
    "streamed": (_streamed, ("../shared/archives/*.json",)),
    "pipe": (_pipe, ("data/*.csv",)),
    "duckdb": (_duckdb, ()),
    "genome": (_genome, ()),
    "start": (_start, ()),
}

# polars aborts the process on some damaged Parquet; the command line turns that into one line
ABORTING = {"parquet", "trace", "images", "duckdb"}
COMMANDS = {
    "parquet": ("models.parquet", ("select", "{file}", "--maximize", "accuracy", "--minimize", "ms")),
    "trace": ("run.parquet", ("profile", "--verify", "{file}")),
    "log": ("power.csv", ("energy", "{file}", "--start", "0", "--end", "1")),
}
