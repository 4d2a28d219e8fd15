"""Altair charts of a selection, for notebooks, papers and the page.

    from ecosel.report.charts.panels import frontier
    frontier(select(models))

The paper's Figure 1 is `frontier`. Others: `weight_strip`, the winner under each weight, and `robustness`, the certainty.
Field names are ecosel's own (`v0`, `row`, ...), as a column of a stranger's archive may have any name; texts are data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import altair as alt
import polars as pl

from ecosel.choosing.choice import Choice
from ecosel.output.characters import shortened
from ecosel.report.charts.themes import LIGHT, layered, marked, with_data
from ecosel.report.view import mark_data
from ecosel.report.view.axes import Axis
from ecosel.report.view.mark_data import HEIGHT, WIDTH, field, front_of, model_rows
from ecosel.report.view.view import GroupView, Panel, group_views
from ecosel.selection import Selection

# Pixels between the panels of a figure.
_GAP = 18
_STRIP = 22


def frontier(selection: Selection, /, *, width: int = WIDTH, height: int = HEIGHT, columns: int = 3) -> alt.VConcatChart:
    """Draw accuracy against each cost: a row of panels for each group, and sliders for the weights.

    Each panel [width x height px] shows the models, the front as a step line, the model with the lowest cost (square), the
    one with the highest accuracy (triangle), and the best trade-off under the weights of the sliders (diamond).
    Raises ValueError if there are fewer than two objectives.
    """
    rows: list[alt.HConcatChart] = []
    data: dict[str, pl.DataFrame] = {}
    for g, view in enumerate(group_views(selection)):
        if not view.panels:
            raise ValueError("a frontier needs two objectives")
        models = model_rows(view)
        drawn = []
        for k, one in enumerate(view.panels):
            tag = f"_{g}_{k}"
            drawn.append(panel(view, one, tag=tag).properties(width=width, height=height))
            data |= {f"{name}{tag}": part for name, part in _data(view, one, models, (width, height)).items()}
        for first in range(0, len(drawn), columns):
            title = {"title": shortened(view.name, 80)} if view.name and not first else {}
            rows.append(alt.hconcat(*drawn[first : first + columns], spacing=_GAP, **title))
    weights = [selection.rule.weights.get(o.column, 1.0) for o in selection.objectives]
    end = slider_end(weights)
    sliders = []
    for k, o in enumerate(selection.objectives):
        bind = alt.binding_range(min=0, max=end, step=0.01, name=f"weight of {shortened(o.column, 44)} ")
        sliders.append(alt.param(f"w{k}", value=weights[k], bind=bind))
    chart = cast(alt.VConcatChart, alt.vconcat(*rows, spacing=_GAP).add_params(*sliders).configure(**LIGHT))
    with_data(chart, data)
    return chart


def slider_end(weights: list[float], /) -> float:
    """Return the end of a weight's slider: only the ratio of the weights counts."""
    return max(2.0, 2.0 * max(weights, default=1.0))


def _data(view: GroupView, panel: Panel, models: pl.DataFrame, size: tuple[int, int]) -> dict[str, pl.DataFrame]:
    """Return the named data sets of one panel, with its own range of interest and scale."""
    log = panel.x.log
    heat = {"heat": mark_data.heat_rows(view, panel, zoom=True, log=log)} if panel.heat else {}
    return {
        "models": models, "front": front_of(models, view, panel.choice), "errors": mark_data.error_rows(view, panel),
        "roles": mark_data.role_rows(view, panel, zoom=True, log=log),
        "letters": mark_data.letter_rows(view, panel, zoom=True, log=log, size=size), **heat,
    }  # fmt: skip


def panel(view: GroupView, panel: Panel, /, *, tag: str = "") -> alt.LayerChart:
    """Draw one cost against one quality. The data sets are only named; the caller fills them in.

    Data sets and variable parameters, all ending in tag: models, front, errors, roles, letters, heat; x0, x1, y0, y1, the
    range in view; marked and joint, lists of row numbers to ring. Also w<k>, the weight of objective k, without a tag.
    """
    x, y = (field(view, axis.objective.column) for axis in (panel.x, panel.y))
    log = panel.x.log
    (x0, x1), (y0, y1) = panel.domains(zoom=True, log=log)
    joint = view.joint.picks["trade_off"] if view.joint and view.joint is not panel.choice else ()
    numbers = {"x0": x0, "x1": x1, "y0": y0, "y1": y1, "marked": [], "joint": list(joint)}
    scale = alt.Scale(domain=[x0, x1], type="log" if log else "linear", nice=False)
    return layered(
        *_models(view, panel, f"v{x}", tag), *_highlights(view, panel, tag),
        x=alt.X(f"v{x}:Q", scale=scale, axis=_axis(panel.x, count=5, values=panel.x.ticks(zoom=True, log=log))),
        y=alt.Y(f"v{y}:Q", scale=alt.Scale(domain=[y0, y1], nice=False), axis=_axis(panel.y, count=6)),
        width=WIDTH, height=HEIGHT,
    ).add_params(
        *(alt.param(f"{name}{tag}", value=value) for name, value in numbers.items()),
        *(() if tag else _weights(view, panel.choice)),
    )  # fmt: skip


