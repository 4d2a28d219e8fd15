"""Show the variants of models: an arrow from each parent, and a table of the changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl

from ecosel.choosing.cleaning.frames import lineage_columns
from ecosel.output.characters import shortened
from ecosel.output.measures import Measure
from ecosel.readers.cells.numbers import read_numbers
from ecosel.readers.table import ROW
from ecosel.report.charts.themes import layered, marked
from ecosel.report.sections.html import Chart, Drawing, columns_of
from ecosel.report.view.mark_data import HEIGHT, WIDTH
from ecosel.report.view.view import GroupView

_MOST = 200  # variants drawn and listed, at most
_MARGIN = 0.08  # as a share of an axis


@dataclass(frozen=True)
class VariantLine:
    """One row of the table of variants; a text is empty if nothing is known."""

    name: str
    parent: str
    how: str
    time: str
    energy: str
    accuracy: str
    agreement: str
    file: str
    changes: str


def variant_lines(rows: pl.DataFrame, /) -> list[VariantLine]:
    """Return the changes of each variant in an archive, including failed ones; empty if there are none."""
    if not lineage_columns(rows.columns):
        return []
    variants = rows.filter(pl.col("variant").is_not_null()).head(_MOST)
    return [_line(cells) for cells in variants.iter_rows(named=True)]


def redundancies(rows: pl.DataFrame, /) -> list[str]:
    """List the slots without effect of each network of a search, and the saving from removing them."""
    if "redundant_slots" not in rows.columns:
        return []
    found = rows.filter(pl.col("redundant_slots").is_not_null()).head(_MOST)
    return [_redundant(cells) for cells in found.iter_rows(named=True)]


def _redundant(cells: dict[str, Any]) -> str:
    name, slots = cells.get("candidate_id") or f"row {cells[ROW]}", cells["redundant_slots"]
    ratio = _ratio(cells, "redundant_time_ratio")
    return f"{name}: {slots}" + (f"; the network as drawn takes {ratio} times as long" if ratio else "")


def _line(cells: dict[str, Any]) -> VariantLine:
    failed = cells.get("status") not in (None, "ok")
    layers = f", int8 in {cells['quantised_layers']} layers" if cells.get("quantised_layers") else ""
    reason = cells.get("remarks") or "no reason given"
    return VariantLine(
        str(cells.get("candidate_id") or cells["variant"]),
        str(cells["parent"] or ""),
        f"{cells.get('precision_executed') or ''} in {cells.get('runtime') or '?'}{layers}"
        if not failed
        else str(cells["status"]),
        _ratio(cells, "time_ratio"),
        _ratio(cells, "energy_ratio"),
        _share(cells.get("accuracy")),
        _share(cells.get("agreement")),
        _bytes(cells.get("file_bytes")),
        str(cells.get("changes") or "") if not failed else str(reason),
    )


def _ratio(cells: dict[str, Any], name: str) -> str:
    value, low, high = (_number(cells.get(f"{name}{end}")) for end in ("", "_low", "_high"))
    if value is None:
        return ""
    return f"{value:.3g}" if low is None or high is None else f"{value:.3g} ({low:.3g} to {high:.3g})"


def _number(cell: Any) -> float | None:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _share(cell: Any) -> str:
    value = _number(cell)
    return "" if value is None else f"{100 * value:.1f} %"


def _bytes(cell: Any) -> str:
    value = _number(cell)
    return "" if value is None else f"{value / 1e3:,.0f} kB"


def variant_charts(rows: pl.DataFrame, views: Sequence[GroupView], /) -> list[Chart]:
    """Return for each group a chart with an arrow from every parent to each of its variants."""
    if not lineage_columns(rows.columns) or "candidate_id" not in rows.columns:
        return []
    return [figure for g, view in enumerate(views) if (figure := _charted(rows, view, g)) is not None]


def _charted(rows: pl.DataFrame, view: GroupView, group: int) -> Chart | None:
    quality = next((o for o in view.objectives if o.is_quality), None)
    cost = next((o for o in view.objectives if not o.is_quality), None)
    if quality is None or cost is None:
        return None
    at = {c: read_numbers(rows[c])[0].cast(pl.Float64) * view.measures[c].factor for c in (cost.column, quality.column)}
    text = [pl.col(c).cast(pl.String) for c in ("candidate_id", "variant", "parent")]
    points = rows.select(pl.col(ROW).alias("row"), *text).with_columns(x=at[cost.column], y=at[quality.column])
    points = points.filter(pl.col("row").is_in(view.models[ROW].to_list()) & pl.col("x").is_finite() & pl.col("y").is_finite())
    parents = points.select(parent="candidate_id", x0="x", y0="y").unique("parent", keep="last")
    arrows = points.filter(pl.col("variant").is_not_null()).join(parents, on="parent").head(_MOST)
    if not arrows.height:
        return None
    roots = parents.filter(pl.col("parent").is_in(arrows["parent"].to_list()))
    x, y = (_domain([*arrows[a].to_list(), *arrows[b].to_list()]) for a, b in (("x", "x0"), ("y", "y0")))
    turned = [_angle(dx / (x[1] - x[0]) * WIDTH, dy / (y[1] - y[0]) * HEIGHT)
              for dx, dy in arrows.select(pl.col("x") - pl.col("x0"), pl.col("y") - pl.col("y0")).iter_rows()]  # fmt: skip
    arrows = arrows.with_columns(angle=pl.Series(turned, dtype=pl.Float64))
    chart = arrows_chart(view.measures[cost.column], view.measures[quality.column], x, y)
    data = {"arrows": columns_of(arrows.drop("parent", "candidate_id")), "roots": columns_of(roots)}
    names = ", ".join(roots["parent"].to_list()[:3]) + (f" and {roots.height - 3} more" if roots.height > 3 else "")
    words = f"Arrows from {names} to {arrows.height} variant{'s' if arrows.height > 1 else ''}."
    return Chart(Drawing(f"variants-{group}", chart.to_dict(validate=False), data, group), words, group=group)


def _domain(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = _MARGIN * (high - low) or abs(high) * _MARGIN or 1.0
    return low - margin, high + margin


def _angle(right: float, up: float) -> float:
    """Return the clockwise rotation in degrees that turns a triangle pointing up along an arrow on the screen."""
    return math.degrees(math.atan2(right, up))


def arrows_chart(cost: Measure, quality: Measure, x: tuple[float, float], y: tuple[float, float], /) -> alt.LayerChart:
    """Draw parents (data `roots`) and the lines to their variants with a head (data `arrows`)."""

    def at(end: str) -> dict[str, Any]:
        across, up = (alt.Scale(domain=list(domain), zero=False, nice=False) for domain in (x, y))
        names = [alt.Axis(title=shortened(part.title, 44), tickCount=5) for part in (cost, quality)]
        return {"x": alt.X(f"x{end}:Q", scale=across, axis=names[0]), "y": alt.Y(f"y{end}:Q", scale=up, axis=names[1])}

    heads = marked("arrows", "point", "front", shape="triangle").encode(
        angle=alt.Angle("angle:Q", scale=None), tooltip=["variant:N", "row:Q"], **at("")
    )
    names = [
        marked("arrows", "text", style, align="left", dx=8, dy=-7).encode(text="variant:N", **at(""))
        for style in ("halo", "note")
    ]
    lines = marked("arrows", "rule", "edge").encode(x2="x:Q", y2="y:Q", **at("0"))
    starts = marked("roots", "point", "pick").encode(tooltip=["parent:N"], **at("0"))
    return layered(lines, heads, starts, *names, width=WIDTH, height=HEIGHT)
