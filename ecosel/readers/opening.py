"""Open a path with the reader for its content: files, folders of tools, standard input."""

from __future__ import annotations

import glob
import os
import re
import sqlite3
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import BOUNDS, Bounds, size_of
from ecosel.readers.cells.numerals import Mark, with_points
from ecosel.readers.derived.combining import stack
from ecosel.readers.kinds import PACKED, SAMPLE_BYTES, SAMPLE_LINES, UTF_16, WIDEST_BYTES, Kind, check_promise, kind_of
from ecosel.readers.packing import unpacked, unpacked_head
from ecosel.readers.pipes import drained, opened_pipe
from ecosel.readers.stores.columnar import Columnar, open_columnar
from ecosel.readers.stores.sqlite import open_sqlite
from ecosel.readers.stores.zipped import unzipped
from ecosel.readers.table import RESERVED, Archive, without_blanks
from ecosel.readers.text.aligned import is_aligned, is_markdown, open_markdown, with_tabs
from ecosel.readers.text.delimited import open_delimited
from ecosel.readers.text.documents import open_json
from ecosel.readers.text.printed import refuse_log, with_bars
from ecosel.readers.text.streamed import measured, open_streamed
from ecosel.readers.tools.folders import open_folder
from ecosel.readers.tools.wandb import spread_dicts

# Larger JSON is read record by record, if it consists of records.
_LARGE = 2_000_000
# polars panics (which is not an Exception in Python) on some damaged Parquet and Arrow files
_RAISED = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


@dataclass(frozen=True)
class _Asked:
    """The caller's statements about the files."""

    table: str | None
    study: str | None
    decimal: Mark | None
    bounds: Bounds
    names: Sequence[str]


def open_archive(
    paths: Sequence[str], /, *, table: str | None = None, study: str | None = None, decimal: Mark | None = None,
    bounds: Bounds = BOUNDS, names: Sequence[str] = (),
) -> Archive:  # fmt: skip
    """Open files, globs, `-` (standard input) or a folder of a tool as one archive.

    Several files are concatenated; then a column `source` names the file of each row.
    table names a table or view of a database, the sheet of a workbook or the key of a JSON object; study an Optuna study or
    MLflow experiment; decimal is the decimal mark of ambiguous text.
    bounds limits the size of a file; a larger one is refused. names are the wanted columns, which show whether
    the objects of a JSON document are its rows or its columns.
    Raises ArchiveError if something does not exist or cannot be read.
    """
    files = expand(paths)
    if files.count("-") > 1:
        raise ArchiveError("standard input can be read only once")
    archives = []
    for file in files:
        with one_line_errors("standard input" if file == "-" else file):
            archives.append(_open_one(file, _Asked(table, study, decimal, bounds, names)))
    return archives[0] if len(archives) == 1 else stack(" ".join(paths), archives)


def expand(paths: Sequence[str], /) -> list[str]:
    """Return the files and folders that the paths and globs name."""
    return [file for path in paths for file in _matches(_local(path))]


def _local(path: str) -> str:
    """Return the file of a database URL, as libraries write it; refuse URLs of other machines."""
    database = re.match(r"(sqlite|duckdb)(\+\w+)?:///", path)
    if database:
        return path[database.end() :].partition("?")[0]
    scheme = re.match(r"([a-z][a-z0-9+.-]+)://", path)
    if scheme is None or Path(path).exists():
        return path
    if scheme[1] == "file":
        return path.removeprefix("file://")
    if scheme[1].startswith(("http", "ftp", "s3", "gs", "hf")):
        raise ArchiveError(f"{path} is not on this machine; download it first")
    raise ArchiveError(f"{path} is a database server; copy the study or table into a file first")


def _matches(path: str) -> list[str]:
    if path == "-" or Path(path).exists() or not glob.has_magic(path):
        return [path]
    found = sorted(glob.glob(path, recursive=True))
    if not found:
        raise ArchiveError(f"no file matches {path}")
    return found


