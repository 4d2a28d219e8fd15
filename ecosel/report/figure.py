"""Turn the frontier of a selection into a figure for a paper: SVG, PNG or PDF, one or two columns wide."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from ecosel.report.charts.panels import frontier
from ecosel.report.charts.themes import LIGHT_COLOURS, theme
from ecosel.report.view.view import group_views
from ecosel.selection import Selection

Format = Literal["svg", "png", "pdf"]

# Width of a figure in px of 1/72 inch: one and two columns of an IEEE conference paper (3.5 and 7.16 inches).
_COLUMN_PX = {1: 252, 2: 516}
_FONT_PX = 7.0
_MARKS = (
    "● Pareto front, bars: 95 %, □ lowest cost, △ highest quality, ",
    "◆ best trade-off, ○ best trade-off of all objectives",
)
_LEGEND: dict[str, Any] = {
    "orient": "bottom", "fontWeight": "normal", "fontSize": _FONT_PX, "offset": 4,
}  # fmt: skip


def figure_format(name: str, /) -> Format:
    """Return the format that the ending of a file name states; raise ValueError if it is not one of the three."""
    suffix = Path(name).suffix.lower()
    if suffix == ".svg":
        return "svg"
    if suffix == ".png":
        return "png"
    if suffix == ".pdf":
        return "pdf"
    raise ValueError(f"--static {name}: the name must end in .svg, .png or .pdf")


def as_figure(selection: Selection, form: Format, /, *, columns: int = 2) -> bytes:
    """Draw the frontier, a row of panels for each group, as wide as one or two columns of a paper (252 or 516 pt)."""
    import vl_convert

    target = _COLUMN_PX[columns]
    across = min(3, max(len(view.panels) for view in group_views(selection)) or 1) if columns == 2 else 1
    width = target // across - 50
    figure = frontier(selection, width=width, height=round(0.75 * width), columns=across)
    words = {"text": ["".join(_MARKS)] if columns == 2 else list(_MARKS), **_LEGEND}
    figure = figure.properties(title=words).configure(**theme(LIGHT_COLOURS, size=_FONT_PX)).configure_concat(spacing=8)
    spec = figure.to_dict(validate=False)
    svg: str = vl_convert.vegalite_to_svg(spec)
    # the space that ticks take is known only once they are drawn
    drawn = float(re.search(r'<svg[^>]* width="([\d.]+)', svg)[1])  # type: ignore[index]
    for chart in (panel for row in spec["vconcat"] for panel in row["hconcat"]):
        chart["width"] += (target - drawn) / across
    if form == "svg":
        return _as_paper(vl_convert.vegalite_to_svg(spec)).encode()
    converted: bytes = vl_convert.vegalite_to_png(spec, ppi=300) if form == "png" else vl_convert.vegalite_to_pdf(spec)
    return converted


def _as_paper(svg: str) -> str:
    """Set the size of an SVG in points, and make its identifiers independent of earlier drawings."""
    numbers: dict[str, int] = {}
    svg = re.sub(r'(id="|url\(#)(clip|gradient)_?(\d+)', lambda m: f"{m[1]}{m[2]}{numbers.setdefault(m[3], len(numbers))}", svg)
    # in style sheets a px is 1/96 inch, in the figure 1/72
    return re.sub(r'(<svg[^>]*?) width="([\d.]+)" height="([\d.]+)"', r'\1 width="\2pt" height="\3pt"', svg, count=1)
