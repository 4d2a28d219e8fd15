"""Find out what a file holds, by its content, and open it with the reader for that."""

from __future__ import annotations

import glob
import os
import sqlite3
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import BOUNDS, Bounds, size_of, unpacked_head
from ecosel.readers.databases import open_sqlite
from ecosel.readers.delimited import open_delimited
from ecosel.readers.documents import open_json, open_ray_results
from ecosel.readers.table import RESERVED, Archive, from_lazy

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_SAMPLE_BYTES = 1 << 16
# polars panics (no Exception to Python) on some damaged Parquet and Arrow files
_RAISED = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
# what the name of a file promises
_BY_SUFFIX = {
    ".csv": "text", ".tsv": "text", ".txt": "text", ".json": "JSON", ".ndjson": "JSON", ".jsonl": "JSON", ".parquet": "Parquet",
    ".pq": "Parquet", ".arrow": "Arrow", ".feather": "Arrow", ".ipc": "Arrow", ".db": "SQLite", ".sqlite": "SQLite",
    ".sqlite3": "SQLite",
}  # fmt: skip
_INSTEAD = {
    b"PK\x03\x04": "is a workbook or a zip file; save the sheet as CSV, or unpack the file first",
    b"\xd0\xcf\x11\xe0": "is an old Office file; save the sheet as CSV",
    b"\x89HDF": "is an HDF5 file; write the table as Parquet first, e.g. pandas.read_hdf(...).to_parquet(...)",
    b"\x93NUMPY": "is a NumPy array without column names; write it as CSV with a header",
    b"\x80\x02": "is a pickle, and reading one runs its code; write the table as Parquet or CSV in the program that made it",
    b"\x80\x04": "is a pickle, and reading one runs its code; write the table as Parquet or CSV in the program that made it",
    b"\x80\x05": "is a pickle, and reading one runs its code; write the table as Parquet or CSV in the program that made it",
}  # fmt: skip


def open_archive(
    paths: Sequence[str], /, *, table: str | None = None, study: str | None = None, bounds: Bounds = BOUNDS
) -> Archive:
    """Open files, globs, `-` (standard input) or a Ray Tune results folder as one archive.

    Several files must have the same columns; a column `source` then names the file of each row.
    table names a table or view of a database or the key of a JSON object; study an Optuna study or MLflow experiment.
    bounds says how much of a file is read; what is larger is refused.
    Raises ArchiveError when something is not there or cannot be read.
    """
    files = expand(paths)
    if files.count("-") > 1:
        raise ArchiveError("standard input can be read only once")
    archives = []
    for file in files:
        with _told_plainly("standard input" if file == "-" else file):
            archives.append(_open_one(file, table=table, study=study, bounds=bounds))
    return archives[0] if len(archives) == 1 else _stack(" ".join(paths), archives)


def expand(paths: Sequence[str], /) -> list[str]:
    """Return the files and folders that the paths and globs name."""
    return [file for path in paths for file in _matches(path)]


def _matches(path: str) -> list[str]:
    if path == "-" or Path(path).exists() or not glob.has_magic(path):
        return [path]
    found = sorted(glob.glob(path, recursive=True))
    if not found:
        raise ArchiveError(f"no file matches {path}")
    return found


