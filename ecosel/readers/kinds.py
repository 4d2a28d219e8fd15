"""Recognise a file by its first bytes, or state what to do if it cannot be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from ecosel.errors import ArchiveError

Kind = Literal["text", "JSON", "Parquet", "Arrow", "SQLite", "DuckDB", "workbook", "zip"]

# Bytes of a file that are examined.
SAMPLE_BYTES = 1 << 16
# Text is looked at until this number of lines is seen, but no further than this.
SAMPLE_LINES, WIDEST_BYTES = 4, 1 << 24
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# compression of text and JSON
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
# kinds by the ending of a file's name
BY_SUFFIX: dict[str, Kind] = {
    ".csv": "text", ".tsv": "text", ".txt": "text", ".md": "text", ".json": "JSON", ".ndjson": "JSON", ".jsonl": "JSON",
    ".parquet": "Parquet", ".pq": "Parquet", ".arrow": "Arrow", ".feather": "Arrow", ".ipc": "Arrow", ".db": "SQLite",
    ".sqlite": "SQLite", ".sqlite3": "SQLite", ".xlsx": "workbook", ".duckdb": "DuckDB", ".zip": "zip",
}  # fmt: skip
_DATABASES: tuple[Kind, ...] = ("SQLite", "DuckDB")
_PICKLE = "is a pickle, and reading one can run code; save the table as Parquet or CSV from the program that made it"
_INSTEAD = {
    b"\xd0\xcf\x11\xe0": "is an old Office file; save the sheet as .xlsx or CSV",
    b"\x89HDF": "is an HDF5 file; save the table as Parquet first, e.g. pandas.read_hdf(...).to_parquet(...)",
    b"\x93NUMPY": "is a NumPy array without column names; save it as CSV with a header",
    b"\x80\x02": _PICKLE, b"\x80\x03": _PICKLE, b"\x80\x04": _PICKLE, b"\x80\x05": _PICKLE,
    b"Rar!": "is a RAR file; unpack it first", b"7z\xbc\xaf": "is a 7-Zip file; unpack it first",
    b"%PDF": "is a PDF; save its table as CSV",
    b"\x0a\x16brain.Event": "is a TensorBoard log; save its scalars as CSV first",
}  # fmt: skip
# a line of a log: [2024-01-31 12:00:00], [12:00:00], [INFO]
_LOG = re.compile(rb"\[(\d{4}-\d\d-\d\d[ T]\d|\d\d:\d\d|(DEBUG|INFO|WARN|ERROR)\b)")


def kind_of(name: str, head: bytes, /) -> Kind:
    """Return the kind of a file from its first bytes, unpacked."""
    if head.startswith(b"PAR1"):
        return "Parquet"
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "Arrow"
    if head.startswith(b"SQLite format 3\x00"):
        return "SQLite"
    if head[8:12] == b"DUCK":
        return "DuckDB"
    if head.startswith(b"PK\x03\x04"):
        return "workbook" if b"[Content_Types].xml" in head or b"xl/" in head else "zip"
    for magic, instead in _INSTEAD.items():
        if head.startswith(magic):
            raise ArchiveError(f"{name} {instead}")
    if b"\0" in head:
        kinds = "CSV, TSV, JSON, NDJSON, Parquet, Arrow, SQLite, DuckDB, .xlsx"
        raise ArchiveError(f"{name} is a binary file of an unsupported kind (supported: {kinds})")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] in (b"{", b"[") and not _LOG.match(start):
        return "JSON"
    if start[:15].lower().startswith((b"<!doctype html", b"<html", b"<table", b"<div")):
        raise ArchiveError(f"{name} is a web page; save the table itself (on GitHub, the raw file)")
    if start.startswith(b"version https://git-lfs"):
        raise ArchiveError(f"{name} is a Git LFS pointer, not the file itself; fetch it: git lfs pull")
    if start.startswith((b"\\begin{", b"\\documentclass", b"<?xml")) or name.lower().endswith((".yaml", ".yml", ".tex")):
        written = {b"\\": "LaTeX", b"<": "XML"}.get(start[:1], "YAML")
        raise ArchiveError(f"{name} is {written}, which is not supported; save the table as CSV or JSON")
    return "text"


def check_promise(name: str, source: Path | bytes, holds: Kind, /) -> None:
    """Raise ArchiveError if the name of a file promises another kind."""
    if isinstance(source, bytes):
        return
    suffix = source.suffix.lower()
    promised = BY_SUFFIX.get(suffix, holds)
    if promised == holds or suffix == ".txt" or (promised in _DATABASES and holds in _DATABASES):
        return
    raise ArchiveError(f"{name}: the name promises {promised}, the content is {holds}; if that is intended, rename the file")
