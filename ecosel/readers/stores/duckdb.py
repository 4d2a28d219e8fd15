"""Turn a table of a DuckDB database into a frame."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import polars as pl

from ecosel.errors import ArchiveError
from ecosel.readers.bounds import Bounds, said, size_of
from ecosel.readers.patience import Patience
from ecosel.readers.table import Archive, listed

if TYPE_CHECKING:
    import pyarrow as pa

_CHILD = Path(__file__).with_name("duckdb_child.py")
# Lists and structures are neither measures nor names, and may have any length.
_NESTED = re.compile(r"\]$|^(STRUCT|MAP|UNION)\(")

# Two to three times as fast as information_schema.tables.
_TABLES = """
SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND NOT internal
UNION ALL SELECT view_name FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal ORDER BY 1
"""


def open_duckdb(path: str, source: Path | bytes, *, table: str | None, bounds: Bounds) -> Archive:
    """Read one table or view, which cannot access other files."""
    if missing := [name for name in ("duckdb", "pyarrow") if not find_spec(name)]:
        raise ArchiveError(
            f"{path} is a DuckDB database, which needs {' and '.join(missing)}: pip install 'ecosel[duckdb]';"
            " or write the table as Parquet: COPY t TO 't.parquet'"
        )
    if isinstance(source, bytes):
        raise ArchiveError(f"{path}: a DuckDB database cannot be read from a pipe; name its file")
    database = _Database(path, source, bounds, Patience(path, size_of(source), bounds))
    chosen = _name(_table(path, database, table))
    named = database.run(f"DESCRIBE {chosen}").select("column_name", "column_type").iter_rows()
    columns = tuple(name for name, kind in named if not _NESTED.search(kind))

    def load(wanted: Sequence[str], _: Sequence[str]) -> pl.DataFrame:
        frame = database.run(f"SELECT {', '.join(map(_name, wanted))} FROM {chosen}", counted=chosen)
        frame.columns = list(wanted)  # Arrow ends a name at a zero byte
        return frame.with_columns(pl.col(pl.Decimal).cast(pl.Float64))

    return Archive(path, columns, load)


@dataclass(frozen=True)
class _Database:
    """A stranger's database: its views may read no file, load no extension, and use bounded time and memory."""

    path: str
    file: Path
    bounds: Bounds
    patience: Patience
    """Of all its queries together."""

    @property
    def _most(self) -> int:
        """Largest number of bytes of the rows of a query."""
        return self.bounds.max_size // 10 + 2 * size_of(self.file)

    def run(self, sql: str, /, *, counted: str = "") -> pl.DataFrame:
        """Return the rows of a query; first refuse a table, if one is named, of too many rows."""
        is_late, asked = threading.Event(), self.request(sql, counted)
        command = [sys.executable, "-P", str(_CHILD)]
        with (
            self.patience.spent(),
            tempfile.TemporaryFile() as words,
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words) as child,
        ):
            watch = threading.Timer(self.patience.left, _end, (child, is_late))
            watch.start()
            try:
                frame = self._rows(child, json.dumps(asked).encode())
            except BaseException:
                child.kill()
                raise
            finally:
                child.wait()
                watch.cancel()
            if is_late.is_set():
                self.patience.refuse("a query of it (a view?)")
            words.seek(0)
            if child.returncode:
                self._explain(child.returncode, words.read().decode("utf-8", "replace").strip().rpartition("\n")[2])
        return frame

    def request(self, sql: str, counted: str) -> dict[str, str | int]:
        """Return what the child process reads."""
        return {"file": str(self.file.absolute()), "sql": sql, "counted": counted, "rows": self.bounds.rows,
                "memory": self.bounds.max_size // 20 + 2 * size_of(self.file) + 20_000_000}  # fmt: skip

    def _rows(self, child: subprocess.Popen[bytes], asked: bytes) -> pl.DataFrame:
        import pyarrow as pa

        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(asked)
            child.stdin.close()
            return self.frame(pa.ipc.open_stream(child.stdout))
        except (OSError, pa.ArrowInvalid) as error:  # it ended early
            child.stdout.close()
            if child.wait():
                return pl.DataFrame()
            raise ArchiveError(f"cannot read {self.path}: {error}") from error

    def frame(self, stream: pa.ipc.RecordBatchStreamReader) -> pl.DataFrame:
        """Return the rows that the child process wrote."""
        frames, length = [pl.DataFrame(stream.schema.empty_table())], 0
        for batch in stream:
            length += batch.nbytes
            if length > self._most:
                self.bounds.refuse(self.path, f"its rows take more than {said(self._most)}, which is too much for its size")
            frames.append(pl.DataFrame(batch))
        return pl.concat(frames)

    def _explain(self, status: int, words: str) -> NoReturn:
        if words == "memory" or status == -signal.SIGKILL:
            self.bounds.refuse(self.path, "a query of it (a view?) takes more memory than its size and --max-size allow")
        if words == "rows":
            self.bounds.check_rows(self.path, self.bounds.rows + 1)
        if status < 0:
            words = f"DuckDB ended by {signal.Signals(-status).name}: the file is damaged, or needs too much memory"
        raise ArchiveError(f"cannot read {self.path}: {words.removeprefix('error ')}")


def _end(child: subprocess.Popen[bytes], is_late: threading.Event) -> None:
    is_late.set()
    child.kill()


def _table(path: str, database: _Database, named: str | None) -> str:
    """Return the named table, or the only one there is."""
    found = database.run(_TABLES)
    tables: list[str] = found["table_name"].to_list()
    if named is not None and named not in tables:
        raise ArchiveError(f"{path}: no table or view {named!r}; it has: {listed(tables)}")
    if named is None and len(tables) != 1:
        several = f"holds several tables; name one with --table: {listed(tables)}" if tables else "holds no table"
        raise ArchiveError(f"{path} {several}")
    return named or tables[0]


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
