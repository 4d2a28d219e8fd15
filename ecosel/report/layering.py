"""Lay marks over one another: what the chart modules share, with the types that Altair leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import altair as alt
import polars as pl


def source(name: str, data: Mapping[str, pl.DataFrame] | None) -> alt.InlineData | alt.NamedData:
    """Return the rows of a data set, or only its name where a page fills it in."""
    return alt.NamedData(name) if data is None else alt.InlineData(values=data[name].to_dicts())


def marked(of: alt.InlineData | alt.NamedData | alt.Chart, mark: str, style: str, /, **options: Any) -> alt.Chart:
    """Return a chart of one mark, drawn in a style of the theme; the words for the chart as a whole stand elsewhere."""
    chart = of if isinstance(of, alt.Chart) else alt.Chart(of)
    return cast(alt.Chart, getattr(chart, f"mark_{mark}")(style=style, aria=False, **options))


def layered(*layers: alt.Chart, width: int, height: int | alt.Step, **encodings: Any) -> alt.LayerChart:
    """Return layers that share their encodings."""
    return cast(alt.LayerChart, alt.layer(*layers).encode(**encodings).properties(width=width, height=height))
