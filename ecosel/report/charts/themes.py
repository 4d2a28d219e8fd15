"""Colours and type of the charts: marks name a style, a theme says how the style looks."""

from __future__ import annotations

from typing import Any

# Okabe and Ito 2008, distinguishable with colour blindness; each mark has its own shape as well as its colour.
LIGHT_COLOURS = {
    "ink": "#1b1f24", "muted": "#57606a", "grid": "#e4e7eb", "paper": "#ffffff", "model": "#6e7781", "front": "#0060a8",
    "pick": "#b34700", "low": "#00694d", "high": "#8a3a78", "band": "#d8dee4", "band2": "#b9c2cc",
}  # fmt: skip
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


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
    """Return how each mark is drawn, by the name that the charts give it."""
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
# The page's style sheet says what these are in light, in dark and on paper.
PAGE = theme({name: f"var(--{name})" for name in LIGHT_COLOURS})
