"""Make the chart for all planes of two objectives on the page: the script fills in axes, size and the rows of each mark."""

from __future__ import annotations

from collections.abc import Iterator

import altair as alt

from ecosel.report.charts.themes import layered, marked

# Marks that stand out in a plane, from the largest ring to the letter on top; the halo of a letter is below all of them.
_RINGS = ("pinned", "marked", "joint", "highest", "lowest", "pick")


def plane_chart() -> alt.LayerChart:
    """Draw data sets by name: shade, heat, dimmed, models, errors, line, front (x, y, row), marks (role), letters (text)."""
    axis = alt.Axis(title="x", labelExpr="datum.label", tickCount=5)
    return layered(
        *_models(), *_marks(),
        x=alt.X("x:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=axis),
        y=alt.Y("y:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=axis),
        width=400, height=300,
    )  # fmt: skip


def _models() -> Iterator[alt.Chart]:
    yield marked("shade", "rect", "shade").encode(x2="x2:Q", y2="y2:Q")
    fill = alt.FillOpacity("n:Q", scale=alt.Scale(domain=[1, 35], range=[0.12, 0.9]), legend=None)
    yield marked("heat", "rect", "heat", clip=True).encode(x2="x2:Q", y2="y2:Q", fillOpacity=fill)
    yield marked("dimmed", "point", "dimmed", clip=True).encode(tooltip="row:Q")
    yield marked("models", "point", "model", clip=True).encode(tooltip="row:Q")
    yield marked("errors", "rule", "error", clip=True).encode(x2="x2:Q", y2="y2:Q")
    yield marked("line", "line", "front-line", interpolate="step-after", clip=True).encode(order="k:Q")
    yield marked("front", "point", "front", clip=True).encode(tooltip="row:Q")


def _marks() -> Iterator[alt.Chart]:
    yield _text("halo")
    for role in _RINGS:
        yield marked("marks", "point", role).transform_filter(f"datum.role === '{role}'").encode(tooltip="row:Q")
    yield _text("letter")


def _text(style: str) -> alt.Chart:
    letters = marked("letters", "text", style, dx=alt.ExprRef("datum.dx"), dy=alt.ExprRef("datum.dy"))
    return letters.encode(text="text:N", tooltip="row:Q")
