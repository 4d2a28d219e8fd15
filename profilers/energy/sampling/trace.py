"""Hold a power trace, every reading of a meter with its context, as arrays and as a Parquet file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from profilers.energy.window import Floats
from profilers.errors import ProfilerError
from profilers.parquet import TRACE_SCHEMA, UnreadableParquet, read_parquet, trace_header

SCHEMA = TRACE_SCHEMA
# Traces of this version hold the same readings, but their energy was derived differently.
ENERGY_ANEW = 1


@dataclass(frozen=True)
class PowerTrace:
    """Readings [n] in order of time; SI units, NaN if nothing was read. `edge` marks reads at the ends of a load.

    Times are on the monotonic clock, from the first reading of the recording program; the driver's stamps on its own clock.
    """

    time_s: Floats
    duration_s: Floats
    power_w: Floats
    average_power_w: Floats
    energy_j: Floats
    power_time_s: Floats
    energy_time_s: Floats
    temperature_c: Floats
    clock_hz: Floats
    other_processes: Floats
    edge: NDArray[np.bool_]
    slowdowns: tuple[str | None, ...]  # names joined by "+", "" for none, None if not read
    warnings: tuple[str, ...] = ()  # one line per kind of problem, with its count

    @classmethod
    def empty(cls) -> PowerTrace:
        """Return the trace of a machine without a meter."""
        columns: dict[str, Any] = {name: np.empty(0) for name in COLUMNS}
        return cls(**columns, edge=np.empty(0, bool), slowdowns=())

    def __len__(self) -> int:
        return len(self.time_s)

    def series(self, column: str, /, *, edges: bool = True) -> tuple[Floats, Floats]:
        """Return the times [m] and values [m] of the readings that have a value."""
        values = getattr(self, column)
        chosen = ~np.isnan(values)
        if not edges:
            chosen &= ~self.edge
        return self.time_s[chosen], values[chosen]


COLUMNS = tuple(field.name for field in fields(PowerTrace) if field.name not in ("edge", "slowdowns", "warnings"))


# 23 days at 10 Hz.
MOST_SAMPLES = 20_000_000


def write_trace(target: Path, trace: PowerTrace, record: Mapping[str, Any], /) -> None:
    """Write a trace and the record of its measurement to a Parquet file, either whole or not at all."""
    frame = pl.DataFrame({name: getattr(trace, name) for name in COLUMNS}).with_columns(pl.all().fill_nan(None))
    frame = frame.with_columns(pl.Series("edge", trace.edge), pl.Series("slowdowns", trace.slowdowns, dtype=pl.String))
    header = {"schema": SCHEMA, "warnings": list(trace.warnings), **record}
    partial = target.with_name(f".{target.name}.partial")
    try:
        content = BytesIO()  # on a full disk, polars reports only that it failed
        frame.write_parquet(content, metadata={"ecosel": json.dumps(header, allow_nan=False)})
        partial.write_bytes(content.getbuffer())
        partial.replace(target)
    except OSError as error:
        raise ProfilerError(f"cannot write {target}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            partial.unlink()


def read_trace(path: Path, /) -> tuple[PowerTrace, dict[str, Any]]:
    """Read a file written by `write_trace`; raise ProfilerError for any other file."""
    try:
        frame, beside = read_parquet(path, most=MOST_SAMPLES)
        header = trace_header(beside)
    except FileNotFoundError:
        raise ProfilerError(f"{path} does not exist") from None
    except (UnreadableParquet, OSError) as error:
        raise ProfilerError(f"{path} is not a trace written by ecosel: {error}") from None
    if not isinstance(header, dict) or not {*COLUMNS, "edge", "slowdowns"} <= set(frame.columns):
        raise ProfilerError(f"{path} is not a trace written by ecosel (--trace FILE writes one)")
    if header.get("schema") not in (ENERGY_ANEW, SCHEMA):
        raise ProfilerError(f"{path} has trace schema {header.get('schema')}, this version reads {SCHEMA}; upgrade ecosel")
    columns = {name: frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in COLUMNS}
    trace = PowerTrace(
        **columns,
        edge=frame["edge"].to_numpy().astype(bool),
        slowdowns=tuple(frame["slowdowns"].to_list()),
        warnings=tuple(header.pop("warnings", ())),
    )
    return trace, header
