"""Layer marks: code shared by the chart modules, with the types that Altair leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import altair as alt
import polars as pl


def with_data(chart: alt.LayerChart | alt.VConcatChart, data: Mapping[str, pl.DataFrame], /) -> None:
    """Give a chart the rows of its named data sets.

    They stand once, at the top: in a data source of each layer Altair would copy and check every row again and again.
    """
    chart.datasets = {name: rows.to_dicts() for name, rows in data.items()}


def marked(of: str | alt.InlineData | alt.Chart, mark: str, style: str, /, **options: Any) -> alt.Chart:
    """Return a chart of one mark, of a data set by its name, drawn in a style of the theme.

    The marks have no words of their own for those who do not see them: the chart as a whole has.
    """
    chart = of if isinstance(of, alt.Chart) else alt.Chart(alt.NamedData(of) if isinstance(of, str) else of)
    return cast(alt.Chart, getattr(chart, f"mark_{mark}")(style=style, aria=False, **options))


def layered(*layers: alt.Chart, width: int, height: int | alt.Step, **encodings: Any) -> alt.LayerChart:
    """Return layers that share their encodings."""
    return cast(alt.LayerChart, alt.layer(*layers).encode(**encodings).properties(width=width, height=height))
