"""Define the appearance of marks: the styles of both themes, layers of marks, and the legend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import altair as alt
import polars as pl
from markupsafe import Markup

# Okabe and Ito 2008, distinguishable with colour blindness; each mark has its own shape as well as its colour.
LIGHT_COLOURS = {
    "ink": "#1b1f24", "muted": "#57606a", "grid": "#e4e7eb", "paper": "#ffffff", "model": "#6e7781", "front": "#0060a8",
    "pick": "#b34700", "low": "#00694d", "high": "#8a3a78", "band": "#d8dee4", "band2": "#b9c2cc",
}  # fmt: skip
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


_GLYPHS = {
    "model": '<circle cx="9" cy="8" r="2.5" fill="var(--model)"/>',
    "on the Pareto front of the two objectives": '<circle cx="9" cy="8" r="3.5" fill="var(--front)"/>',
    "its 95 % interval": '<path d="M9 1V15M3 8H15" stroke="var(--front)" stroke-width="1.2"/>',
    "best on the horizontal axis": '<rect x="3" y="2" width="12" height="12" fill="none" stroke="var(--low)" stroke-width="2"/>',
    "best on the vertical axis": '<path d="M9 1.5 16 14H2Z" fill="none" stroke="var(--high)" stroke-width="2"/>',
    "best trade-off of these two": '<path d="M9 1 14 8 9 15 4 8Z" fill="var(--pick)"/>',
    "best trade-off of all objectives": '<circle cx="9" cy="8" r="7" fill="none" stroke="var(--pick)" stroke-width="1.8"/>',
    "marked": '<circle cx="9" cy="8" r="7" fill="none" stroke="var(--ink)" stroke-width="2.5"/>',
    "pinned": '<circle cx="9" cy="8" r="7" fill="none" stroke="var(--high)" stroke-width="2"/>',
    "outside the limits, or filtered out": '<circle cx="9" cy="8" r="2.5" fill="none" stroke="var(--model)"/>',
}


def _ring(colour: str, size: float, shape: str, width: float) -> dict[str, Any]:
    return {"color": colour, "filled": False, "strokeWidth": width, "size": size, "opacity": 1, "shape": shape}


def theme(colour: dict[str, str], /, *, size: float = 11.0) -> dict[str, Any]:
    """Return a Vega-Lite configuration; size is that of the labels in px."""
    small = size / 11
    return {
        "background": "transparent" if colour["paper"].startswith("var") else colour["paper"],
        "font": FONT,
        "padding": 4,
        "view": {"stroke": colour["grid"], "strokeWidth": small, "continuousWidth": 288, "continuousHeight": 216},
        "axis": {
            "labelColor": colour["muted"], "titleColor": colour["ink"], "gridColor": colour["grid"],
            "domainColor": colour["grid"],
            "tickColor": colour["grid"], "labelFontSize": size, "titleFontSize": size, "titleFontWeight": 600,
            "titlePadding": 6, "labelOverlap": "greedy", "labelSeparation": 4, "labelLimit": 170,
            "gridWidth": small, "tickWidth": small, "domainWidth": small,
        },
        "axisX": {"titleLimit": 300},
        "axisY": {"titleLimit": 216},
        "legend": {"labelColor": colour["ink"], "titleColor": colour["ink"], "labelFontSize": size, "titleFontSize": size},
        "title": {"color": colour["ink"], "fontSize": size + 1, "anchor": "start", "fontWeight": 600},
        "header": {"labelColor": colour["ink"], "titleColor": colour["ink"], "labelFontSize": size, "labelFontWeight": 600},
        "range": {"category": [colour["low"], colour["high"], colour["pick"], colour["front"], colour["model"], colour["ink"]]},
        "style": _styles(colour, size),
    }  # fmt: skip


def _styles(colour: dict[str, str], size: float) -> dict[str, Any]:
    """Return the style of each mark, by the name that the charts use."""
    small = size / 11
    return {
        "heat": {"color": colour["model"], "strokeWidth": 0},
        "model": {"color": colour["model"], "filled": True, "size": 18 * small, "opacity": 0.8, "shape": "circle"},
        "dimmed": {"color": colour["model"], "filled": False, "size": 14 * small, "opacity": 0.35, "strokeWidth": 1},
        "shade": {"color": colour["ink"], "opacity": 0.09, "strokeWidth": 0},
        "front-line": {"color": colour["front"], "strokeWidth": 1.4, "opacity": 0.75},
        "front": {"color": colour["front"], "filled": True, "size": 38 * small, "opacity": 1, "shape": "circle"},
        "error": {"color": colour["front"], "strokeWidth": 1, "opacity": 0.75},
        "pinned": _ring(colour["high"], 560 * small, "circle", 2),
        "lowest": _ring(colour["low"], 150 * small, "square", 2),
        "highest": _ring(colour["high"], 170 * small, "triangle-up", 2),
        "joint": _ring(colour["pick"], 330 * small, "circle", 1.6),
        "marked": _ring(colour["ink"], 440 * small, "circle", 2.5),
        "pick": {"color": colour["pick"], "filled": True, "size": 110 * small, "opacity": 1, "shape": "diamond"},
        "anchor": {"color": colour["ink"], "filled": True, "size": 14 * small, "opacity": 1, "shape": "circle"},
        "letter": {"color": colour["ink"], "fontSize": size + 1, "fontWeight": 700},
        "halo": {"color": colour["paper"], "stroke": colour["paper"], "strokeWidth": 3.5, "fontSize": size + 1,
                 "fontWeight": 700},
        "segment": {"color": colour["band"], "stroke": colour["paper"], "strokeWidth": 1},
        "segment-odd": {"color": colour["band2"], "stroke": colour["paper"], "strokeWidth": 1},
        "segment-now": {"filled": False, "color": colour["pick"], "strokeWidth": 2},
        "needle": {"color": colour["pick"], "strokeWidth": 2},
        "bar": {"color": colour["front"], "opacity": 0.85}, "bar-now": {"color": colour["pick"], "opacity": 1},
        "share": {"filled": False, "strokeWidth": 2, "size": 70 * small, "opacity": 1},
        "run": {"color": colour["model"], "filled": True, "size": 12 * small, "opacity": 0.5, "shape": "circle"},
        "run-line": {"strokeWidth": 1.8},
        "edge": {"color": colour["muted"], "strokeWidth": 1, "opacity": 0.7},
        "note": {"color": colour["ink"], "fontSize": size},
        "trace": {"color": colour["front"], "strokeWidth": 1.2},
        "window": {"color": colour["pick"], "opacity": 0.16},
    }  # fmt: skip


LIGHT = theme(LIGHT_COLOURS)
# The page's style sheet defines these for light and dark screens and for paper.
PAGE = theme({name: f"var(--{name})" for name in LIGHT_COLOURS})


def legend(*, has_errors: bool, objectives: int) -> list[tuple[str, Markup]]:
    """Return the words and the drawing of each mark in charts with this number of objectives."""
    absent = {"its 95 % interval": not has_errors, "best trade-off of all objectives": objectives < 3}
    return [(words, Markup(glyph)) for words, glyph in _GLYPHS.items() if not absent.get(words)]


def with_data(chart: alt.LayerChart | alt.VConcatChart, data: Mapping[str, pl.DataFrame], /) -> None:
    """Give a chart the rows of its named data sets.

    They are stored once, at the top: as a data source of each layer, Altair would copy and check every row again and again.
    """
    chart.datasets = {name: rows.to_dicts() for name, rows in data.items()}


def marked(of: str | alt.InlineData | alt.Chart, mark: str, style: str, /, **options: Any) -> alt.Chart:
    """Return a chart with one mark for a data set, given by name, in a style of the theme.

    The marks have no alternative text of their own; the chart as a whole does.
    """
    chart = of if isinstance(of, alt.Chart) else alt.Chart(alt.NamedData(of) if isinstance(of, str) else of)
    return cast(alt.Chart, getattr(chart, f"mark_{mark}")(style=style, aria=False, **options))


def layered(*layers: alt.Chart, width: int, height: int | alt.Step, **encodings: Any) -> alt.LayerChart:
    """Return layers that share their encodings."""
    return cast(alt.LayerChart, alt.layer(*layers).encode(**encodings).properties(width=width, height=height))
