"""Draw the power traces of the lettered models that were profiled, and compare the energy counter with the integral of power."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from ecosel.errors import ArchiveError
from ecosel.output.sentences import number
from ecosel.readers.bounds import BOUNDS, Bounds
from ecosel.readers.cells.numbers import read_numbers
from ecosel.readers.stores.columnar import metadata_of, open_columnar
from ecosel.readers.table import ROW
from ecosel.report.charts.themes import layered, marked, with_data
from ecosel.report.sections.html import Chart, Drawing, columns_of
from ecosel.report.view.letters import Lettered
from ecosel.report.view.mark_data import HEIGHT, WIDTH
from ecosel.report.view.view import GroupView

_MOST_POINTS = 1_500
# the newest layout of traces
SCHEMA = 2
_WINDOW = {"start_s": pl.Float64, "end_s": pl.Float64}


@dataclass(frozen=True, eq=False)
class DrawnTrace:
    """Readings of a power meter, the measured windows, and their energy by counter and by integral."""

    readings: pl.DataFrame
    """time_s, power_w"""
    windows: pl.DataFrame
    """start_s, end_s"""
    energy_counter_j: float | None
    energy_power_j: float | None


def trace_charts(rows: pl.DataFrame, views: Sequence[GroupView], /, *, folder: Path | None) -> list[Chart]:
    """Return the traces of the lettered models; none if no row names one. folder is that of the archive."""
    if "trace" not in rows.columns or folder is None:
        return []
    letters = {model.row: model for view in views for model in view.letters}
    named = rows.select(ROW, "trace").filter(pl.col(ROW).is_in(list(letters)), pl.col("trace").is_not_null()).sort(ROW)
    bounds = replace(BOUNDS, seconds=max(1.0, BOUNDS.seconds / max(1, named.height)))  # of each
    return [_charted(letters[row], f"trace-{row}", str(name), folder, bounds) for row, name in named.iter_rows()]


def _charted(model: Lettered, id_: str, name: str, folder: Path, bounds: Bounds) -> Chart:
    try:
        trace = read_trace(name, folder=folder, bounds=bounds)
    except (ArchiveError, OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = (str(error).splitlines() or [""])[0]
        return Chart(None, f"{name} cannot be read: {reason}", model.letter, model.group)
    spec = power_chart(trace, data=False).to_dict(validate=False)
    data = {"readings": columns_of(_thinned(trace.readings)), "windows": columns_of(trace.windows)}
    return Chart(Drawing(id_, spec, data, model.group), _compared(trace), model.letter, model.group)


def read_trace(name: str, /, *, folder: Path, bounds: Bounds = BOUNDS) -> DrawnTrace:
    """Read a Parquet trace, as `ecosel profile --trace` writes it, named relative to a folder.

    It has columns time_s and power_w, and under the metadata key `ecosel` JSON with raw.marks.groups [{start_s, end_s}] and
    profile.energy.counter and .power, each {value} in joules per inference. Times count from the first reading.
    Raises ValueError or ArchiveError for other files, and for one outside the folder (the name comes from a stranger).
    """
    inside = PurePosixPath(name.replace("\\", "/"))
    path = (folder / inside).resolve()
    if inside.is_absolute() or not path.is_relative_to(folder.resolve()):
        raise ValueError("it lies outside the folder of the archive")
    if not path.is_file():
        raise ValueError("there is no such file")
    archive = open_columnar(name, path, "Parquet", bounds=bounds)
    for column in ("time_s", "power_w"):
        if column not in archive.columns:
            raise ValueError(f"it has no column {column}")
    frame = archive.load(("time_s", "power_w"), ())
    readings = frame.select(read_numbers(frame[column])[0].cast(pl.Float64) for column in ("time_s", "power_w")).drop_nulls()
    facts = _object(metadata_of(path, bounds=bounds).get("ecosel"))
    if isinstance(schema := _at(facts, "schema"), int) and schema > SCHEMA:
        raise ValueError(f"it has trace schema {schema}, this version reads {SCHEMA}; upgrade ecosel")
    groups = _at(facts, "raw", "marks", "groups")
    windows = [group for group in groups if _are_numbers(group, "start_s", "end_s")] if isinstance(groups, list) else []
    first = float(readings["time_s"][0]) if readings.height else 0.0
    counter, integral = (_at(facts, "profile", "energy", key, "value") for key in ("counter", "power"))
    return DrawnTrace(
        readings.with_columns(pl.col("time_s") - first),
        pl.DataFrame([(float(w["start_s"]) - first, float(w["end_s"]) - first) for w in windows], schema=_WINDOW, orient="row"),
        *(float(value) if _are_numbers({"j": value}, "j") else None for value in (counter, integral)),
    )


def power_chart(trace: DrawnTrace, /, *, data: bool = True) -> alt.LayerChart:
    """Draw power over time with the measured windows shaded."""

    scale, ticks = alt.Scale(nice=False, zero=False), alt.Axis(title="time (s)", tickCount=6)
    power = alt.Y("power_w:Q", axis=alt.Axis(title="power (W)", tickCount=5))
    windows = marked("windows", "rect", "window")
    line = marked("readings", "line", "trace", interpolate="step-after")
    chart = layered(
        windows.encode(x=alt.X("start_s:Q", axis=ticks, scale=scale), x2="end_s:Q"),
        line.encode(x=alt.X("time_s:Q", axis=ticks, scale=scale), y=power),
        width=WIDTH, height=HEIGHT - 60,
    )  # fmt: skip
    if data:
        with_data(chart, {"windows": trace.windows, "readings": _thinned(trace.readings)})
    return chart


def _object(raw: str | None) -> Any:
    try:
        return json.loads(raw) if raw else None
    except (ValueError, RecursionError):
        return None


def _at(record: Any, *keys: str) -> Any:
    """Return the value under the keys of nested objects; None if one is missing."""
    for key in keys:
        record = record.get(key) if isinstance(record, dict) else None
    return record


def _are_numbers(record: Any, *keys: str) -> bool:
    return isinstance(record, dict) and all(
        isinstance(record.get(key), int | float) and not isinstance(record[key], bool) and np.isfinite(record[key])
        for key in keys
    )


def _thinned(readings: pl.DataFrame) -> pl.DataFrame:
    """Keep the lowest and highest of neighbouring readings, so that no peak is lost."""
    if readings.height <= _MOST_POINTS:
        return readings
    width = -(-2 * readings.height // _MOST_POINTS)
    parts = readings.with_row_index("at").group_by(pl.col("at") // width, maintain_order=True)
    ends = parts.agg(pl.col("power_w").arg_min().alias("low"), pl.col("power_w").arg_max().alias("high"))
    kept = np.unique(np.concatenate([np.arange(ends.height) * width + ends[end].to_numpy() for end in ("low", "high")]))
    return readings[kept]


def _compared(trace: DrawnTrace) -> str:
    counter, integral = trace.energy_counter_j, trace.energy_power_j
    span = f"{trace.readings.height:,} readings, {trace.windows.height} measured windows."
    both = {"counter": counter, "integral of power": integral}
    if counter is None and integral is None:
        return f"{span} Their energy is not stated."
    parts = [f"{name} not measured" if value is None else f"{name} {number(value)} J" for name, value in both.items()]
    rest = f" ({100 * (integral / counter - 1):+.1f} %)" if counter and counter > 0 and integral is not None else ""
    return f"{span} Energy per inference: {', '.join(parts)}{rest}."