def _models(view: GroupView, panel: Panel, x: str, tag: str) -> Iterator[alt.Chart]:
    """Yield the heat map, the models, and the front with its step line and errors."""
    if panel.heat:
        shade = alt.FillOpacity("n:Q", scale=alt.Scale(type="log", range=[0.1, 0.95]), legend=None)
        yield marked(f"heat{tag}", "rect", "heat").encode(x2="x2:Q", y2="y2:Q", fillOpacity=shade)
    yield marked(f"models{tag}", "point", "model", clip=True).encode(tooltip=_tooltip(view))
    yield marked(f"errors{tag}", "rule", "error", clip=True).encode(x2="x2:Q", y2="y2:Q")
    if panel.has_step_line:
        line = marked(f"front{tag}", "line", "front-line", interpolate="step-after", clip=True)
        yield line.encode(order=f"{x}:Q")
    yield marked(f"front{tag}", "point", "front", clip=True).encode(tooltip=_tooltip(view))


def _highlights(view: GroupView, panel: Panel, tag: str) -> Iterator[alt.Chart]:
    """Yield the best of each axis, the rings, the best trade-off under the current weights, and the letters."""
    fields = [f"v{field(view, axis.objective.column)}" for axis in (panel.x, panel.y)]
    yield marked(f"letters{tag}", "point", "anchor").encode(tooltip="text:N")
    for role in ("lowest", "highest"):
        yield marked(f"roles{tag}", "point", role).transform_filter(f"datum.role === '{role}'")
    for ring in ("joint", "marked"):
        chosen = marked(f"models{tag}", "point", ring).transform_filter(f"indexof({ring}{tag}, datum.row) >= 0")
        yield _clamped(chosen, fields, tag)
    pick = _with_distance(marked(f"front{tag}", "point", "pick").properties(name=f"pick{tag}"), view, panel.choice)
    yield _clamped(pick, fields, tag).encode(tooltip=_tooltip(view))
    for style in ("halo", "letter"):
        letters = marked(f"letters{tag}", "text", style, dx=alt.ExprRef("datum.dx"), dy=alt.ExprRef("datum.dy"))
        yield letters.encode(text="text:N")


def _axis(axis: Axis, *, count: int, values: list[float] | None = None) -> alt.Axis:
    if values:
        return alt.Axis(title=axis.title, labelExpr=axis.tick, values=values)
    return alt.Axis(title=axis.title, labelExpr=axis.tick, tickCount=count)


