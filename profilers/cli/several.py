"""Profile several models in one call: from the command line and a manifest, one row each."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from profilers.errors import ProfilerError
from profilers.files import read_file
from profilers.progress import progress_bar

if TYPE_CHECKING:
    from profilers.measuring.settings import ProfileSettings

_COLUMNS = ("file", "factory", "input")
_MOST_BYTES, _MOST_MODELS = 2_000_000, 10_000


@dataclass(frozen=True)
class Entry:
    """One row of a manifest; None takes the value from the command's options."""

    model: str
    factory: str | None
    inputs: tuple[str, ...] | None


def read_manifest(path: Path) -> tuple[Entry, ...]:
    """Read a CSV with the columns file, factory, input; file paths are relative to it.

    A cell may hold several inputs separated by spaces. Raises ProfilerError with the number of a wrong line.
    """
    try:
        text = read_file(path, most=_MOST_BYTES).decode("utf-8-sig")
        entries = tuple(islice(_entries(path, csv.reader(io.StringIO(text, newline=""), strict=True)), _MOST_MODELS + 1))
    except UnicodeDecodeError as error:
        raise ProfilerError(f"{path} is not UTF-8 text; save the manifest as CSV") from error
    except csv.Error as error:
        raise ProfilerError(f"{path} is not CSV: {error}") from error
    except OSError as error:
        raise ProfilerError(f"{path} cannot be read: {error.strerror}") from error
    if len(entries) > _MOST_MODELS:
        raise ProfilerError(f"{path} names more than {_MOST_MODELS:,} models; measure them in several calls")
    if not entries:
        raise ProfilerError(f"{path} names no models; add one line per model below the header file,factory,input")
    return entries


def _entries(path: Path, lines: Iterator[list[str]]) -> Iterator[Entry]:
    header = [name.strip().lower() for name in next(lines, [])]
    if "file" not in header or len(header) != len(set(header)) or set(header) - set(_COLUMNS):
        raise ProfilerError(f"{path} begins with {', '.join(header)[:80] or 'nothing'}; its columns must be file, factory, input")
    for number, line in enumerate(lines, start=2):
        if not any(cell.strip() for cell in line):
            continue
        if len(line) > len(header):
            raise ProfilerError(f"{path}, line {number}: {len(line)} cells, but the header has {len(header)}")
        cells = {name: cell.strip() for name, cell in zip(header, line, strict=False)}
        if not cells.get("file") and not cells.get("factory"):
            raise ProfilerError(f"{path}, line {number}: neither a file nor a factory")
        file = str(path.parent / cells["file"]) if cells.get("file") else ""
        yield Entry(file, cells.get("factory") or None, tuple(cells.get("input", "").split()) or None)


def measure_several(requests: Sequence[ProfileSettings], *, archive: Path | None, format_: str) -> None:
    """Measure the models in turn on one device, append a row for each, and show the rows."""
    from profilers.cli.common import stdout_aside
    from profilers.measuring.runtime import check
    from profilers.measuring.several.together import profile_together
    from profilers.results.archive import append, done, failed_row, row_of

    for request in requests:
        check(request)
    _refuse_twice(requests)
    if archive is not None:
        done(archive)  # a file that cannot be appended to must not cost a measurement
    with stdout_aside(), progress_bar() as show:
        points = profile_together(requests, show=show)
    rows: list[dict[str, Any]] = []
    for point in points:
        names = {"candidate": _apart(point.request.candidate, rows), "configuration": point.request.configuration}
        if point.profile is not None:
            rows.append(row_of(point.profile, **names))
        else:
            rows.append(failed_row(point.request, **names, status=point.status, reason=point.reason))
    try:
        if archive is not None:
            rows = append(archive, *rows)
    finally:  # a full disk must not cost the answer
        click.echo(json.dumps(rows, indent=1) if format_ == "json" else "\n".join(map(row_line, rows)))


def _apart(candidate: str, rows: Sequence[dict[str, Any]]) -> str:
    """Return the name, with a number if another model of the call has the same name."""
    taken = {row["candidate_id"] for row in rows}
    names = (candidate, *(f"{candidate}-{number}" for number in range(2, len(rows) + 2)))
    return next(name for name in names if name not in taken)


def _refuse_twice(requests: Sequence[ProfileSettings]) -> None:
    counts = Counter(request.configuration for request in requests)
    for request in requests:
        if counts[request.configuration] > 1:
            raise ValueError(f"{request.name} is named twice with the same settings; name each model once")


def row_line(row: dict[str, Any]) -> str:
    """Describe a row of an archive in one line, for a terminal."""
    from profilers.results.text import printable

    if row["status"] not in ("ok", "invalid") or row["throughput_per_s"] is None:
        return printable(f"{row['candidate_id']}: {row['status']}, {row['remarks']}")
    joules = row["energy_per_inference_j"]
    energy = f"{joules * 1e3:.4g} mJ per image" if joules is not None else "energy not measured"
    return printable(f"{row['candidate_id']}: {energy}, {row['throughput_per_s']:.4g} images/s")
