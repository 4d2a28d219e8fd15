"""Draw the findings about a board: a step, a square wave near the sensor's period, all periods, short loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import polars as pl
from PIL import Image

from tests.benchmarks.gpu.board.evaluation import SensorFound, Wave
from tests.benchmarks.gpu.board.polling import COLUMNS
from tests.benchmarks.gpu.board.recordings import Found, Recording
from tests.benchmarks.gpu.board.shorts import Short

_NAMES = {
    "power_w": "instant power",
    "average_power_w": "average power",
    "usage_power_w": "nvmlDeviceGetPowerUsage",
    "energy_j": "energy counter",
}
_COLOURS = alt.Scale(domain=[*_NAMES.values()], range=["#0072b2", "#e69f00", "#d0d0d0", "#d55e00"])
_WIDTH, _HEIGHT = 430, 250
_METHODS = {"mean x time": "100 ms polls, mean x time", "trapezoid": "100 ms polls, trapezoid", "ours": "profilers.window"}


def picture(found: Found, known: dict[str, SensorFound], seen: list[Wave], short: list[Short], path: Path) -> None:
    top = [chart for chart in (_step(found), _wave(found, seen)) if chart is not None]
    bottom = [chart for chart in (_periods(seen), _shorts(short)) if chart is not None]
    rows = [alt.hconcat(*charts, spacing=30).resolve_scale(color="independent") for charts in (top, bottom) if charts]
    chart = (
        alt.vconcat(*rows, spacing=25)
        .configure_view(stroke=None)
        .configure_axis(gridOpacity=0.4)
        .configure_title(anchor="start", fontSize=13)
    )
    chart.resolve_scale(color="independent").save(path, scale_factor=1.5)
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE)  # few colours are used
    small.save(path, optimize=True)


def _lines(one: Recording, columns: tuple[str, ...], start_s: float, end_s: float, zero_s: float) -> pl.DataFrame:
    """Return the power of each reading over time; for a counter, its mean power between ticks."""
    parts = []
    for column in (name for name in columns if one.has(name)):
        times, watts = one.series(column)
        if column == "energy_j":
            times, joules = one.spent(column)
            times, joules = (
                times[:: (step := max(1, round(0.1 * len(times) / max(float(times[-1] - times[0]), 1e-9))))],
                joules[::step],
            )
            watts = np.diff(joules) / np.diff(times)
            times = times[:-1]
        kept = (times >= start_s) & (times <= end_s)
        parts.append(pl.DataFrame({"s": times[kept] - zero_s, "W": watts[kept], "reading": [_NAMES[column]] * int(kept.sum())}))
    return pl.concat(parts)


def _drawn(data: pl.DataFrame, title: str, loads: pl.DataFrame) -> Any:
    area = alt.Chart(loads).mark_rect(color="#888888", opacity=0.18).encode(x=alt.X("on:Q"), x2="off:Q")
    lines = (
        alt.Chart(data)
        .mark_line(interpolate="step-after", strokeWidth=1.5, clip=True)
        .encode(
            x=alt.X("s:Q", title="seconds from the start of the load"),
            y=alt.Y("W:Q", title="power, W"),
            color=alt.Color("reading:N", scale=_COLOURS, title=None, legend=alt.Legend(orient="top", labelLimit=250, columns=4)),
        )
    )
    return alt.layer(area, lines).properties(width=_WIDTH, height=_HEIGHT, title=title)


def _step(found: Found) -> Any:
    one = found.recordings.get("step")
    if one is None or not len(one.loads):
        return None
    on_s, off_s = (float(at) for at in one.loads[0])
    data = _lines(one, COLUMNS, on_s - 0.5, off_s + 1.8, on_s)
    return _drawn(data, "One load (grey)", pl.DataFrame({"on": [0.0], "off": [off_s - on_s]}))


def _wave(found: Found, seen: list[Wave]) -> Any:
    """Draw the wave in which instant power is farthest from the counter."""
    waves = [(abs(one.watts["power_w"] / one.watts["energy_j"] - 1), place) for place, one in enumerate(seen)
             if one.period_s is not None and {"power_w", "energy_j"} <= one.watts.keys()]  # fmt: skip
    if not waves:
        return None
    place = max(waves)[1]
    facts = next(facts for facts in found.report["waves"] if facts["period_s"] == seen[place].period_s)
    one = found.recordings[facts["recording"]]
    zero_s = float(one.loads[0, 0])
    loads = one.loads[(one.loads[:, 0] - zero_s) < 2.0] - zero_s
    data = _lines(one, ("power_w", "average_power_w", "energy_j"), zero_s - 0.2, zero_s + 2.0, zero_s)
    period = f"{1e3 * (seen[place].period_s or 0):.4g} ms"
    return _drawn(
        data, f"Square wave with a period of {period} (loads in grey)", pl.DataFrame({"on": loads[:, 0], "off": loads[:, 1]})
    )


def _periods(seen: list[Wave]) -> Any:
    rows: list[dict[str, Any]] = []
    for one in (wave for wave in seen if wave.period_s is not None):
        for column in (name for name in ("power_w", "energy_j") if name in one.watts and len(one.each[name])):
            each = one.each[column]
            rows.append(
                {
                    "ms": 1e3 * (one.period_s or 0),
                    "reading": _NAMES[column],
                    "all": one.watts[column],
                    "low": each.min(),
                    "high": each.max(),
                }
            )
    if not rows:
        return None
    x = alt.X(
        "ms:Q", title="period, ms (50 % duty)", scale=alt.Scale(type="log"), axis=alt.Axis(values=[20, 50, 100, 150, 200, 400])
    )
    base = alt.Chart(pl.DataFrame(rows)).encode(
        x=x,
        color=alt.Color(
            "reading:N", scale=_COLOURS, title=None, legend=alt.Legend(orient="top", values=["instant power", "energy counter"])
        ),
    )
    bars = base.mark_rule(strokeWidth=2, opacity=0.5).encode(y=alt.Y("low:Q", title="mean power, W"), y2="high:Q")
    return alt.layer(bars, base.mark_point(filled=True, size=45).encode(y="all:Q")).properties(
        width=_WIDTH, height=_HEIGHT, title="Square waves: mean of 3 s (points) and single seconds (bars)"
    )


def _shorts(short: list[Short]) -> Any:
    rows = []
    for one in short:
        name = _METHODS.get(one.method)
        column = "usage_power_w" if one.method in ("mean x time", "trapezoid") else "power_w"
        if name is None or one.column != column or not len(one.errors):
            continue
        each = 100 * one.errors
        rows.append(
            {
                "s": f"{one.length_s:g}",
                "length": one.length_s,
                "method": name,
                "bias": each.mean(),
                "low": each.min(),
                "high": each.max(),
            }
        )
    if not rows:
        return None
    scale = alt.Scale(domain=[*_METHODS.values()], range=["#cc79a7", "#009e73", "#0072b2"])
    base = alt.Chart(pl.DataFrame(rows)).encode(
        x=alt.X("s:N", title="load, s", sort=alt.EncodingSortField("length"), axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("method:N", sort=[*_METHODS.values()]),
        color=alt.Color("method:N", scale=scale, title=None, legend=alt.Legend(orient="top", labelLimit=250)),
    )
    bars = base.mark_rule(strokeWidth=2, opacity=0.5).encode(y=alt.Y("low:Q", title="error against the counter, %"), y2="high:Q")
    return alt.layer(bars, base.mark_point(filled=True, size=45).encode(y="bias:Q")).properties(
        width=_WIDTH, height=_HEIGHT, title="Short loads: bias (points) and range (bars)"
    )