@contextmanager
def one_line_errors(path: str) -> Iterator[None]:
    """Turn library errors on a bad file into a one-line ArchiveError."""
    try:
        yield
    except (*_RAISED, sqlite3.Error, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        if isinstance(error, pl.exceptions.NoDataError):
            raise ArchiveError(f"{path} is empty") from error
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ArchiveError(f"cannot read {path}: {(reason.splitlines() or [type(error).__name__])[0]}") from error
    except MemoryError as error:  # SQLite also reports this for a damaged file
        raise ArchiveError(f"cannot read {path}: it is damaged, or needs more memory than there is") from error
    except Exception as error:
        # lzma has its own error class, and is imported only when needed
        if type(error).__name__ not in ("LZMAError", "ZstdError"):
            raise
        raise ArchiveError(f"cannot read {path}: {error}") from error


def _open_one(path: str, asked: _Asked) -> Archive:
    name = "standard input" if path == "-" else path
    if path not in ("-", "") and Path(path).is_dir():
        return _finished(open_folder(path, Path(path), study=asked.study, bounds=asked.bounds), name, asked, is_text=False)
    source = _source_of(path, name, asked.bounds)
    head = _head(source)
    if head.startswith(b"PK\x03\x04") and kind_of(name, head) == "zip":
        check_promise(name, source, "zip")
        source, asked = unzipped(name, source, table=asked.table, bounds=asked.bounds), replace(asked, table=None)
        head = source[:SAMPLE_BYTES]
    if head.startswith(UTF_16):
        source = _from_utf_16(name, source, asked.bounds)
        head = source[:SAMPLE_BYTES]
    if not head:
        raise ArchiveError(f"{name} is empty")
    packed = next((by for magic, by in PACKED.items() if head.startswith(magic)), None)
    sample = unpacked_head(source, SAMPLE_BYTES) if packed else head
    holds = kind_of(name, sample)
    check_promise(name, source, holds)
    _check_asked(name, holds, asked, sample, packed=bool(packed))
    if holds in ("text", "JSON"):
        asked.bounds.check_text(name, source, compressed=bool(packed))
    if packed in ("bzip2", "xz"):  # which polars does not read
        source, packed = unpacked(source), None
    archive = _open_as(holds, name, source, sample, packed=bool(packed), asked=asked)
    return _finished(archive, name, asked, is_text=holds == "text")


def _source_of(path: str, name: str, bounds: Bounds) -> Path | bytes:
    """Return the path of a file that polars can open by name, or else its content."""
    if path == "-" and sys.stdin is None:
        raise ArchiveError("standard input is closed")
    if path == "-":
        return drained(name, sys.stdin.buffer, bounds)
    source = Path(path)
    if not path or not source.exists():
        raise ArchiveError(f"there is no file {path or repr(path)}")
    if not source.is_file():  # a pipe, which can be read only once
        with opened_pipe(name, source, seconds=bounds.seconds) as stream:
            return drained(name, stream, bounds)
    # polars accepts only names in UTF-8
    return source if path == os.fsencode(path).decode("utf-8", "replace") else source.read_bytes()


def _from_utf_16(name: str, source: Path | bytes, bounds: Bounds) -> bytes:
    if size_of(source) > bounds.max_size:
        bounds.refuse(name, "it is large UTF-16 text")
    try:
        return (source if isinstance(source, bytes) else source.read_bytes()).decode("utf-16").encode()
    except UnicodeDecodeError as error:
        raise ArchiveError(f"{name} begins as UTF-16 text and is none (byte {error.start})") from error


def _check_asked(name: str, holds: Kind, asked: _Asked, sample: bytes, *, packed: bool) -> None:
    if packed and holds not in ("text", "JSON"):
        raise ArchiveError(f"{name} is compressed {holds}; unpack it first")
    if asked.table is not None and holds in ("text", "Parquet", "Arrow"):
        raise ArchiveError(
            f"{name}: --table names a table of a database, a sheet of a workbook or a key of a JSON object; this is {holds}"
        )
    if asked.study is not None and holds != "SQLite" and not (holds == "JSON" and b'"op_code"' in sample):
        raise ArchiveError(f"{name}: --study names a study in a database; this is {holds}")


def _finished(archive: Archive, name: str, asked: _Asked, *, is_text: bool) -> Archive:
    """Check the names of an opened archive, and wrap its reading so that errors take one line."""
    archive = without_blanks(archive)
    asked.bounds.check_columns(name, len(archive.columns))
    if not archive.columns and archive.unfinished:
        raise ArchiveError(f"no row is left to choose from: no trial of {name} is complete: {'; '.join(archive.remarks)}")
    if not archive.columns:
        raise ArchiveError(f"{name} has no columns")
    reserved = [column for column in archive.columns if column.startswith(RESERVED)]
    if reserved:
        raise ArchiveError(
            f"{name}: column {reserved[0]!r}: names that begin with {RESERVED!r} are reserved for ecosel; rename it"
        )

    def load(columns: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
        with one_line_errors(name):
            frame = archive.load(columns, labels)
        if asked.decimal is None or is_text:
            return frame
        texts = [c for c, dtype in frame.schema.items() if dtype == pl.String and c not in labels]
        return frame.with_columns(with_points(frame[c], asked.decimal, forced=True) for c in texts)

    return replace(archive, path=name, load=load)


def _open_as(holds: Kind, name: str, source: Path | bytes, sample: bytes, *, packed: bool, asked: _Asked) -> Archive:
    if holds in ("Parquet", "Arrow"):
        kind: Columnar = "Arrow stream" if holds == "Arrow" and not sample.startswith(b"ARROW1") else holds
        return open_columnar(name, source, kind, bounds=asked.bounds)
    if holds == "SQLite":
        return open_sqlite(name, source, table=asked.table, study=asked.study, bounds=asked.bounds)
    if holds == "DuckDB":
        from ecosel.readers.stores.duckdb import open_duckdb

        return open_duckdb(name, source, table=asked.table, bounds=asked.bounds)
    if holds == "workbook":
        from ecosel.readers.stores.workbook import open_workbook

        return open_workbook(name, source, table=asked.table, bounds=asked.bounds)
    if holds == "JSON":
        length, values, listed = measured(source, compressed=packed)
        is_long = length > _LARGE and asked.table is None
        if is_long and (streamed := open_streamed(name, source, length=length, compressed=packed, bounds=asked.bounds)):
            return streamed
        asked.bounds.check_values(name, values, length, listed=listed)
        text = _whole(name, source, packed=packed)
        return open_json(name, text, table=asked.table, study=asked.study, bounds=asked.bounds, names=asked.names)
    if b"\r" in sample and b"\n" not in sample:
        raise ArchiveError(f"{name}: its lines end in bare carriage returns; convert it: tr '\\r' '\\n'")
    sample, is_whole = _with_rows(source, sample, packed=packed)
    text = _decode(name, sample, final=is_whole)
    refuse_log(name, text)
    is_drawn = not is_markdown(text) and is_markdown(with_bars(text))
    is_shown = is_drawn or is_markdown(text)
    if is_shown or is_aligned(name, text, is_whole=is_whole):
        whole = _whole(name, source, packed=packed)
        if is_shown:
            return open_markdown(name, with_bars(whole) if is_drawn else whole, bounds=asked.bounds)
        tabs = with_tabs(name, whole)
        source, text = tabs.encode(), tabs[: len(sample)]
    archive = open_delimited(name, source, text, decimal=asked.decimal, bounds=asked.bounds)
    return spread_dicts(archive, bounds=asked.bounds, size=size_of(source)) if "{" in text else archive


def _head(source: Path | bytes, size: int = SAMPLE_BYTES) -> bytes:
    if isinstance(source, bytes):
        return source[:size]
    with source.open("rb") as file:
        return file.read(size)


def _with_rows(source: Path | bytes, sample: bytes, *, packed: bool) -> tuple[bytes, bool]:
    """Return a sample that holds the header and a few rows even of a very wide table, and whether it is the whole text."""
    size = SAMPLE_BYTES
    while len(sample) >= size and size < WIDEST_BYTES and sample.count(b"\n") < SAMPLE_LINES:
        size *= 8
        sample = unpacked_head(source, size) if packed else _head(source, size)
    return sample, len(sample) < size


def _whole(name: str, source: Path | bytes, *, packed: bool) -> str:
    if packed:
        return _decode(name, unpacked(source))
    return _decode(name, source if isinstance(source, bytes) else source.read_bytes())


def _decode(name: str, raw: bytes, *, final: bool = True) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not final and error.start > len(raw) - 4:  # the sample ends inside a character
            return raw[: error.start].decode("utf-8-sig")
        raise ArchiveError(f"{name} is not UTF-8 text (byte {error.start}); convert it, e.g. iconv -f latin1 -t utf-8") from error