def weight_strip(view: GroupView, choice: Choice, /, *, data: bool = True) -> alt.LayerChart:
    """Draw which model is the best trade-off of two objectives against the first weight's share; a needle marks the current."""
    a, b = (f"w{field(view, o.column)}" for o in choice.objectives)
    now = f"{a} / ({a} + {b})"
    title = f"best trade-off by the weight on {shortened(choice.objectives[0].column, 26)}"
    ticks = alt.Axis(title=title, format="%", values=[0, 0.25, 0.5, 0.75, 1], grid=False)
    x = alt.X("low:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=ticks)
    tooltip = [alt.Tooltip("name:N", title="model"), *(alt.Tooltip(f"{end}:Q", format=".1%") for end in ("low", "high"))]

    def bars(style: str, condition: str) -> alt.Chart:
        drawn = marked("segments", "rect", style).transform_filter(condition)
        return drawn.encode(x=x, x2="high:Q", y=alt.value(0), y2=alt.value(_STRIP))

    needle = marked(alt.InlineData(values=[{}]), "rule", "needle").transform_calculate(low=now)
    texts = marked("segments", "text", "letter", align="left", dx=4)  # in the middle it would often be under the needle
    chart = layered(
        bars("segment", "!datum.odd").encode(tooltip=tooltip), bars("segment-odd", "datum.odd").encode(tooltip=tooltip),
        bars("segment-now", f"{now} >= datum.low && ({now} < datum.high || datum.high > 1 - 1e-9)"),
        texts.encode(x=x, y=alt.value(_STRIP / 2), text="text:N"),
        needle.encode(x=x, y=alt.value(-3), y2=alt.value(_STRIP + 3)), width=WIDTH, height=_STRIP,
    ).add_params(*_weights(view, choice))  # fmt: skip
    if data:
        with_data(chart, {"segments": mark_data.segment_rows(view, choice)})
    return chart


def robustness(view: GroupView, choice: Choice, /, *, data: bool = True) -> alt.LayerChart:
    """Draw the models that win most often: their shares of all weightings (bars) and of the resampled measurements (points)."""
    rows = mark_data.share_rows(view, choice)
    shares = alt.Chart(alt.NamedData("shares"))
    names = rows["name"].unique(maintain_order=True).to_list()
    ticks = alt.Axis(title="share of all weightings (bar)", format="%", tickCount=5)
    labels = alt.Axis(title=None, labelLimit=240, ticks=False, labelOverlap=False, labelPadding=9)
    tooltip = [alt.Tooltip("name:N", title="model"), alt.Tooltip("share:Q", format=".1%"), alt.Tooltip("measure:N", title="of")]
    wins = shares.transform_filter(f"datum.measure === '{mark_data.WINS}'")
    layers = [marked(wins, "bar", "bar"), marked(wins.transform_filter("indexof(joint, datum.row) >= 0"), "bar", "bar-now")]
    if choice.resampling is not None:
        measures, key = list(mark_data.RESAMPLED), alt.Legend(title=None, orient="bottom")
        points = marked(shares.transform_filter(f"datum.measure !== '{mark_data.WINS}'"), "point", "share")
        shapes = alt.Shape("measure:N", scale=alt.Scale(domain=measures, range=["circle", "diamond"]), legend=key)
        colours = alt.Color("measure:N", scale=alt.Scale(domain=measures, range="category"), legend=key)
        layers.append(points.encode(shape=shapes, color=colours))
    chart = layered(
        *(layer.encode(tooltip=tooltip) for layer in layers),
        x=alt.X("share:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=ticks),
        y=alt.Y("name:N", sort=None, scale=alt.Scale(domain=names), axis=labels), width=WIDTH, height=alt.Step(20),
    ).add_params(alt.param("joint", value=list(choice.picks["trade_off"])))  # fmt: skip
    if data:
        with_data(chart, {"shares": rows})
    return chart


def _weights(view: GroupView, choice: Choice) -> list[alt.Parameter]:
    return [alt.param(f"w{field(view, column)}", value=weight) for column, weight in choice.weights.items()]


def _with_distance(chart: alt.Chart, view: GroupView, choice: Choice) -> alt.Chart:
    """Keep the models nearest to the ideal point, including ties: choosing.scoring as a Vega expression, with its rounding."""
    fields = {column: field(view, column) for column in choice.weights}
    terms = [
        f"w{k} * (datum.v{k} / {choice.scale[column]!r} - {choice.ideal[column] / choice.scale[column]!r})"
        for column, k in fields.items()
    ]
    largest = " + ".join(f"w{k}" for k in fields.values())
    # squares of numbers far from 1 would leave the range of a double; the largest is factored out first
    deviations = [
        abs(choice.values[:, k] / choice.scale[c] - choice.ideal[c] / choice.scale[c]).max() for k, c in enumerate(fields)
    ]
    unit = float(max(deviations)) or 1.0
    unit = 1.0 if 1e-100 < unit < 1e100 else unit
    squares = " + ".join(f"pow({term} / {unit!r}, 2)" if unit != 1.0 else f"pow({term}, 2)" for term in terms)
    return (
        chart.transform_calculate(distance=f"{unit!r} * sqrt({squares})" if unit != 1.0 else f"sqrt({squares})")
        .transform_joinaggregate(nearest="min(distance)")
        .transform_filter(f"{largest} > 0 && datum.distance <= datum.nearest * (1 + 1e-12)")
    )


def _clamped(chart: alt.Chart, fields: Sequence[str], tag: str) -> alt.Chart:
    """Move marks that are out of view to the edge."""
    return chart.transform_calculate(
        **{name: f"clamp(datum.{name}, {axis}0{tag}, {axis}1{tag})" for name, axis in zip(fields, "xy", strict=True)}
    )


def _tooltip(view: GroupView) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("name:N", title="model"),
        *(alt.Tooltip(f"v{k}:Q", title=shortened(o.column, 44)) for k, o in enumerate(view.objectives)),
    ]