@contextmanager
def _told_plainly(path: str) -> Iterator[None]:
    """Turn what libraries raise on a bad file into an ArchiveError of one line."""
    try:
        yield
    except (*_RAISED, sqlite3.Error, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        if isinstance(error, pl.exceptions.NoDataError):
            raise ArchiveError(f"{path} is empty") from error
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ArchiveError(f"cannot read {path}: {(reason.splitlines() or [type(error).__name__])[0]}") from error


def _open_one(path: str, *, table: str | None, study: str | None, bounds: Bounds) -> Archive:
    if path == "-" and sys.stdin is None:
        raise ArchiveError("standard input is closed")
    source: Path | bytes = sys.stdin.buffer.read() if path == "-" else Path(path)
    name = "standard input" if path == "-" else path
    if isinstance(source, Path):
        if not path or not source.exists():
            raise ArchiveError(f"there is no file {path or repr(path)}")
        if source.is_dir():
            return _open_folder(path, source)
        # a pipe can be read only once, and polars takes no name that is not UTF-8
        if not source.is_file() or path != os.fsencode(path).decode("utf-8", "replace"):
            source = source.read_bytes()
    head = source[:_SAMPLE_BYTES] if isinstance(source, bytes) else _head(source)
    if not head:
        raise ArchiveError(f"{name} is empty")
    compressed = head.startswith((_GZIP, _ZSTD))
    sample = unpacked_head(source, _SAMPLE_BYTES) if compressed else head
    holds = _kind(name, sample)
    _check_promise(name, source, holds)
    if compressed and holds not in ("text", "JSON"):
        raise ArchiveError(f"{name} is compressed {holds}; unpack it first")
    if table is not None and holds not in ("SQLite", "JSON"):
        raise ArchiveError(f"{name}: --table names a table of a database or a key of a JSON object; this is {holds}")
    if study is not None and holds != "SQLite":
        raise ArchiveError(f"{name}: --study names a study in a database; this is {holds}")
    if holds in ("text", "JSON"):
        bounds.check_text(name, source, compressed=compressed)
    archive = _open_as(holds, name, source, sample, compressed=compressed, table=table, study=study, bounds=bounds)
    bounds.check_columns(name, len(archive.columns))
    if not archive.columns:
        raise ArchiveError(f"{name} holds no column")

    reserved = [column for column in archive.columns if column.startswith(RESERVED)]
    if reserved:
        raise ArchiveError(
            f"{name}: column {reserved[0]!r}: names that begin with {RESERVED!r} are kept for ecosel itself; rename it"
        )

    def load(columns: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
        with _told_plainly(name):
            return archive.load(columns, labels)

    return Archive(name, archive.columns, load, archive.objectives, archive.row_numbers, archive.unfinished, archive.remarks)


def _open_as(
    holds: str,
    name: str,
    source: Path | bytes,
    sample: bytes,
    *,
    compressed: bool,
    table: str | None,
    study: str | None,
    bounds: Bounds,
) -> Archive:
    if holds == "Parquet":
        return _bounded(name, pl.scan_parquet(source, glob=False), source, bounds)
    if holds == "Arrow":
        if sample.startswith(b"ARROW1"):
            return _bounded(name, pl.scan_ipc(source, glob=False), source, bounds)
        return _bounded(name, pl.read_ipc_stream(source).lazy(), source, bounds)
    if holds == "SQLite":
        return open_sqlite(name, source, table=table, study=study, bounds=bounds)
    if holds == "JSON":
        text = _lines(source) if compressed else _decode(name, source if isinstance(source, bytes) else source.read_bytes())
        return open_json(name, text, table=table, bounds=bounds)
    if b"\r" in sample and b"\n" not in sample:
        raise ArchiveError(f"{name}: its lines end in a carriage return alone; convert it: tr '\\r' '\\n'")
    return open_delimited(name, source, _decode(name, sample, final=len(sample) < _SAMPLE_BYTES))


def _bounded(name: str, frame: pl.LazyFrame, source: Path | bytes, bounds: Bounds) -> Archive:
    """Return a columnar file as an archive; a few bytes in it can declare any number of equal cells."""
    archive = from_lazy(name, frame)

    def load(columns: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
        rows = frame.select(pl.len()).collect().item()
        bounds.check_frame(name, rows, len(columns), size_of(source))
        return archive.load(columns, labels)

    return Archive(name, archive.columns, load)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_SAMPLE_BYTES)


def _kind(name: str, head: bytes) -> str:
    if head.startswith(b"PAR1"):
        return "Parquet"
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "Arrow"
    if head.startswith(b"SQLite format 3\x00"):
        return "SQLite"
    for magic, instead in _INSTEAD.items():
        if head.startswith(magic):
            raise ArchiveError(f"{name} {instead}")
    if head[8:12] == b"DUCK":
        raise ArchiveError(f"{name} is a DuckDB database; write the table as Parquet first: COPY t TO 't.parquet'")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ArchiveError(f"{name} is UTF-16 text; convert it: iconv -f utf-16 -t utf-8")
    if b"\0" in head:
        raise ArchiveError(f"{name} is binary and of no kind that can be read (CSV, TSV, JSON, NDJSON, Parquet, Arrow, SQLite)")
    looks_json = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")
    return "JSON" if looks_json else "text"


def _check_promise(name: str, source: Path | bytes, holds: str) -> None:
    if isinstance(source, bytes):
        return
    promised = _BY_SUFFIX.get(source.suffix.lower(), holds)
    if promised != holds and source.suffix.lower() != ".txt":
        raise ArchiveError(f"{name}: the name promises {promised}, the content is {holds}; if that is meant, rename the file")


def _lines(source: Path | bytes) -> str:
    """Return a compressed text."""
    return "\n".join(pl.read_lines(source)["line"].fill_null(""))


def _decode(name: str, raw: bytes, *, final: bool = True) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not final and error.start > len(raw) - 4:  # the sample ends inside a character
            return raw[: error.start].decode("utf-8-sig")
        raise ArchiveError(f"{name} is not UTF-8 text (byte {error.start}); convert it, e.g. iconv -f latin1 -t utf-8") from error


def _open_folder(path: str, folder: Path) -> Archive:
    results = open_ray_results(path, folder)
    if results is not None:
        return results
    if (folder / "result.json").exists():
        raise ArchiveError(f"{path} is one trial of Ray Tune; name the folder of all trials, {folder.resolve().parent}")
    if (folder / "mlruns").is_dir():
        return _open_folder(str(folder / "mlruns"), folder / "mlruns")
    if list(folder.glob("*/meta.yaml")):
        migrate = f"mlflow migrate-filestore --source {path} --target sqlite:///mlflow.db"
        raise ArchiveError(f"{path} is an MLflow file store; move it into a database first: {migrate}")
    raise ArchiveError(f"{path} is a folder without Ray Tune results (*/result.json); name files, e.g. '{path}/*.csv'")


def _stack(path: str, archives: list[Archive]) -> Archive:
    first = archives[0]
    for other in archives[1:]:
        differing = sorted(set(first.columns) ^ set(other.columns))
        if differing:
            where = first.path if differing[0] in first.columns else other.path
            raise ArchiveError(f"{first.path} and {other.path} differ: column {differing[0]!r} stands only in {where}")
    # studies that differ in what is better state nothing together
    agreed = first.objectives if all(archive.objectives == first.objectives for archive in archives) else ()
    label = "source" if "source" not in first.columns else "source_file"

    def load(columns: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
        own = [column for column in columns if column != label] or list(first.columns[:1])
        frames = [archive.load(own, labels).with_columns(pl.lit(archive.path).alias(label)) for archive in archives]
        with _told_plainly(f"{path} as one archive"):
            return pl.concat(frames, how="vertical_relaxed").select(columns)

    return Archive(
        path, (*first.columns, label), load, agreed, None,
        sum(archive.unfinished for archive in archives), tuple(remark for archive in archives for remark in archive.remarks),
    )  # fmt: skip
