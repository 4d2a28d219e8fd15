"""Read strangers' Parquet files, of which a few bytes can declare any number of rows, or keep the parser busy for hours."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

# The layout of traces; increased whenever a reader of an older version would misread the file.
TRACE_SCHEMA = 2
# Seconds in which a file of up to 10 MB must be read; in proportion for larger ones.
_PATIENCE_S, _SIZE = 10.0, 10_000_000


class UnreadableParquet(Exception):  # noqa: N818
    """A file that is no Parquet, is damaged, or declares or takes too much; the message says which."""


def read_parquet(
    source: Path | bytes, /, *, most: int, columns: Callable[[pl.Schema], Sequence[str]] | None = None
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return the columns chosen from the schema (all if None), and the texts that the writer put beside them.

    Raises UnreadableParquet, also for more than `most` rows, and what `columns` raises.
    """
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    seconds = _PATIENCE_S * max(1.0, size / _SIZE)
    ended: list[Any] = []

    def read() -> None:
        try:
            ended.append(_read(source, most, columns))
        except BaseException as error:  # polars panics with one
            ended.append(error)

    # native code cannot be interrupted: when it takes too long, the thread ends with the process
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(seconds)
    if not ended:
        raise UnreadableParquet(f"reading it takes more than {seconds:g} s")
    if isinstance(ended[0], BaseException):
        raise ended[0]
    found: tuple[pl.DataFrame, dict[str, str]] = ended[0]
    return found


def _read(
    source: Path | bytes, most: int, columns: Callable[[pl.Schema], Sequence[str]] | None
) -> tuple[pl.DataFrame, dict[str, str]]:
    import polars as pl

    try:
        lazy = pl.scan_parquet(source, glob=False)
        wanted = columns(lazy.collect_schema()) if columns else None
        if (rows := lazy.select(pl.len()).collect().item()) > most:
            raise UnreadableParquet(f"it declares {rows:,} rows; at most {most:,} are read")
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        return (lazy if wanted is None else lazy.select(wanted)).collect(), pl.read_parquet_metadata(file)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise UnreadableParquet((str(error).splitlines() or ["damaged"])[0]) from error


def trace_header(beside: Mapping[str, str], /) -> Any:
    """Return what ecosel put beside the columns of a trace; None for other files.

    Raises UnreadableParquet for a trace of a newer version.
    """
    try:
        header = json.loads(beside["ecosel"]) if "ecosel" in beside else None
    except (ValueError, RecursionError) as error:
        raise UnreadableParquet(f"its header is not JSON ({error})") from error
    schema = header.get("schema") if isinstance(header, dict) else None
    if isinstance(schema, int) and schema > TRACE_SCHEMA:
        raise UnreadableParquet(f"it has trace schema {schema}, this version reads {TRACE_SCHEMA}; upgrade ecosel")
    return header
